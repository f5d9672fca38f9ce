"""Recursions along hidden semi-Markov chains as compiled loops, for the CPU. Every series of a batch is independent.

Shapes: start (N, K), transition (N, K, K), durations and survival (N, K, D), emission (N, T, K), lengths (N,); all but the last are
logarithms, and nothing is ever normalised or lost. Within a series `begins[t, k]` is log p(x_1..t-1, a segment of state k begins at t),
and `ends[t, k]` log p(x_1..t, one ends there): what goes before a segment, and after, depends on no more than its state.

Reference: Yu 2010, "Hidden semi-Markov models", Artificial Intelligence 174.
"""

from typing import Any

import numpy as np
from numba import carray

from .markov_log_kernels import compiled, log_sum


@compiled
def evidence(
    begin: int,
    end: int,
    start: np.ndarray,
    transition: np.ndarray,
    durations: np.ndarray,
    survival: np.ndarray,
    emission: np.ndarray,
    lengths: np.ndarray,
    gradient: bool,
    logs: np.ndarray,
    grads: tuple[np.ndarray, ...],
) -> None:
    """logs (N,): the log evidence of the first steps of each series, as many as its length; grads: in the five arguments.

    They are expected numbers: of first segments by state, of moves, of segments by state and duration, of last ones by state and how
    long they have lasted, and the probabilities of states at each step.
    """
    steps, states = emission.shape[1:]
    begins, ends = np.empty((steps, states)), np.empty((steps, states))
    for n in range(begin, end):
        shown = emission[n, : lengths[n]]
        last = len(shown) - 1
        _forward(start[n], transition[n], durations[n], shown, begins, ends)
        logs[n] = log_sum(_alive(begins, survival[n], shown, last))
        if gradient:
            own = (grads[0][n], grads[1][n], grads[2][n], grads[3][n], grads[4][n])
            # Zero of a series that cannot be, and NaN where that is what was seen.
            nothing = logs[n] if np.isnan(logs[n]) else 0.0
            own[0][:], own[1][:], own[2][:], own[3][:], own[4][:] = nothing, nothing, nothing, nothing, nothing
            if logs[n] > -np.inf:
                _backward((transition[n], durations[n], survival[n], shown), begins, ends, logs[n], own)


def evidence_at(
    start: Any,
    transition: Any,
    durations: Any,
    survival: Any,
    emission: Any,
    lengths: Any,
    logs: Any,
    start_grad: Any,
    transition_grad: Any,
    durations_grad: Any,
    survival_grad: Any,
    emission_grad: Any,
    sizes: Any,
) -> None:
    """`evidence` of all series, for `inference.native`: pointers to each tensor, and to sizes and `gradient`."""
    told = carray(sizes, 6)
    series, states, longest, steps, asked, gradient = told[0], told[1], told[2], told[3], told[4], told[5] != 0
    given = (
        carray(start, (series, states)).astype(np.float64),
        carray(transition, (series, states, states)).astype(np.float64),
        carray(durations, (series, states, longest)).astype(np.float64),
        carray(survival, (series, states, longest)).astype(np.float64),
        carray(emission, (series, steps, states)).astype(np.float64),
    )
    grads = (
        np.empty((asked, states)),
        np.empty((asked, states, states)),
        np.empty((asked, states, longest)),
        np.empty((asked, states, longest)),
        np.empty((asked, steps, states)),
    )
    evidence(0, series, *given, carray(lengths, series), gradient, carray(logs, series), grads)
    carray(start_grad, grads[0].shape)[:] = grads[0]
    carray(transition_grad, grads[1].shape)[:] = grads[1]
    carray(durations_grad, grads[2].shape)[:] = grads[2]
    carray(survival_grad, grads[3].shape)[:] = grads[3]
    carray(emission_grad, grads[4].shape)[:] = grads[4]


@compiled
def filter(
    begin: int,
    end: int,
    start: np.ndarray,
    transition: np.ndarray,
    durations: np.ndarray,
    survival: np.ndarray,
    emission: np.ndarray,
    filtered: np.ndarray,
    increments: np.ndarray,
) -> None:
    """filtered (N, T, K): log p(z_t | x_1..t). increments (N, T): log p(x_t | x_1..t-1); minus infinity from a step that cannot be."""
    steps, states = emission.shape[1:]
    begins, ends = np.empty((steps, states)), np.empty((steps, states))
    for n in range(begin, end):
        _forward(start[n], transition[n], durations[n], emission[n], begins, ends)
        before = 0.0
        for t in range(steps):
            filtered[n, t] = _alive(begins, survival[n], emission[n], t)
            total = log_sum(filtered[n, t])
            increments[n, t] = total - before if total > -np.inf else total
            if total > -np.inf:
                filtered[n, t] -= total
            before = total


@compiled
def viterbi(
    begin: int,
    end: int,
    start: np.ndarray,
    transition: np.ndarray,
    durations: np.ndarray,
    survival: np.ndarray,
    emission: np.ndarray,
    paths: np.ndarray,
) -> None:
    """paths (N, T): the likeliest path of segments of each series; of equal ones, that of the lower states and shorter segments."""
    steps, states = emission.shape[1:]
    begins, ends = np.empty((steps, states)), np.empty((steps, states))
    before, lasted = np.zeros((steps, states), np.int64), np.zeros((steps, states), np.int64)
    for n in range(begin, end):
        for t in range(steps):
            for k in range(states):
                begins[t, k] = start[n, k]
                if t > 0:
                    moved = ends[t - 1] + transition[n, :, k]
                    before[t, k] = moved.argmax()
                    begins[t, k] = moved[before[t, k]]
            law = durations[n] if t < steps - 1 else survival[n]
            for k in range(states):
                terms = _terms(begins, law, emission[n], t, k)
                lasted[t, k] = terms.argmax() + 1
                ends[t, k] = terms.max()
        t, state = steps - 1, ends[steps - 1].argmax()
        while True:
            first = t - lasted[t, state] + 1
            paths[n, first : t + 1] = state
            if first <= 0:
                break
            t, state = first - 1, before[first, state]


@compiled
def sample(
    begin: int,
    end: int,
    start: np.ndarray,
    transition: np.ndarray,
    durations: np.ndarray,
    survival: np.ndarray,
    emission: np.ndarray,
    uniform: np.ndarray,
    paths: np.ndarray,
) -> None:
    """paths (N, T): each drawn from p(z | x), segment by segment from the last, given random numbers (N, T, 2)."""
    steps, states = emission.shape[1:]
    begins, ends = np.empty((steps, states)), np.empty((steps, states))
    for n in range(begin, end):
        _forward(start[n], transition[n], durations[n], emission[n], begins, ends)
        t, law = steps - 1, survival[n]
        state = _pick(_alive(begins, law, emission[n], t), uniform[n, t, 0])
        while True:
            first = t - _pick(_terms(begins, law, emission[n], t, state), uniform[n, t, 1])
            paths[n, first : t + 1] = state
            if first <= 0:
                break
            t, law = first - 1, durations[n]
            state = _pick(ends[t] + transition[n, :, state], uniform[n, t, 0])


@compiled
def _forward(
    start: np.ndarray, transition: np.ndarray, durations: np.ndarray, emission: np.ndarray, begins: np.ndarray, ends: np.ndarray
) -> None:
    for t in range(len(emission)):
        for k in range(len(start)):
            begins[t, k] = start[k] if t == 0 else log_sum(ends[t - 1] + transition[:, k])
        ends[t] = _alive(begins, durations, emission, t)


@compiled
def _alive(begins: np.ndarray, law: np.ndarray, emission: np.ndarray, t: int) -> np.ndarray:
    """(K,) log p(x_1..t, a segment of state k lasts until t), by the law (K, D) of its length: that it ends there, or that it does not
    end before."""
    found = np.empty(len(law))
    for k in range(len(law)):
        found[k] = log_sum(_terms(begins, law, emission, t, k))
    return found


@compiled
def _terms(begins: np.ndarray, law: np.ndarray, emission: np.ndarray, t: int, k: int) -> np.ndarray:
    """The same of one state, by the number of steps that the segment has lasted."""
    terms = np.empty(min(law.shape[1], t + 1))
    shown = 0.0
    for before in range(len(terms)):
        shown += emission[t - before, k]
        terms[before] = begins[t - before, k] + law[k, before] + shown
    return terms


@compiled
def _backward(given: tuple[np.ndarray, ...], begins: np.ndarray, ends: np.ndarray, total: float, grads: tuple[np.ndarray, ...]) -> None:
    """The expected numbers of one series that `_forward` has been along, added to what `grads` hold."""
    transition, durations, survival, emission = given
    first, moves, lasting, alive, smoothed = grads
    steps, states = emission.shape
    # log p(x_t.. | a segment of state k begins at t), and log p(x_t+1.. | one ends at t).
    after, following = np.empty(states), np.empty((steps, states))
    for t in range(steps - 1, -1, -1):
        for k in range(states):
            after[k], began = _onwards(given, following, begins[t, k] - total, t, k, lasting[k], alive[k])
            smoothed[t, k] += began
            if t == 0:
                first[k] = began
        if t > 0:
            for j in range(states):
                following[t - 1, j] = log_sum(transition[j] + after)
                # What ends at a step is there no more at the next.
                smoothed[t, j] -= np.exp(ends[t - 1, j] + following[t - 1, j] - total)
                for k in range(states):
                    moves[j, k] += np.exp(ends[t - 1, j] + transition[j, k] + after[k] - total)
    for t in range(1, steps):
        for k in range(states):
            smoothed[t, k] = max(smoothed[t, k] + smoothed[t - 1, k], 0.0)


@compiled
def _onwards(
    given: tuple[np.ndarray, ...], following: np.ndarray, before: float, t: int, k: int, lasting: np.ndarray, alive: np.ndarray
) -> tuple[float, float]:
    """log p(x_t.. | a segment of state k begins at t), and the probability that one does, given the log share `before` of the paths
    that come so far; its length is added to the expected numbers (D,)."""
    _, durations, survival, emission = given
    left = len(emission) - t
    terms = np.empty(min(durations.shape[1], left))
    shown = 0.0
    for more in range(len(terms)):
        shown += emission[t + more, k]
        terms[more] = shown + (durations[k, more] + following[t + more, k] if more + 1 < left else survival[k, more])
    top = terms.max()
    if not top > -np.inf:
        return top, 0.0
    weight, whole = np.exp(terms - top), 0.0
    share = np.exp(before + top)
    for more in range(len(terms)):
        whole += weight[more]
        if more + 1 < left:
            lasting[more] += share * weight[more]
        else:
            alive[more] += share * weight[more]
    return top + np.log(whole), share * whole


@compiled
def _pick(logs: np.ndarray, uniform: float) -> int:
    """One of the entries, by a random number."""
    weight = np.exp(logs - logs.max())
    left, chosen = uniform * weight.sum(), 0
    while chosen < len(weight) - 1 and left >= weight[chosen]:
        left -= weight[chosen]
        chosen += 1
    return chosen
