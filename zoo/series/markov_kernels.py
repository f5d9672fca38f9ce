"""Recursions along hidden Markov chains as compiled loops, for the CPU. Every series of a batch is independent.

Shapes, here and in `zoo/series/markov_scan.py`: start (N, K), transition (N, S, K, K) with S = T - 1, or 1 where it is the same at all
steps, emission (N, T, K); all are logarithms. Sums are kept in double precision whatever the dtype of these.

Probabilities, normalised at every step, are fast and lose what lies below 1e-300. Where every transition is likelier than LITTLE that
does not matter: at the next step each state receives more than ever was lost. Where some are not (they are forbidden, say), what is lost
might have come to matter; a series in which that may be is done again in log space (`markov_log_kernels`), which loses nothing.

Reference: Rabiner 1989, "A tutorial on hidden Markov models and selected applications in speech recognition", Proc. IEEE 77.
"""

import numpy as np
from numba import njit

from .markov_log_kernels import FAST, log_backward, log_forward

LITTLE, LOST = 1e-30, 1e-200

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
    """The log evidence (N,) of series `begin` to `end` and, if asked for, its gradients.

    smoothed: (N, T, K) p(z_t | x), the gradient in the emission. counts: (N, S, K, K) expected transitions, that in the transition.
    Of a series that cannot be, both are zero.
    """
    steps, states = emission.shape[1:]
    filtered, weights, norms = np.empty((steps, states)), np.empty((steps, states)), np.empty(steps)
    first, moves = np.empty(states), np.empty(transition.shape[1:])
    for n in range(begin, end):
        least = _probabilities(start[n], transition[n], first, moves)
        evidence[n] = _forward(first, moves, emission[n], least < LITTLE, weights, filtered, norms)
        if np.isnan(evidence[n]):
            log_forward(start[n], transition[n], emission[n], filtered, norms)
            evidence[n] = norms.sum()
            if gradient:
                log_backward(transition[n], emission[n], filtered, norms, smoothed[n], counts[n])
        elif gradient:
            _backward(moves, weights, filtered, norms, smoothed[n], counts[n])


@compiled
def filter(
    begin: int,
    end: int,
    start: np.ndarray,
    transition: np.ndarray,
    emission: np.ndarray,
    filtered: np.ndarray,
    increments: np.ndarray,
) -> None:
    """filtered (N, T, K): log p(z_t | x_1..t). increments (N, T): log p(x_t | x_1..t-1)."""
    steps, states = emission.shape[1:]
    weights = np.empty((steps, states))
    first, moves = np.empty(states), np.empty(transition.shape[1:])
    for n in range(begin, end):
        least = _probabilities(start[n], transition[n], first, moves)
        if np.isnan(_forward(first, moves, emission[n], least < LITTLE, weights, filtered[n], increments[n])):
            log_forward(start[n], transition[n], emission[n], filtered[n], increments[n])
        else:
            for t in range(steps):
                increments[n, t] = np.log(increments[n, t]) + emission[n, t].max()
                for k in range(states):
                    filtered[n, t, k] = np.log(filtered[n, t, k])


@compiled
def viterbi(begin: int, end: int, start: np.ndarray, transition: np.ndarray, emission: np.ndarray, paths: np.ndarray) -> None:
    """paths (N, T): the likeliest path of each series; of equal ones, that of the lower states."""
    steps, states = emission.shape[1:]
    back = np.empty((steps, states), np.int32)
    for n in range(begin, end):
        best = (start[n] + emission[n, 0]).astype(np.float64)
        for t in range(1, steps):
            before = best.copy()
            table = transition[n, (t - 1) % transition.shape[1]]
            for k in range(states):
                back[t, k] = 0
                for j in range(1, states):
                    if before[j] + table[j, k] > before[back[t, k]] + table[back[t, k], k]:
                        back[t, k] = j
                best[k] = before[back[t, k]] + table[back[t, k], k] + emission[n, t, k]
        paths[n, steps - 1] = best.argmax()
        for t in range(steps - 1, 0, -1):
            paths[n, t - 1] = back[t, paths[n, t]]


@compiled
def sample(begin: int, end: int, transition: np.ndarray, filtered: np.ndarray, uniform: np.ndarray, paths: np.ndarray) -> None:
    """paths (N, T): each drawn from p(z | x), backwards, given the log `filtered` (N, T, K) and random numbers (N, T)."""
    steps, states = filtered.shape[1:]
    weight = np.empty(states)
    for n in range(begin, end):
        for t in range(steps - 1, -1, -1):
            weight[:] = filtered[n, t]
            if t < steps - 1:
                weight += transition[n, t % transition.shape[1], :, paths[n, t + 1]]
            weight[:] = np.exp(weight - weight.max())
            left, state = uniform[n, t] * weight.sum(), 0
            while state < states - 1 and left >= weight[state]:
                left -= weight[state]
                state += 1
            paths[n, t] = state


@compiled
def _probabilities(start: np.ndarray, transition: np.ndarray, first: np.ndarray, moves: np.ndarray) -> float:
    """The exponentials of a series' logarithms, and the least of those of its transitions."""
    least = 1.0
    for k in range(len(start)):
        first[k] = np.exp(np.float64(start[k]))
    for s in range(len(moves)):
        for j in range(len(start)):
            for k in range(len(start)):
                moves[s, j, k] = np.exp(np.float64(transition[s, j, k]))
                least = min(least, moves[s, j, k])
    return least


@compiled
def _moved(before: np.ndarray, table: np.ndarray, after: np.ndarray) -> None:
    """The probabilities (K,) of states a step after they were `before`."""
    after[:] = 0.0
    for j in range(len(before)):
        for k in range(len(before)):
            after[k] += before[j] * table[j, k]


@compiled
def _forward(
    start: np.ndarray,
    transition: np.ndarray,
    emission: np.ndarray,
    guarded: bool,
    weights: np.ndarray,
    filtered: np.ndarray,
    norms: np.ndarray,
) -> float:
    """Log evidence of one series, given probabilities and the log emission (T, K); `NaN` where probabilities lose what may matter.

    guarded: whether anything lost may. weights: (T, K) the emission's likelihoods, the largest of a step being one.
    filtered: (T, K) p(z_t | x_1..t). norms: (T,) p(x_t | x_1..t-1), up to the factors taken out of `weights`.
    """
    steps, states = emission.shape
    total, product = 0.0, 1.0
    for t in range(steps):
        if t == 0:
            filtered[0] = start
        else:
            _moved(filtered[t - 1], transition[(t - 1) % len(transition)], filtered[t])
        top = emission[t, 0]
        for k in range(1, states):
            top = max(top, emission[t, k])
        total += top
        norm = 0.0
        for k in range(states):
            weights[t, k] = np.exp(emission[t, k] - top)
            seen = filtered[t, k] * weights[t, k]
            if guarded and seen < LOST and filtered[t, k] > 0 and emission[t, k] > -np.inf:
                return np.nan
            filtered[t, k] = seen
            norm += seen
        if not norm > LITTLE:
            return np.nan
        scale = 1.0 / norm
        for k in range(states):
            filtered[t, k] *= scale
        norms[t] = norm
        # One logarithm for many steps.
        product *= norm
        if not 1e-200 < product < 1e200:
            total += np.log(product)
            product = 1.0
    return total + np.log(product)


@compiled
def _backward(
    transition: np.ndarray, weights: np.ndarray, filtered: np.ndarray, norms: np.ndarray, smoothed: np.ndarray, counts: np.ndarray
) -> None:
    """Smoothed probabilities and expected transitions of one series that `_forward` has been along."""
    steps, states = filtered.shape
    beta, mass = np.ones(states), np.empty(states)
    for s in range(len(counts)):
        for j in range(states):
            for k in range(states):
                counts[s, j, k] = 0.0
    total = np.zeros((states, states))
    for t in range(steps - 1, 0, -1):
        step = (t - 1) % len(transition)
        scale = 1.0 / norms[t]
        for k in range(states):
            smoothed[t, k] = filtered[t, k] * beta[k]
            # Where no path leads, what would follow may be beyond all numbers.
            mass[k] = weights[t, k] * beta[k] * scale if filtered[t, k] > 0 else 0.0
        for j in range(states):
            before, after = filtered[t - 1, j], 0.0
            for k in range(states):
                after += transition[step, j, k] * mass[k]
                total[j, k] += before * mass[k]
            beta[j] = after
        if len(transition) > 1:
            _take(total, transition[step], counts[step])
    for k in range(states):
        smoothed[0, k] = filtered[0, k] * beta[k]
    if len(transition) == 1:
        _take(total, transition[0], counts[0])


@compiled
def _take(total: np.ndarray, transition: np.ndarray, counts: np.ndarray) -> None:
    """Turn what was summed into expected transitions, and begin anew."""
    for j in range(len(total)):
        for k in range(len(total)):
            counts[j, k] = total[j, k] * transition[j, k]
            total[j, k] = 0.0
