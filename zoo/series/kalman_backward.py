"""The way back along a linear Gaussian state space model: gradients of the log evidence, and moments of the states.

It differentiates the way there (`kalman_kernels`), instruction by instruction. Where the log evidence has the gradients g and G in
the mean a and covariance P of the states at a step given the series so far, their moments given all of it are a + P g and
P + P (2 G - g g') P.

Reference: Durbin & Koopman 2012, "Time series analysis by state space methods", 2nd ed., Oxford, sections 4.4 (smoothing) and 7.3
(the score).
"""

import numpy as np
from numba import njit

from .markov_log_kernels import FAST

compiled = njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
# Called for every number: as calls they would cost four times as much.
inlined = njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST, forceinline=True)


@compiled
def backward(
    transition: np.ndarray,
    loadings: np.ndarray,
    means: np.ndarray,
    covariances: np.ndarray,
    gains: np.ndarray,
    spreads: np.ndarray,
    errors: np.ndarray,
    grads: tuple[np.ndarray, ...],
    smoothed: np.ndarray,
    variances: np.ndarray,
) -> None:
    """Gradients of one series that the way there has been along, and the moments of its states unless `smoothed` is empty.

    It goes back in place: means and covariances are then those before each step was seen.
    """
    in_start, in_transition, in_drift, in_loadings, in_noise, in_x = grads
    in_transition[:], in_drift[:], in_loadings[:], in_noise[:] = 0.0, 0.0, 0.0, 0.0
    states = len(transition)
    # Those of what follows, in the mean and the covariance.
    g, big = np.zeros(states), np.zeros((states, states))
    half, work = np.empty((states, states)), np.empty((2, states))
    for t in range(len(means) - 1, -1, -1):
        mean, covariance = means[t], covariances[t]
        if len(smoothed):
            _moments(mean, covariance, g, big, smoothed[t], variances[t])
        for d in range(len(loadings) - 1, -1, -1):
            in_x[t, d] = 0.0
            if spreads[t, d] != 0.0:
                number = (gains[t, d], spreads[t, d], errors[t, d])
                in_x[t, d], more = _back_over_number(loadings[d], mean, covariance, *number, g, big, work, in_loadings[d])
                in_noise[d] += more
        if t == 0:
            break
        _back_over_step(transition, means[t - 1], covariances[t - 1], g, big, half, work[0], in_transition, in_drift)
    for i in range(states):
        in_start[i] = big[i, i]


@inlined
def _back_over_step(
    transition: np.ndarray,
    mean: np.ndarray,
    covariance: np.ndarray,
    g: np.ndarray,
    big: np.ndarray,
    half: np.ndarray,
    before: np.ndarray,
    in_transition: np.ndarray,
    in_drift: np.ndarray,
) -> None:
    """Gradients in the transition and the drift. `g` and `big` become those before the step, whose mean and covariance are given."""
    states = len(mean)
    product(big, transition, half)
    for i in range(states):
        in_drift[i] += big[i, i]
        before[i] = 0.0
        for j in range(states):
            before[i] += transition[j, i] * g[j]
            in_transition[i, j] += g[i] * mean[j]
        for k in range(states):
            twice = 2 * half[i, k]
            for j in range(states):
                in_transition[i, j] += twice * covariance[k, j]
    for i in range(states):
        g[i] = before[i]
        for j in range(states):
            big[i, j] = 0.0
        for k in range(states):
            for j in range(states):
                big[i, j] += transition[k, i] * half[k, j]


@inlined
def _back_over_number(
    loading: np.ndarray,
    mean: np.ndarray,
    covariance: np.ndarray,
    gain: np.ndarray,
    spread: float,
    error: float,
    g: np.ndarray,
    big: np.ndarray,
    work: np.ndarray,
    in_loading: np.ndarray,
) -> tuple[float, float]:
    """Gradients in a number and its noise. `mean`, `covariance`, `g` and `big` become those before it was seen."""
    states, scale, share, in_gain = len(mean), error / spread, work[0], work[1]
    in_error, in_spread = -scale, 0.5 * (scale * scale - 1 / spread)
    for i in range(states):
        share[i] = gain[i] / spread
    for i in range(states):
        turned = 0.0
        for j in range(states):
            turned += big[i, j] * share[j]
        in_error += g[i] * share[i]
        in_spread += share[i] * (turned - g[i] * scale)
        in_gain[i] = g[i] * scale - 2 * turned
        mean[i] -= share[i] * error
    for i in range(states):
        in_gain[i] += in_spread * loading[i]
    for i in range(states):
        total = in_spread * gain[i] - in_error * mean[i]
        for j in range(states):
            covariance[i, j] += gain[i] * share[j]
            total += covariance[i, j] * in_gain[j]
            big[i, j] += 0.5 * (in_gain[i] * loading[j] + loading[i] * in_gain[j])
        in_loading[i] += total
        g[i] -= in_error * loading[i]
    return in_error, in_spread


@inlined
def _moments(mean: np.ndarray, covariance: np.ndarray, g: np.ndarray, big: np.ndarray, smoothed: np.ndarray, variances: np.ndarray) -> None:
    """Mean and variances of the states at a step given the whole series."""
    states = len(mean)
    for i in range(states):
        row, quadratic, linear = covariance[i], 0.0, 0.0
        for j in range(states):
            linear += row[j] * g[j]
            for k in range(states):
                quadratic += row[j] * big[j, k] * row[k]
        smoothed[i] = mean[i] + linear
        variances[i] = max(0.0, row[i] + 2 * quadratic - linear * linear)


@inlined
def product(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> None:
    """out: the matrix a b."""
    for i in range(len(a)):
        for j in range(b.shape[1]):
            out[i, j] = 0.0
        for k in range(len(b)):
            for j in range(b.shape[1]):
                out[i, j] += a[i, k] * b[k, j]
