"""The trees of `nuts` grown chain by chain, in compiled loops: on a CPU a leaf then costs little beside its gradient.

Each chain stops where it needs a gradient, and goes on when that is there; or, where gradients are computed in C, never.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ..graphs.graph import Graph
from .by_chain import Gradients
from .leapfrog import State, Target
from .noise import normal, uniform
from .nuts import MAX_DEPTH, Info, event
from .nuts_growth import GRADIENT, POSITION, TREE, Growing, Run, begin, grow, grow_whole
from .space import Space
from .warmup import Number


class Trees:
    """Trees of all chains. keys (chain,): what their random numbers are made of."""

    def __init__(self, target: Target, trace: Callable[..., Graph], keys: Tensor) -> None:
        self._target, self._trace, self._keys = target, trace, keys
        self._graph: Graph | None = None

    def advance(
        self, state: State, first: int, count: int, step_size: Number, space: Space, before: int
    ) -> tuple[State, Tensor, Tensor, int]:
        """As `nuts_tensors.Trees.advance`."""
        trees, run = _planted(state), self._run(state.position, first, count, step_size)
        begin(trees, run)
        leaves = (self._chain_by_chain if isinstance(self._target, Gradients) else self._leaf_by_leaf)(trees, run, space, before)
        drawn, density = torch.from_numpy(trees.drawn[:, TREE]), torch.from_numpy(trees.density[:, TREE])
        state = State(drawn[:, POSITION].clone(), density.clone(), drawn[:, GRADIENT].clone())
        return state, torch.from_numpy(run.position), torch.from_numpy(run.numbers), leaves

    def _leaf_by_leaf(self, trees: Growing, run: Run, space: Space, before: int) -> int:
        """Grow the trees of all chains together, a gradient of all for each leaf; how many there were."""
        at, leaves, more = torch.from_numpy(trees.at), 0, True
        if self._graph is None:
            self._graph = self._trace(self._target, at, space)
        self._graph.expect(before, [at, *space])
        while more:
            leaves += 1
            gradient, density = self._graph.flat([at, *space])
            more = grow(trees, gradient.numpy(), density.numpy(), run)
        return leaves

    def _chain_by_chain(self, trees: Growing, run: Run, space: Space, before: int) -> int:
        """Grow each chain's trees to the end; how many leaves the chain with the most of them had."""
        at = torch.from_numpy(trees.at)
        gradient, density = torch.empty_like(at), at.new_empty(len(at), dtype=torch.double)
        calls, _held = self._target.calls(at, gradient, density, space)
        written = gradient.numpy(), density.numpy()
        self._target.each(len(at), lambda first, last, thread: grow_whole(trees, *written, run, calls, first, last, thread))
        return int(run.numbers[:, :, -1].sum(0).max())

    def _run(self, like: Tensor, first: int, count: int, step_size: Number) -> Run:
        momentum, forward = like.new_empty((count, *like.shape)), torch.empty((count, len(like)), dtype=torch.bool)
        for i, transition in enumerate(first + torch.arange(count)):
            numbers = uniform(self._keys, event(transition), 1 + like.shape[1])
            momentum[i], forward[i] = normal(numbers[:, 1:]), numbers[:, 0] < 0.5
        kept = like.new_empty(momentum.shape), torch.empty((count, len(like), len(Info._fields)), dtype=torch.double)
        step = like.new_tensor(step_size).expand(len(like)).contiguous()
        made = (tensor.numpy() for tensor in (momentum, forward, *kept))
        return Run(step.numpy(), self._keys.numpy().view(np.uint64), first, *made)


def _planted(state: State) -> Growing:
    """Trees to be begun where the chains are."""
    (chains, dim), like = state.position.shape, state.position.numpy().dtype
    drawn, density = np.zeros((chains, 2, 2, dim), like), np.zeros((chains, 2))
    drawn[:, TREE, POSITION], drawn[:, TREE, GRADIENT], density[:, TREE] = (
        t.numpy() for t in (state.position, state.grad, state.log_density)
    )
    at, momentum, edges = (np.zeros((chains, *shape, dim), like) for shape in ((), (), (2, 3)))
    momenta, ends, sums = (np.zeros((chains, levels, dim), like) for levels in (2, MAX_DEPTH, MAX_DEPTH))
    energy, acceptance = np.zeros((2, chains))
    counts = np.zeros((6, chains), np.int64)
    return Growing(at, momentum, edges, drawn, density, np.zeros((chains, 2)), momenta, ends, sums, energy, acceptance, *counts)
