"""The No-U-Turn sampler, for a batch of chains in lockstep.

Multinomial sampling along the trajectory, the generalised U-turn criterion, and a tree built without recursion, so that a
step of the integrator moves every chain at once.

Reference: Hoffman & Gelman 2014, "The No-U-Turn Sampler", JMLR 15; Betancourt 2017, "A conceptual introduction to Hamiltonian
Monte Carlo", arXiv:1701.02434; Phan, Pradhan & Jankowiak 2019 (the iterative tree), arXiv:1912.11554.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from .metric import Metric

Density = Callable[[Tensor], tuple[Tensor, Tensor]]
MAX_ENERGY_ERROR = 1000.0


class State(NamedTuple):
    """What a chain carries on: position (chain, dim), log density (chain,) and its gradient (chain, dim)."""

    position: Tensor
    log_density: Tensor
    grad: Tensor


class Info(NamedTuple):
    """What is only for diagnosis, each (chain,)."""

    acceptance_rate: Tensor
    energy: Tensor
    diverging: Tensor
    tree_depth: Tensor
    n_steps: Tensor


class Point(NamedTuple):
    """An end of a trajectory."""

    position: Tensor
    momentum: Tensor
    grad: Tensor


class Subtree(NamedTuple):
    """A doubling of the trajectory: its far end, a draw from it, its log weight, and how it went."""

    end: Point
    proposal: State
    weight: Tensor
    momenta: Tensor
    ended: Tensor
    diverging: Tensor
    acceptance: Tensor
    steps: Tensor


def init(position: Tensor, density: Density) -> State:
    """The state at `position` (chain, dim)."""
    grad, log_density = density(position)
    return State(position, log_density, grad)


def kernel(state: State, density: Density, step_size: Tensor, metric: Metric, max_depth: int = 10) -> tuple[State, Info]:
    """One transition of every chain. density(position) gives the gradient (chain, dim) and the log density (chain,)."""
    momentum = metric.momentum(state.position)
    energy = metric.kinetic(momentum) - state.log_density
    left = right = Point(state.position, momentum, state.grad)
    proposal, weight, momenta = state, torch.zeros_like(energy), momentum
    depth, steps, acceptance = (torch.zeros_like(energy) for _ in range(3))
    active = torch.ones_like(energy, dtype=torch.bool)
    diverging = torch.zeros_like(active)
    for level in range(max_depth):
        forward = torch.rand_like(energy) < 0.5
        start = _where(forward, right, left)
        tree = _grow(start, torch.where(forward, step_size, -step_size), 2**level, energy, active, density, metric)
        left, right = _where(active & ~forward, tree.end, left), _where(active & forward, tree.end, right)
        steps, acceptance = steps + tree.steps, acceptance + tree.acceptance
        diverging = diverging | tree.diverging
        active = active & ~tree.ended
        depth = depth + active
        proposal = _where(active & (torch.rand_like(energy).log() < tree.weight - weight), tree.proposal, proposal)
        weight, momenta = torch.logaddexp(weight, tree.weight), momenta + tree.momenta
        active = active & ~_turning(metric, left.momentum, right.momentum, momenta)
        if not active.any():
            break
    return proposal, Info(acceptance / steps, energy, diverging, depth, steps)


def _grow(start: Point, step: Tensor, leaves: int, energy: Tensor, active: Tensor, density: Density, metric: Metric) -> Subtree:
    point, proposal = start, State(start.position, torch.zeros_like(energy), start.grad)
    weight, momenta = torch.full_like(energy, -torch.inf), torch.zeros_like(start.momentum)
    acceptance, steps = torch.zeros_like(energy), torch.zeros_like(energy)
    alive, diverging = active, torch.zeros_like(active)
    marks: dict[int, tuple[Tensor, Tensor]] = {}
    for leaf in range(leaves):
        moved, log_density = _leapfrog(point, step, density, metric)
        point = _where(alive, moved, point)
        error = (metric.kinetic(moved.momentum) - log_density - energy).nan_to_num(nan=torch.inf)
        steps, acceptance = steps + alive, acceptance + alive * (-error).exp().clamp(max=1.0)
        momenta = momenta + alive[:, None] * point.momentum
        total = torch.where(alive, torch.logaddexp(weight, -error), weight)
        chosen = alive & (torch.rand_like(energy).log() < -error - total)
        proposal, weight = _where(chosen, State(moved.position, log_density, moved.grad), proposal), total
        broken = alive & (error > MAX_ENERGY_ERROR)
        diverging = diverging | broken
        alive = alive & ~broken & ~_turned(leaf, point.momentum, momenta, marks, metric)
        if leaf + 1 < leaves and not alive.any():
            break
    return Subtree(point, proposal, weight, momenta, active & ~alive, diverging, acceptance, steps)


def _turned(leaf: int, momentum: Tensor, momenta: Tensor, marks: dict[int, tuple[Tensor, Tensor]], metric: Metric) -> Tensor:
    """(chain,) whether a balanced subtree that ends at this leaf makes a U-turn.

    `marks` holds the momentum and the running sum at the left leaf of every subtree still open: one for each bit of `leaf`.
    """
    turned = torch.zeros(len(momentum), dtype=torch.bool, device=momentum.device)
    last = (leaf >> 1).bit_count()
    if leaf % 2 == 0:
        marks[last] = (momentum, momenta)
        return turned
    closed = ((leaf + 1) & ~leaf).bit_length() - 1
    for i in range(last, last - closed, -1):
        first, before = marks[i]
        turned = turned | _turning(metric, first, momentum, momenta - before + first)
    return turned


def _turning(metric: Metric, first: Tensor, last: Tensor, momenta: Tensor) -> Tensor:
    middle = metric.velocity(momenta - 0.5 * (first + last))
    return ((first * middle).sum(-1) <= 0) | ((last * middle).sum(-1) <= 0)


def _leapfrog(point: Point, step: Tensor, density: Density, metric: Metric) -> tuple[Point, Tensor]:
    half = point.momentum + 0.5 * step[:, None] * point.grad
    position = point.position + step[:, None] * metric.velocity(half)
    grad, log_density = density(position)
    return Point(position, half + 0.5 * step[:, None] * grad, grad), log_density


def _where(condition: Tensor, new: NamedTuple, old: NamedTuple) -> NamedTuple:
    """`new` in the chains where `condition` (chain,) holds, `old` in the others."""
    pick = (torch.where(condition.reshape(-1, *(1,) * (a.dim() - 1)), a, b) for a, b in zip(new, old, strict=True))
    return type(old)(*pick)
