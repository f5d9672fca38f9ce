"""The recursions of `zoo/series/markov_kernels.py` for many series side by side, so that one instruction does a step of several of them.

A step of one series is little work and waits for the step before; side by side, series fill the processor's vector registers. All
arrays within have the series, a lane each, along their last axis. A series of which something may be lost is not done again: it is `NaN`.
"""

import numpy as np
from numba import njit

from .markov_kernels import LITTLE, LOST
from .markov_log_kernels import FAST

# Series side by side: fewer do not pay, more do not fit into the cache.
FEWEST, MOST = 16, 32
# Steps whose norms, each at least LITTLE, can be multiplied before a logarithm is due.
TOGETHER = 8
# Added to a number, it leaves its integer part in the last bits.
SHIFT = 1.5 * 2.0**52

compiled = njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)


@compiled
def forward_backward(
    begin: int,
    end: int,
    start: np.ndarray,
    transition: np.ndarray,
    emission: np.ndarray,
    gradient: bool,
    evidence: np.ndarray,
    smoothed: np.ndarray,
    counts: np.ndarray,
) -> None:
    """As that of `markov_kernels`."""
    steps, states = emission.shape[1:]
    groups = (end - begin + MOST - 1) // MOST
    for group in range(groups):
        first, last = begin + group * (end - begin) // groups, begin + (group + 1) * (end - begin) // groups
        lanes, some = last - first, slice(first, last)
        filtered, weights, norms = np.empty((steps, states, lanes)), np.empty((steps, states, lanes)), np.empty((steps, lanes))
        begins, moves = np.empty((states, lanes)), np.empty((*transition.shape[1:], lanes))
        guarded = _probabilities(start[some], transition[some], begins, moves) < LITTLE
        _forward(begins, moves, emission[some], guarded, weights, filtered, norms, evidence[some])
        if gradient:
            _backward(moves, weights, filtered, norms, smoothed[some], counts[some])


@compiled
def _probabilities(start: np.ndarray, transition: np.ndarray, begins: np.ndarray, moves: np.ndarray) -> float:
    """The exponentials of logarithms (lane, ...), lanes last, and the least of those of the transitions."""
    least, states = 1.0, start.shape[1]
    for lane in range(len(start)):
        for k in range(states):
            begins[k, lane] = np.exp(np.float64(start[lane, k]))
        for s in range(len(moves)):
            for j in range(states):
                for k in range(states):
                    moves[s, j, k, lane] = np.exp(np.float64(transition[lane, s, j, k]))
                    least = min(least, moves[s, j, k, lane])
    return least


@compiled
def _forward(
    begins: np.ndarray,
    moves: np.ndarray,
    emission: np.ndarray,
    guarded: bool,
    weights: np.ndarray,
    filtered: np.ndarray,
    norms: np.ndarray,
    total: np.ndarray,
) -> None:
    """total (lane,): the log evidence; the rest as in `markov_kernels`."""
    steps, _, lanes = filtered.shape
    product, lost = np.ones(lanes), np.zeros(lanes, np.bool_)
    total[:] = 0.0
    for t in range(steps):
        if t == 0:
            filtered[0] = begins
        else:
            _predict(filtered[t - 1], moves[(t - 1) % len(moves)], filtered[t])
        _weigh(emission, t, weights[t], total)
        if guarded:
            _watch(filtered[t], weights[t], emission, t, lost)
        _condition(filtered[t], weights[t], norms[t])
        for lane in range(lanes):
            lost[lane] |= not norms[t, lane] > LITTLE
            product[lane] *= norms[t, lane]
        if t % TOGETHER == 0:
            for lane in range(lanes):
                total[lane] += np.log(product[lane])
                product[lane] = 1.0
    for lane in range(lanes):
        total[lane] = np.nan if lost[lane] else total[lane] + np.log(product[lane])


@compiled
def _predict(before: np.ndarray, moves: np.ndarray, now: np.ndarray) -> None:
    """p(z_t | x_1..t-1) from p(z_t-1 | x_1..t-1), both (K, lane)."""
    states, lanes = now.shape
    for k in range(states):
        for lane in range(lanes):
            now[k, lane] = 0.0
    for j in range(states):
        for k in range(states):
            for lane in range(lanes):
                now[k, lane] += before[j, lane] * moves[j, k, lane]


@compiled
def _weigh(emission: np.ndarray, t: int, weight: np.ndarray, total: np.ndarray) -> None:
    """The likelihoods (K, lane) of step t, the largest being one; the logarithm of what that takes out is added to `total`."""
    states, lanes = weight.shape
    top = np.full(lanes, -np.inf)
    for k in range(states):
        for lane in range(lanes):
            weight[k, lane] = emission[lane, t, k]
            top[lane] = max(top[lane], weight[k, lane])
    for lane in range(lanes):
        total[lane] += top[lane]
    for k in range(states):
        for lane in range(lanes):
            weight[k, lane] = _exp(weight[k, lane] - top[lane])


@compiled
def _watch(now: np.ndarray, weight: np.ndarray, emission: np.ndarray, t: int, lost: np.ndarray) -> None:
    """Mark the series that lose a state which is possible."""
    for k in range(len(now)):
        for lane in range(len(lost)):
            gone = now[k, lane] * weight[k, lane] < LOST
            lost[lane] |= gone and now[k, lane] > 0 and emission[lane, t, k] > -np.inf


@compiled
def _condition(now: np.ndarray, weight: np.ndarray, norm: np.ndarray) -> None:
    """p(z_t | x_1..t) in place of p(z_t | x_1..t-1), (K, lane), and the step's norm (lane,)."""
    states, lanes = now.shape
    norm[:] = 0.0
    for k in range(states):
        for lane in range(lanes):
            now[k, lane] *= weight[k, lane]
            norm[lane] += now[k, lane]
    for k in range(states):
        for lane in range(lanes):
            now[k, lane] /= norm[lane]


@compiled
def _backward(
    moves: np.ndarray, weights: np.ndarray, filtered: np.ndarray, norms: np.ndarray, smoothed: np.ndarray, counts: np.ndarray
) -> None:
    """As in `markov_kernels`; `filtered` is used up."""
    steps, states, lanes = filtered.shape
    beta, mass, after = np.ones((states, lanes)), np.empty((states, lanes)), np.empty(lanes)
    total = np.zeros((states, states, lanes))
    for t in range(steps - 1, 0, -1):
        table, now, before, weight, norm = moves[(t - 1) % len(moves)], filtered[t], filtered[t - 1], weights[t], norms[t]
        for k in range(states):
            for lane in range(lanes):
                # Where no path leads, what would follow may be beyond all numbers.
                mass[k, lane] = weight[k, lane] * beta[k, lane] / norm[lane] if now[k, lane] > 0 else 0.0
                now[k, lane] *= beta[k, lane]
        for k in range(states):
            for lane in range(lanes):
                smoothed[lane, t, k] = now[k, lane]
        for j in range(states):
            after[:] = 0.0
            for k in range(states):
                for lane in range(lanes):
                    after[lane] += table[j, k, lane] * mass[k, lane]
                    total[j, k, lane] += before[j, lane] * mass[k, lane]
            beta[j] = after
        if len(moves) > 1:
            _take(total, table, counts, t - 1)
    for k in range(states):
        for lane in range(lanes):
            smoothed[lane, 0, k] = filtered[0, k, lane] * beta[k, lane]
    if len(moves) == 1:
        _take(total, moves[0], counts, 0)
    counts[:, steps - 1 :] = 0.0


@compiled
def _take(total: np.ndarray, moves: np.ndarray, counts: np.ndarray, step: int) -> None:
    """Turn what was summed into expected transitions, and begin anew."""
    states, _, lanes = total.shape
    for j in range(states):
        for k in range(states):
            for lane in range(lanes):
                counts[lane, step, j, k] = total[j, k, lane] * moves[j, k, lane]
                total[j, k, lane] = 0.0


@njit(cache=True, nogil=True, fastmath={"contract"})
def _exp(x: float) -> float:
    """exp(x) for x <= 0, by operations that run side by side; zero below -700.

    2^n times a Taylor series of r, where x = n log(2) + r and |r| <= log(2) / 2; log(2) in two parts, so that r keeps its digits.
    """
    shifted = max(x, -700.0) * 1.4426950408889634 + SHIFT
    n = shifted - SHIFT
    r = max(x, -700.0) - n * 0.6931471803691238 - n * 1.9082149292705877e-10
    s = 1 / 6227020800
    s = s * r + 1 / 479001600
    s = s * r + 1 / 39916800
    s = s * r + 1 / 3628800
    s = s * r + 1 / 362880
    s = s * r + 1 / 40320
    s = s * r + 1 / 5040
    s = s * r + 1 / 720
    s = s * r + 1 / 120
    s = s * r + 1 / 24
    s = s * r + 1 / 6
    s = s * r + 0.5
    s = s * r + 1.0
    s = s * r + 1.0
    power = np.int64((np.float64(shifted).view(np.int64) + 1023) << 52).view(np.float64)
    return 0.0 if x < -700.0 else s * power
