"""Recursions along hidden Markov chains as compiled loops, for the CPU. Every series of a batch is independent.

Shapes, here and in `zoo/markov_scan.py`: start (N, K), transition (N, S, K, K) with S = T - 1, or 1 where it is the same at all
steps, emission (N, T, K); all are logarithms. Sums are kept in double precision whatever the dtype of these.

`forward_backward` works on probabilities, normalised at every step. Where next to nothing is left (transitions are forbidden, or all
but) it gives up a series, and `log_forward_backward` does it again in log space, which loses nothing.

Reference: Rabiner 1989, "A tutorial on hidden Markov models and selected applications in speech recognition", Proc. IEEE 77.
"""

import numpy as np
from numba import njit

# All but "nnan" and "ninf": logarithms of zero are at home here.
FAST = {"reassoc", "contract", "arcp", "nsz"}
LITTLE = 1e-30

compiled = njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)


@compiled
def forward_backward(begin, end, start, transition, emission, gradient, evidence, smoothed, counts):  # noqa: ANN001, ANN201
    """The log evidence (N,) of series `begin` to `end` and, if asked for, its gradients; `NaN` for a series that is given up.

    smoothed: (N, T, K) p(z_t | x), the gradient in the emission. counts: (N, S, K, K) expected transitions, that in the transition.
    """
    steps, states = emission.shape[1:]
    filtered, weights, norms = np.empty((steps, states)), np.empty((steps, states)), np.empty(steps)
    first, moves = np.empty(states), np.empty(transition.shape[1:])
    for n in range(begin, end):
        for k in range(states):
            first[k] = np.exp(np.float64(start[n, k]))
        for s in range(len(moves)):
            for j in range(states):
                for k in range(states):
                    moves[s, j, k] = np.exp(np.float64(transition[n, s, j, k]))
        evidence[n] = _forward(first, moves, emission[n], weights, filtered, norms)
        if gradient and not np.isnan(evidence[n]):
            _backward(moves, weights, filtered, norms, smoothed[n], counts[n])


@compiled
def log_forward_backward(begin, end, start, transition, emission, gradient, evidence, smoothed, counts):  # noqa: ANN001, ANN201
    """What `forward_backward` gives, in log space."""
    steps, states = emission.shape[1:]
    filtered, increments = np.empty((steps, states)), np.empty(steps)
    for n in range(begin, end):
        _log_forward(start[n], transition[n], emission[n], filtered, increments)
        evidence[n] = increments.sum()
        if gradient:
            _log_backward(transition[n], emission[n], filtered, increments, smoothed[n], counts[n])


@compiled
def filter(begin, end, start, transition, emission, filtered, increments):  # noqa: ANN001, ANN201
    """filtered (N, T, K): log p(z_t | x_1..t). increments (N, T): log p(x_t | x_1..t-1)."""
    for n in range(begin, end):
        _log_forward(start[n], transition[n], emission[n], filtered[n], increments[n])


@compiled
def viterbi(begin, end, start, transition, emission, paths):  # noqa: ANN001, ANN201
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
def sample(begin, end, transition, filtered, uniform, paths):  # noqa: ANN001, ANN201
    """paths (N, T): each drawn from p(z | x), backwards, given the log `filtered` (N, T, K) and random numbers (N, T)."""
    steps, states = filtered.shape[1:]
    weight = np.empty(states)
    for n in range(begin, end):
        for t in range(steps - 1, -1, -1):
            table = transition[n, t % transition.shape[1]]
            for j in range(states):
                weight[j] = filtered[n, t, j] + (table[j, paths[n, t + 1]] if t < steps - 1 else 0.0)
            weight[:] = np.exp(weight - weight.max())
            left, state = uniform[n, t] * weight.sum(), 0
            while state < states - 1 and left >= weight[state]:
                left -= weight[state]
                state += 1
            paths[n, t] = state


@compiled
def _forward(start, transition, emission, weights, filtered, norms):  # noqa: ANN001, ANN202
    """Log evidence of one series, given probabilities and the log emission (T, K).

    weights: (T, K) the emission's likelihoods, the largest of a step being one. filtered: (T, K) p(z_t | x_1..t).
    norms: (T,) p(x_t | x_1..t-1), up to the factors taken out of `weights`.
    """
    steps, states = emission.shape
    total, product = 0.0, 1.0
    for t in range(steps):
        if t == 0:
            for k in range(states):
                filtered[0, k] = start[k]
        else:
            table = transition[(t - 1) % len(transition)]
            for k in range(states):
                filtered[t, k] = 0.0
            for j in range(states):
                before = filtered[t - 1, j]
                for k in range(states):
                    filtered[t, k] += before * table[j, k]
        top = emission[t, 0]
        for k in range(1, states):
            top = max(top, emission[t, k])
        total += top
        norm = 0.0
        for k in range(states):
            weights[t, k] = np.exp(emission[t, k] - top)
            filtered[t, k] *= weights[t, k]
            norm += filtered[t, k]
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
def _backward(transition, weights, filtered, norms, smoothed, counts):  # noqa: ANN001, ANN202
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
            mass[k] = weights[t, k] * beta[k] * scale
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
def _take(total, transition, counts):  # noqa: ANN001, ANN202
    """Turn what was summed into expected transitions, and begin anew."""
    for j in range(len(total)):
        for k in range(len(total)):
            counts[j, k] = total[j, k] * transition[j, k]
            total[j, k] = 0.0


@compiled
def _log_forward(start, transition, emission, filtered, increments):  # noqa: ANN001, ANN202
    """Log probabilities of the state given what was seen so far, and of what is seen given what was before."""
    steps, states = emission.shape
    for t in range(steps):
        for k in range(states):
            if t == 0:
                filtered[t, k] = start[k]
            else:
                filtered[t, k] = _log_sum(filtered[t - 1] + transition[(t - 1) % len(transition), :, k])
            filtered[t, k] += emission[t, k]
        increments[t] = _log_sum(filtered[t])
        filtered[t] -= increments[t]


@compiled
def _log_backward(transition, emission, filtered, increments, smoothed, counts):  # noqa: ANN001, ANN202
    """What `_backward` gives, after `_log_forward`."""
    steps, states = emission.shape
    beta, mass = np.zeros(states), np.empty(states)
    total = np.zeros(counts.shape)
    for t in range(steps - 1, -1, -1):
        for k in range(states):
            smoothed[t, k] = np.exp(filtered[t, k] + beta[k])
            mass[k] = emission[t, k] + beta[k] - increments[t]
        if t > 0:
            step = (t - 1) % len(transition)
            for j in range(states):
                for k in range(states):
                    total[step, j, k] += np.exp(filtered[t - 1, j] + transition[step, j, k] + mass[k])
                beta[j] = _log_sum(transition[step, j] + mass)
    counts[:] = total


@compiled
def _log_sum(logs):  # noqa: ANN001, ANN202
    top = -np.inf
    for log in logs:
        top = max(top, log)
    if top == -np.inf:
        return top
    total = 0.0
    for log in logs:
        total += np.exp(log - top)
    return top + np.log(total)
