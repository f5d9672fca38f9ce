"""The recursions of `zoo/series/markov_kernels.py` in log space: slower, and nothing is ever lost."""

import numpy as np
from numba import njit

# All but "nnan" and "ninf": logarithms of zero are at home here.
FAST = {"reassoc", "contract", "arcp", "nsz"}

compiled = njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)


@compiled
def log_forward(start: np.ndarray, transition: np.ndarray, emission: np.ndarray, filtered: np.ndarray, increments: np.ndarray) -> None:
    """log p(z_t | x_1..t) (T, K) and log p(x_t | x_1..t-1) (T,) of one series; all minus infinity from a step that cannot be."""
    steps, states = emission.shape
    for t in range(steps):
        for k in range(states):
            if t == 0:
                filtered[t, k] = start[k]
            else:
                filtered[t, k] = log_sum(filtered[t - 1] + transition[(t - 1) % len(transition), :, k])
            filtered[t, k] += emission[t, k]
        increments[t] = log_sum(filtered[t])
        if increments[t] > -np.inf or np.isnan(increments[t]):
            filtered[t] -= increments[t]


@compiled
def log_backward(
    transition: np.ndarray, emission: np.ndarray, filtered: np.ndarray, increments: np.ndarray, smoothed: np.ndarray, counts: np.ndarray
) -> None:
    """p(z_t | x) (T, K) and expected transitions (S, K, K), after `log_forward`; zero where the series cannot be."""
    steps, states = emission.shape
    if not increments[steps - 1] > -np.inf:
        # Zero, or NaN where that is what was seen.
        smoothed[:] = np.exp(increments[steps - 1])
        counts[:] = np.exp(increments[steps - 1])
        return
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
                beta[j] = log_sum(transition[step, j] + mass)
    counts[:] = total


@compiled
def log_sum(logs: np.ndarray) -> float:
    """The logarithm of the sum of exponentials; `NaN` if one of them is."""
    top = -np.inf
    for log in logs:
        top = max(top, log)
    if top == -np.inf:
        return logs.sum()
    total = 0.0
    for log in logs:
        total += np.exp(log - top)
    return top + np.log(total)
