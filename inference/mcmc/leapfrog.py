"""What Hamiltonian kernels share: states, and the integrator."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from .space import Space

# target(white, space): the gradient (chain, dim) and the log density (chain,) at a point of a space; Density: in a given space.
Target = Callable[[Tensor, Space], tuple[Tensor, Tensor]]
Density = Callable[[Tensor], tuple[Tensor, Tensor]]
MAX_ENERGY_ERROR = 1000.0


class State(NamedTuple):
    """What a chain carries on: position (chain, dim), log density (chain,) in double precision, its gradient (chain, dim)."""

    position: Tensor
    log_density: Tensor
    grad: Tensor


class Point(NamedTuple):
    """A point of a trajectory: position, momentum and gradient, each (chain, dim)."""

    position: Tensor
    momentum: Tensor
    grad: Tensor


def init(position: Tensor, density: Density) -> State:
    """The state at `position` (chain, dim)."""
    grad, log_density = density(position)
    return State(position, log_density, grad)


def leapfrog(point: Point, step: Tensor, density: Density) -> tuple[Point, Tensor]:
    """One step of the integrator for every chain, and the log density (chain,) there. step: () or (chain, 1), backwards if negative."""
    half = point.momentum + 0.5 * step * point.grad
    position = point.position + step * half
    grad, log_density = density(position)
    return Point(position, half + 0.5 * step * grad, grad), log_density


def kinetic(momentum: Tensor) -> Tensor:
    """(chain,) kinetic energy, in double precision."""
    return 0.5 * momentum.square().sum(-1, dtype=torch.double)


def pick(condition: Tensor, new: NamedTuple, old: NamedTuple) -> NamedTuple:
    """`new` in the chains where `condition` (chain,) holds, `old` in the others."""
    chosen = (torch.where(condition.reshape(-1, *(1,) * (a.dim() - 1)), a, b) for a, b in zip(new, old, strict=True))
    return type(old)(*chosen)
