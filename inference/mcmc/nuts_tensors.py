"""The trees of `nuts` as tensors: a leaf of all chains is one graph, with no work on the host for any chain."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten

from ..graphs.graph import Graph
from .leapfrog import MAX_ENERGY_ERROR, Density, Point, State, Target, kinetic, leapfrog, pick
from .noise import normal, uniform
from .nuts import MAX_DEPTH, Info, event
from .space import Space
from .warmup import Number

# Of every leaf of a balanced tree: at which level its momentum is noted if a subtree begins there, and how many subtrees it ends.
LEVEL = [(leaf >> 1).bit_count() for leaf in range(2**MAX_DEPTH)]
ENDING = [((leaf + 1) & ~leaf).bit_length() - 1 for leaf in range(2**MAX_DEPTH)]


class Subtree(NamedTuple):
    """A doubling under way: how many leaves it has, a draw from it, its log weight and the sum of its momenta.

    ends, sums (chain, level, dim): of each subtree still open within it, its first momentum and the sum of momenta up to there.
    """

    leaf: Tensor
    proposal: State
    weight: Tensor
    momenta: Tensor
    ends: Tensor
    sums: Tensor


class Tree(NamedTuple):
    """A trajectory under way: its ends, a draw from it, its log weight, the sum of its momenta and the energy it set out with.

    forward: which way it grows. depth, steps: how many doublings and leaves it has. acceptance: the sum over its leaves.
    transition: how many transitions the chain has done.
    """

    left: Point
    right: Point
    proposal: State
    weight: Tensor
    momenta: Tensor
    energy: Tensor
    forward: Tensor
    depth: Tensor
    steps: Tensor
    acceptance: Tensor
    transition: Tensor
    subtree: Subtree


class Record(NamedTuple):
    """What a leaf adds to the draws: the row where it belongs (the last for none), position, numbers; whether any chain goes on."""

    at: Tensor
    position: Tensor
    numbers: Tensor
    more: Tensor


class Trees:
    """Trees of all chains. keys (chain,): what their random numbers are made of."""

    def __init__(self, target: Target, trace: Callable[..., Graph], keys: Tensor) -> None:
        tables = tuple(torch.tensor(table, device=keys.device) for table in (LEVEL, ENDING))
        self._leaf = partial(_leaf, target=target, keys=keys, tables=tables)
        self._trace, self._keys = trace, keys
        self._graph: Graph | None = None

    def advance(
        self, state: State, first: int, count: int, step_size: Number, space: Space, before: int
    ) -> tuple[State, Tensor, Tensor, int]:
        """Transitions `first` to `first + count`: the state after them, their positions (transition, chain, dim), numbers (.., 6), leaves.

        before: how many leaves there were earlier in the run.
        """
        like = state.position
        chains, dim = like.shape
        span = torch.tensor([first, first + count], device=like.device)
        begun = uniform(self._keys, event(span[0]), 1 + dim)
        tree = _begin(state, begun, span[0].expand(chains), like.new_zeros((2, chains, MAX_DEPTH, dim)).unbind())
        given = (space, like.new_tensor(step_size), span)
        if self._graph is None:
            self._graph = self._trace(self._leaf, tree, state, *given)
        positions = like.new_empty((count + 1, chains, dim))
        numbers = state.log_density.new_empty((count + 1, chains, len(Info._fields)))
        chain = torch.arange(chains, device=like.device)
        (leaves, shape), (fixed, _) = tree_flatten((tree, state)), tree_flatten(given)
        grown, more = 0, True
        self._graph.expect(before, [*leaves, *fixed])
        while more:
            grown += 1
            *leaves, at, position, row, more = self._graph.flat([*leaves, *fixed])
            positions.index_put_((at, chain), position)
            numbers.index_put_((at, chain), row)
        _, state = tree_unflatten(leaves, shape)
        return state, positions[:-1], numbers[:-1], grown


def _leaf(
    tree: Tree, state: State, space: Space, step: Tensor, span: Tensor, *, target: Target, keys: Tensor, tables: tuple[Tensor, Tensor]
) -> tuple[Tree, State, Record]:
    """One more leaf for every chain, and what follows. span (2,): the first transition asked for, and the one after the last."""
    tree, tip, log_density = _grown(tree, step, partial(target, space=space))
    error = (kinetic(tip.momentum) - log_density - tree.energy).nan_to_num(nan=torch.inf)
    tree = tree._replace(acceptance=tree.acceptance + (-error).exp().clamp(max=1.0))
    events = torch.stack([event(tree.transition, tree.steps), event(tree.transition + 1)])
    now, next = uniform(keys, events, max(3, 1 + tip.position.shape[-1]))
    keep, move, way = now[:, :3].unbind(-1)
    subtree, turned = _lengthened(tree.subtree, State(tip.position, log_density, tip.grad), tip.momentum, -error, keep, tables)
    broken = error > MAX_ENERGY_ERROR
    whole = ~(broken | turned) & (subtree.leaf == 1 << tree.depth)
    tree = _merged(tree, subtree, whole, move, way)
    turning = _turning(tree.left.momentum, tree.right.momentum, tree.momenta)
    finished = broken | turned | (whole & (turning | (tree.depth == MAX_DEPTH)))
    kept = finished & (tree.transition < span[1])
    drawn = tree.proposal
    seen = (drawn.log_density, tree.acceptance / tree.steps, tree.energy, broken, tree.depth, tree.steps)
    at = torch.where(kept, tree.transition - span[0], span[1] - span[0])
    record = Record(at, drawn.position, torch.stack([n.double() for n in seen], -1), (tree.transition + finished < span[1]).any())
    fresh = _begin(drawn, next[:, : 1 + tip.position.shape[-1]], tree.transition + 1, (subtree.ends, subtree.sums))
    return _where(finished, fresh, tree), _where(kept, drawn, state), record


def _begin(state: State, numbers: Tensor, transition: Tensor, marks: tuple[Tensor, Tensor]) -> Tree:
    """The single point from which a transition sets out, by numbers (chain, 1 + dim): which way, and the momentum."""
    momentum = normal(numbers[:, 1:]).to(state.position.dtype)
    end, energy = Point(state.position, momentum, state.grad), kinetic(momentum) - state.log_density
    like = {"dtype": energy.dtype, "device": energy.device}
    nothing, lost = torch.zeros(energy.shape, **like), torch.full(energy.shape, -torch.inf, **like)
    none = torch.zeros(energy.shape, dtype=transition.dtype, device=energy.device)
    momenta = torch.zeros(momentum.shape, dtype=momentum.dtype, device=energy.device)
    subtree = Subtree(none, state, lost, momenta, *marks)
    return Tree(end, end, state, nothing, momentum, energy, numbers[:, 0] < 0.5, none, none, nothing, transition, subtree)


def _grown(tree: Tree, step: Tensor, density: Density) -> tuple[Tree, Point, Tensor]:
    """The trajectory one leaf longer, the leaf, and the log density (chain,) there."""
    start = pick(tree.forward, tree.right, tree.left)
    tip, log_density = leapfrog(start, torch.where(tree.forward, step, -step)[:, None], density)
    left, right = pick(tree.forward, tree.left, tip), pick(tree.forward, tip, tree.right)
    return tree._replace(left=left, right=right, steps=tree.steps + 1), tip, log_density


def _lengthened(
    subtree: Subtree, here: State, momentum: Tensor, log_weight: Tensor, keep: Tensor, tables: tuple[Tensor, Tensor]
) -> tuple[Subtree, Tensor]:
    """The subtree one leaf longer, and whether a subtree of it that ends here (or it itself) makes a U-turn."""
    weight, momenta = torch.logaddexp(subtree.weight, log_weight), subtree.momenta + momentum
    proposal = pick(keep.log() < log_weight - weight, here, subtree.proposal)
    level, ending = (table[subtree.leaf][:, None] for table in tables)
    levels = torch.arange(MAX_DEPTH, device=level.device)
    begins = ((ending == 0) & (levels == level))[..., None]
    ends = torch.where(begins, momentum[:, None], subtree.ends)
    sums = torch.where(begins, momenta[:, None], subtree.sums)
    closing = (levels <= level) & (levels > level - ending)
    turned = (closing & _turning(ends, momentum[:, None], momenta[:, None] - sums + ends)).any(-1)
    return Subtree(subtree.leaf + 1, proposal, weight, momenta, ends, sums), turned


def _merged(tree: Tree, subtree: Subtree, whole: Tensor, move: Tensor, way: Tensor) -> Tree:
    """The trajectory with its subtree taken in where that is `whole`, and a new doubling begun there."""
    proposal = pick(whole & (move.log() < subtree.weight - tree.weight), subtree.proposal, tree.proposal)
    weight = torch.where(whole, torch.logaddexp(tree.weight, subtree.weight), tree.weight)
    momenta = torch.where(whole[:, None], tree.momenta + subtree.momenta, tree.momenta)
    subtree = subtree._replace(
        leaf=torch.where(whole, 0, subtree.leaf),
        weight=torch.where(whole, -torch.inf, subtree.weight),
        momenta=torch.where(whole[:, None], 0.0, subtree.momenta),
    )
    forward, depth = torch.where(whole, way < 0.5, tree.forward), tree.depth + whole
    return tree._replace(proposal=proposal, weight=weight, momenta=momenta, forward=forward, depth=depth, subtree=subtree)


def _turning(first: Tensor, last: Tensor, momenta: Tensor) -> Tensor:
    middle = momenta - 0.5 * (first + last)
    return ((first * middle).sum(-1) <= 0) | ((last * middle).sum(-1) <= 0)


def _where(condition: Tensor, new: Any, old: Any) -> Any:
    return tree_map(lambda a, b: torch.where(condition.reshape(-1, *(1,) * (a.dim() - 1)), a, b), new, old)
