"""How the trees of `nuts` grow, leaf by leaf, in compiled loops over the chains."""

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from ..native.calling import Calls
from .chain_loops import gradient_of, kinetic, logaddexp
from .leapfrog import MAX_ENERGY_ERROR
from .noise import FIRST, GOLDEN, SECOND
from .nuts import MAX_DEPTH

TREE, SUBTREE = 0, 1
POSITION, GRADIENT, MOMENTUM = 0, 1, 2
MULTIPLIERS = tuple(np.uint64(n % 2**64) for n in (GOLDEN, FIRST, SECOND))


class Growing(NamedTuple):
    """The trajectories under way, arrays with the chain first.

    at (chain, dim): where a gradient is needed. momentum (chain, dim): with which the chain comes there. edges (chain, 2, 3, dim):
    the first and the last point: position, gradient, momentum.

    Of the trajectory and of the subtree under way: drawn (chain, 2, 2, dim), position and gradient of a draw; density, weight
    (chain, 2), its log density and the log weight of all; momenta (chain, 2, dim), their sum.

    ends, sums (chain, level, dim): of each subtree still open, its first momentum and the sum of momenta up to there.
    energy, acceptance (chain,): the energy at the start, and the sum over the leaves. forward, depth, steps, leaf, transition,
    diverging (chain,): which way it grows; how many doublings, leaves, leaves of the subtree, and transitions there have been;
    whether it ran away.
    """

    at: np.ndarray
    momentum: np.ndarray
    edges: np.ndarray
    drawn: np.ndarray
    density: np.ndarray
    weight: np.ndarray
    momenta: np.ndarray
    ends: np.ndarray
    sums: np.ndarray
    energy: np.ndarray
    acceptance: np.ndarray
    forward: np.ndarray
    depth: np.ndarray
    steps: np.ndarray
    leaf: np.ndarray
    transition: np.ndarray
    diverging: np.ndarray


class Run(NamedTuple):
    """What transitions are made with, and what is kept of them.

    step (chain,): the step sizes. key (chain,): unsigned, what random numbers are made of. first (): the number of the first
    transition. Each (transition, chain): momentum (.., dim) and forward, with which it sets out; position (.., dim) and numbers
    (.., 6), in the order of `nuts.Info`, to be written.
    """

    step: np.ndarray
    key: np.ndarray
    first: int
    momentum: np.ndarray
    forward: np.ndarray
    position: np.ndarray
    numbers: np.ndarray


@njit(cache=True, nogil=True, error_model="numpy")
def begin(trees: Growing, run: Run) -> None:
    """Begin the first transition of every chain."""
    for chain in range(len(run.step)):
        _begin(trees, chain, run)


@njit(cache=True, nogil=True, error_model="numpy")
def grow(trees: Growing, gradient: np.ndarray, density: np.ndarray, run: Run) -> bool:
    """A leaf more for every chain, given the gradient (chain, dim) and log density (chain,) at `trees.at`; whether any goes on."""
    more = False
    for chain in range(len(run.step)):
        if trees.transition[chain] < len(run.position):
            _go_on(trees, chain, gradient[chain], density[chain], run)
        more |= trees.transition[chain] < len(run.position)
    return more


@njit(cache=True, nogil=True, error_model="numpy")
def grow_whole(
    trees: Growing, gradient: np.ndarray, density: np.ndarray, run: Run, calls: Calls, first: int, last: int, thread: int
) -> None:
    """All transitions of the chains [first, last), which write their gradient (chain, dim) and log density (chain,) by `calls`."""
    for chain in range(first, last):
        while trees.transition[chain] < len(run.position):
            gradient_of(chain, thread, calls)
            _go_on(trees, chain, gradient[chain], density[chain], run)


@njit(cache=True, error_model="numpy")
def _go_on(trees: Growing, chain: int, gradient: np.ndarray, density: float, run: Run) -> None:
    """A leaf more for a chain, and what follows from it."""
    if not _leaf(trees, chain, gradient, density, run):
        _set_out(trees, chain, run.step[chain])
        return
    _keep(trees, chain, run)
    trees.transition[chain] += 1
    if trees.transition[chain] < len(run.position):
        _begin(trees, chain, run)


@njit(cache=True, error_model="numpy")
def _begin(trees: Growing, chain: int, run: Run) -> None:
    """The single point from which a transition sets out."""
    momentum = run.momentum[trees.transition[chain], chain]
    for edge in trees.edges[chain]:
        edge[:MOMENTUM] = trees.drawn[chain, TREE]
        edge[MOMENTUM] = momentum
    trees.energy[chain] = kinetic(momentum) - trees.density[chain, TREE]
    trees.weight[chain, TREE], trees.acceptance[chain] = 0.0, 0.0
    trees.momenta[chain, TREE] = momentum
    trees.forward[chain] = run.forward[trees.transition[chain], chain]
    trees.depth[chain], trees.steps[chain] = 0, 0
    _double(trees, chain)
    _set_out(trees, chain, run.step[chain])


@njit(cache=True, error_model="numpy")
def _double(trees: Growing, chain: int) -> None:
    """A subtree of no leaf yet."""
    trees.leaf[chain], trees.weight[chain, SUBTREE] = 0, -np.inf
    trees.momenta[chain, SUBTREE] = 0.0


@njit(cache=True, error_model="numpy")
def _set_out(trees: Growing, chain: int, step: float) -> None:
    """From the edge that grows, as far as the next gradient."""
    edge = trees.edges[chain, trees.forward[chain]]
    step = step if trees.forward[chain] else -step
    for i in range(edge.shape[1]):
        trees.momentum[chain, i] = edge[MOMENTUM, i] + 0.5 * step * edge[GRADIENT, i]
        trees.at[chain, i] = edge[POSITION, i] + step * trees.momentum[chain, i]


@njit(cache=True, error_model="numpy")
def _leaf(trees: Growing, chain: int, gradient: np.ndarray, density: float, run: Run) -> bool:
    """The leaf that the gradient completes, and what follows from it; whether the transition is done."""
    edge = trees.edges[chain, trees.forward[chain]]
    step = run.step[chain] if trees.forward[chain] else -run.step[chain]
    for i in range(len(gradient)):
        edge[POSITION, i], edge[GRADIENT, i] = trees.at[chain, i], gradient[i]
        edge[MOMENTUM, i] = trees.momentum[chain, i] + 0.5 * step * gradient[i]
    error = kinetic(edge[MOMENTUM]) - density - trees.energy[chain]
    error = np.inf if math.isnan(error) else error
    trees.acceptance[chain] += min(1.0, math.exp(-error))
    trees.steps[chain] += 1
    keep, move, way = _uniform(run.key[chain], run.first + trees.transition[chain], trees.steps[chain])
    turned = _lengthened(trees, chain, edge, density, -error, keep)
    trees.diverging[chain] = error > MAX_ENERGY_ERROR
    if turned or trees.diverging[chain]:
        return True
    if trees.leaf[chain] < 1 << trees.depth[chain]:
        return False
    _merge(trees, chain, move)
    trees.forward[chain] = way < 0.5
    first, last = trees.edges[chain, 0, MOMENTUM], trees.edges[chain, 1, MOMENTUM]
    return _turning(first, last, first, trees.momenta[chain, TREE]) or trees.depth[chain] == MAX_DEPTH


@njit(cache=True, error_model="numpy")
def _lengthened(trees: Growing, chain: int, here: np.ndarray, density: float, log_weight: float, keep: float) -> bool:
    """Take `here` into the subtree; whether a subtree of it that ends here (or it itself) makes a U-turn."""
    momentum, momenta = here[MOMENTUM], trees.momenta[chain, SUBTREE]
    momenta += momentum
    trees.weight[chain, SUBTREE] = logaddexp(trees.weight[chain, SUBTREE], log_weight)
    if math.log(keep) < log_weight - trees.weight[chain, SUBTREE]:
        trees.drawn[chain, SUBTREE] = here[:MOMENTUM]
        trees.density[chain, SUBTREE] = density
    leaf, level = trees.leaf[chain], 0
    trees.leaf[chain] += 1
    # As many levels are open as there are ones in the leaf's number, and each trailing one closes a level.
    for bit in range(1, MAX_DEPTH):
        level += (leaf >> bit) & 1
    if leaf % 2 == 0:
        trees.ends[chain, level], trees.sums[chain, level] = momentum, momenta
    while leaf % 2:
        if _turning(trees.ends[chain, level], momentum, trees.sums[chain, level], momenta):
            return True
        leaf, level = leaf >> 1, level - 1
    return False


@njit(cache=True, error_model="numpy")
def _merge(trees: Growing, chain: int, move: float) -> None:
    """Take the whole subtree into the trajectory, and begin another doubling."""
    weight, density, momenta = trees.weight[chain], trees.density[chain], trees.momenta[chain]
    if math.log(move) < weight[SUBTREE] - weight[TREE]:
        trees.drawn[chain, TREE] = trees.drawn[chain, SUBTREE]
        density[TREE] = density[SUBTREE]
    weight[TREE] = logaddexp(weight[TREE], weight[SUBTREE])
    momenta[TREE] += momenta[SUBTREE]
    trees.depth[chain] += 1
    _double(trees, chain)


@njit(cache=True, error_model="numpy")
def _keep(trees: Growing, chain: int, run: Run) -> None:
    """Write down what the transition came to."""
    at, steps = trees.transition[chain], trees.steps[chain]
    run.position[at, chain] = trees.drawn[chain, TREE, POSITION]
    numbers = run.numbers[at, chain]
    numbers[0], numbers[1], numbers[2] = trees.density[chain, TREE], trees.acceptance[chain] / steps, trees.energy[chain]
    numbers[3], numbers[4], numbers[5] = trees.diverging[chain], trees.depth[chain], steps


@njit(cache=True, error_model="numpy")
def _turning(first: np.ndarray, last: np.ndarray, before: np.ndarray, momenta: np.ndarray) -> bool:
    """Whether a stretch from the momentum `first` to `last` turns back; `before` is the sum up to `first`, `momenta` that to `last`."""
    begin = end = 0.0
    for i in range(len(first)):
        middle = momenta[i] - before[i] + 0.5 * (first[i] - last[i])
        begin += first[i] * middle
        end += last[i] * middle
    return begin <= 0 or end <= 0


@njit(cache=True, error_model="numpy")
def _uniform(key: int, transition: int, leaf: int) -> tuple[float, float, float]:
    """The three numbers of a leaf, as `noise.uniform` makes them."""
    place = key + (np.uint64((transition << MAX_DEPTH + 1) + leaf) << np.uint64(20)) * MULTIPLIERS[0]
    return _number(place, 1), _number(place, 2), _number(place, 3)


@njit(cache=True, error_model="numpy")
def _number(place: int, lane: int) -> float:
    bits = place + MULTIPLIERS[0] * np.uint64(lane)
    bits = (bits ^ (bits >> np.uint64(30))) * MULTIPLIERS[1]
    bits = (bits ^ (bits >> np.uint64(27))) * MULTIPLIERS[2]
    bits ^= bits >> np.uint64(31)
    return (np.float64(bits >> np.uint64(11)) + 0.5) * 2.0**-53
