"""The No-U-Turn sampler, for a batch of chains that do not wait for each other.

Multinomial sampling along the trajectory, the generalised U-turn criterion, and a tree built without recursion. A leaf is one
step of the integrator for every chain, whichever transition and doubling each of them is in; a chain that has finished a
transition begins its next one at the following leaf. On a CPU the trees grow in compiled loops (`nuts_loops`), elsewhere as tensors
(`nuts_tensors`): the same draws.

Reference: Hoffman & Gelman 2014, "The No-U-Turn Sampler", JMLR 15; Betancourt 2017, "A conceptual introduction to Hamiltonian
Monte Carlo", arXiv:1701.02434; Phan, Pradhan & Jankowiak 2019 (the iterative tree), arXiv:1912.11554.
"""

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

from ..graphs.graph import Graph
from .leapfrog import State, Target
from .space import Space
from .warmup import Number

MAX_DEPTH = 10


class Info(NamedTuple):
    """What is only for diagnosis, each (transition, chain)."""

    lp: Tensor
    acceptance_rate: Tensor
    energy: Tensor
    diverging: Tensor
    tree_depth: Tensor
    n_steps: Tensor


class Kernel:
    """No-U-Turn transitions of all chains. keys (chain,): what their random numbers are made of. memory: how many leaves there were."""

    target_acceptance = 0.8

    def __init__(self, target: Target, trace: Callable[..., Graph], keys: Tensor) -> None:
        # Loops are compiled when they are first asked for, and need not be where nobody runs them.
        if keys.device.type == "cpu":
            from .nuts_loops import Trees
        else:
            from .nuts_tensors import Trees
        self._trees, self.memory = Trees(target, trace, keys), {"leaves": 0}

    def advance(self, state: State, first: int, count: int, step_size: Number, space: Space) -> tuple[State, Tensor, Info]:
        """The state after transitions `first` to `first + count`, their positions (transition, chain, dim), and how they went."""
        state, positions, numbers, leaves = self._trees.advance(state, first, count, step_size, space, self.memory["leaves"])
        self.memory["leaves"] += leaves
        return state, positions, Info(*numbers.unbind(-1))

    def learn(self) -> None:
        """Nothing: the length of each trajectory is found as it grows."""

    def settle(self) -> None:
        """Nothing was learnt."""


def event(transition: Tensor, leaf: Tensor | int = 0) -> Tensor:
    """The count by which a leaf's random numbers are known; leaf 0 is the beginning of the transition."""
    return (transition << MAX_DEPTH + 1) + leaf
