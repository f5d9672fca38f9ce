"""Hamiltonian Monte Carlo with trajectories of one length for all chains, jittered from transition to transition.

Reference: Neal 2011, "MCMC using Hamiltonian dynamics", Handbook of Markov Chain Monte Carlo; Hoffman, Radul & Sountsov 2021
(the jitter by a Halton sequence), "An adaptive-MCMC scheme for setting trajectory lengths in Hamiltonian Monte Carlo", AISTATS.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..graphs.graph import Graph
from .by_chain import Gradients
from .leapfrog import MAX_ENERGY_ERROR, Point, State, Target, kinetic, leapfrog, pick
from .noise import normal, uniform
from .space import Space
from .warmup import Number

MAX_STEPS = 1000


class Info(NamedTuple):
    """What is only for diagnosis, each (transition, chain)."""

    lp: Tensor
    acceptance_rate: Tensor
    energy: Tensor
    diverging: Tensor
    n_steps: Tensor


class Trajectory(NamedTuple):
    """What a transition tried: from where, to where, in which time, and how likely it was accepted (chain,)."""

    start: NamedTuple
    end: NamedTuple
    time: float
    acceptance: Tensor


class Kernel:
    """Transitions of all chains by trajectories of at most `memory["length"]`, where the posterior is about standard normal.

    keys (chain,): what their random numbers are made of. memory: what the kernel has learnt, plain numbers.
    """

    target_acceptance = 0.8
    # An energy error that tells of a trajectory that ran away.
    _most = MAX_ENERGY_ERROR
    _step = staticmethod(leapfrog)

    def __init__(self, target: Target, trace: Callable[..., Graph], keys: Tensor) -> None:
        self._target, self._trace, self._keys = target, trace, keys
        self._graph: Graph | None = None
        # With times uniform on (0, pi) the mean cosine is zero: a standard normal's next position does not depend on this one.
        self.memory = {"length": math.pi, "steps": 0}

    def advance(self, state: State, first: int, count: int, step_size: Number, space: Space) -> tuple[State, Tensor, Info]:
        """The state after transitions `first` to `first + count`, their positions (transition, chain, dim), and how they went."""
        positions = state.position.new_empty((count, *state.position.shape))
        numbers = state.log_density.new_empty((count, len(Info._fields), len(self._keys)))
        for i in range(count):
            state, info, self.trajectory = self._transition(state, first + i, step_size, space)
            positions[i] = state.position
            torch.stack(info, out=numbers[i])
        return state, positions, Info(*numbers.unbind(1))

    def learn(self) -> None:
        """Nothing: the length is given."""

    def settle(self) -> None:
        """Nothing was learnt."""

    def _transition(self, state: State, at: int, step_size: Number, space: Space) -> tuple[State, Info, Trajectory]:
        start, draw = self._begun(state, at)
        step, usual = state.position.new_tensor(step_size)[..., None], float(np.mean(step_size))
        steps = min(MAX_STEPS, max(1, round(halton(at) * self.memory["length"] / usual)))
        travel = self._chain_by_chain if isinstance(self._target, Gradients) else self._step_by_step
        end, log_density = travel(start, step, steps, space)
        self.memory["steps"] += steps
        energy = self._energy(start) - state.log_density
        error = (self._energy(end) - log_density - energy).nan_to_num(nan=torch.inf)
        acceptance = (-error).exp().clamp(max=1.0)
        after = pick(draw < acceptance, State(end.position, log_density, end.grad), state)
        info = Info(after.log_density, acceptance, energy, (error > self._most).double(), torch.full_like(energy, steps))
        return after, info, Trajectory(start, end, steps * usual, acceptance)

    def _begun(self, state: State, at: int) -> tuple[NamedTuple, Tensor]:
        """The points at which trajectories begin, and numbers (chain,) below which an acceptance must not fall."""
        numbers = uniform(self._keys, torch.full_like(self._keys, at), 1 + state.position.shape[1])
        return Point(state.position, normal(numbers[:, 1:]).to(state.position), state.grad), numbers[:, 0]

    @staticmethod
    def _energy(point: Point) -> Tensor:
        """(chain,) all energy but the posterior's, in double precision."""
        return kinetic(point.momentum)

    @staticmethod
    def _loop() -> Callable[..., None]:
        """What takes chains through whole trajectories, one by one."""
        from .chain_loops import travel

        return travel

    def _step_by_step(self, start: NamedTuple, step: Tensor, steps: int, space: Space) -> tuple[NamedTuple, Tensor]:
        """Where trajectories end, and the log density there, all chains taking each step together."""
        if self._graph is None:
            self._graph = self._trace(self._stepped, start, step, space)
        leaves = [*start]
        self._graph.expect(self.memory["steps"], [*leaves, step, *space])
        for _ in range(steps):
            *leaves, log_density = self._graph.flat([*leaves, step, *space])
        return type(start)(*leaves), log_density

    def _chain_by_chain(self, start: NamedTuple, step: Tensor, steps: int, space: Space) -> tuple[NamedTuple, Tensor]:
        """The same, each chain going through to the end."""
        end, travel = type(start)(*(t.clone(memory_format=torch.contiguous_format) for t in start)), self._loop()
        log_density = end.position.new_empty(len(end.position), dtype=torch.double)
        calls, _held = self._target.calls(end.position, end.grad, log_density, space)
        arrays = (type(end)(*(t.numpy() for t in end)), step.flatten().expand(len(end.position)).contiguous().numpy(), steps, calls)
        self._target.each(len(end.position), lambda first, last, thread: travel(*arrays, first, last, thread))
        return end, log_density

    def _stepped(self, point: NamedTuple, step: Tensor, space: Space) -> tuple[NamedTuple, Tensor]:
        return self._step(point, step, partial(self._target, space=space))


def halton(index: int) -> float:
    """The number of the base-2 Halton sequence at `index` from 0: the digits of `index` + 1, mirrored at the point."""
    value, unit, index = 0.0, 0.5, index + 1
    while index:
        value, unit, index = value + unit * (index & 1), unit / 2, index >> 1
    return value
