"""Recursions along linear Gaussian state space models as compiled loops, for the CPU. Every series of a batch is independent.

Shapes: start (N, K), transition (N, K, K), drift (N, K), loadings (N, D, K), noise (N, D), x (N, T, D). The states have mean zero; start,
drift and noise are variances. All is in double precision.

The noise of the columns is independent, so that a step is taken in one number at a time: no matrix is inverted, and a number that is
missing is passed over. The way back (`kalman_backward`) has the gradients, and the moments of the states given the whole series.

Reference: Durbin & Koopman 2012, "Time series analysis by state space methods", 2nd ed., Oxford, section 6.4.
"""

from typing import Any

import numpy as np
from numba import carray, njit

from .kalman_backward import backward, product
from .markov_log_kernels import FAST

compiled = njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)


@compiled
def evidence(
    begin: int,
    end: int,
    start: np.ndarray,
    transition: np.ndarray,
    drift: np.ndarray,
    loadings: np.ndarray,
    noise: np.ndarray,
    x: np.ndarray,
    gradient: bool,
    logs: np.ndarray,
    grads: tuple[np.ndarray, ...],
) -> None:
    """The log evidence (N,) of series `begin` to `end` and, if asked for, its gradients: arrays shaped as the six arguments."""
    means, covariances, increments, gains, spreads, errors = _scratch(x, loadings)
    nothing = means[:0]
    for n in range(begin, end):
        _forward(start[n], transition[n], drift[n], loadings[n], noise[n], x[n], means, covariances, gains, spreads, errors, increments)
        logs[n] = increments.sum()
        if gradient:
            some = (grads[0][n], grads[1][n], grads[2][n], grads[3][n], grads[4][n], grads[5][n])
            backward(transition[n], loadings[n], means, covariances, gains, spreads, errors, some, nothing, nothing)


def evidence_at(
    start: Any,
    transition: Any,
    drift: Any,
    loadings: Any,
    noise: Any,
    x: Any,
    logs: Any,
    start_grad: Any,
    transition_grad: Any,
    drift_grad: Any,
    loadings_grad: Any,
    noise_grad: Any,
    x_grad: Any,
    sizes: Any,
) -> None:
    """`evidence` of all series, for `inference.native`: pointers to each tensor, and to sizes and `gradient`."""
    told = carray(sizes, 6)
    series, states, columns, steps, asked, gradient = told[0], told[1], told[2], told[3], told[4], told[5] != 0
    given = (
        carray(start, (series, states)).astype(np.float64),
        carray(transition, (series, states, states)).astype(np.float64),
        carray(drift, (series, states)).astype(np.float64),
        carray(loadings, (series, columns, states)).astype(np.float64),
        carray(noise, (series, columns)).astype(np.float64),
        carray(x, (series, steps, columns)).astype(np.float64),
    )
    grads = (
        np.empty((asked, states)),
        np.empty((asked, states, states)),
        np.empty((asked, states)),
        np.empty((asked, columns, states)),
        np.empty((asked, columns)),
        np.empty((asked, steps, columns)),
    )
    evidence(0, series, *given, gradient, carray(logs, series), grads)
    carray(start_grad, grads[0].shape)[:] = grads[0]
    carray(transition_grad, grads[1].shape)[:] = grads[1]
    carray(drift_grad, grads[2].shape)[:] = grads[2]
    carray(loadings_grad, grads[3].shape)[:] = grads[3]
    carray(noise_grad, grads[4].shape)[:] = grads[4]
    carray(x_grad, grads[5].shape)[:] = grads[5]


@compiled
def smooth(
    begin: int,
    end: int,
    start: np.ndarray,
    transition: np.ndarray,
    drift: np.ndarray,
    loadings: np.ndarray,
    noise: np.ndarray,
    x: np.ndarray,
    smoothed: np.ndarray,
    variances: np.ndarray,
) -> None:
    """smoothed, variances (N, T, K): of the states given the whole series."""
    means, covariances, increments, gains, spreads, errors = _scratch(x, loadings)
    unused = (start[0].copy(), transition[0].copy(), drift[0].copy(), loadings[0].copy(), noise[0].copy(), x[0].copy())
    for n in range(begin, end):
        _forward(start[n], transition[n], drift[n], loadings[n], noise[n], x[n], means, covariances, gains, spreads, errors, increments)
        backward(transition[n], loadings[n], means, covariances, gains, spreads, errors, unused, smoothed[n], variances[n])


@compiled
def filter(
    begin: int,
    end: int,
    start: np.ndarray,
    transition: np.ndarray,
    drift: np.ndarray,
    loadings: np.ndarray,
    noise: np.ndarray,
    x: np.ndarray,
    filtered: np.ndarray,
    variances: np.ndarray,
    increments: np.ndarray,
) -> None:
    """filtered, variances (N, T, K): of the states given the series up to each step. increments (N, T): log p(x_t | x_1..t-1)."""
    _, covariances, _, gains, spreads, errors = _scratch(x, loadings)
    for n in range(begin, end):
        given = (start[n], transition[n], drift[n], loadings[n], noise[n], x[n])
        _forward(*given, filtered[n], covariances, gains, spreads, errors, increments[n])
        for t in range(x.shape[1]):
            for i in range(start.shape[1]):
                variances[n, t, i] = covariances[t, i, i]


@compiled
def follow(begin: int, end: int, transition: np.ndarray, shocks: np.ndarray, states: np.ndarray) -> None:
    """states (N, T, K): z_1 = shock_1, z_t = transition z_t-1 + shock_t."""
    for n in range(begin, end):
        for t in range(shocks.shape[1]):
            for i in range(shocks.shape[2]):
                total = shocks[n, t, i]
                if t > 0:
                    for j in range(shocks.shape[2]):
                        total += transition[n, i, j] * states[n, t - 1, j]
                states[n, t, i] = total


@compiled
def _scratch(x: np.ndarray, loadings: np.ndarray) -> tuple[np.ndarray, ...]:
    """What `_forward` keeps of one series."""
    steps, columns, states = x.shape[1], x.shape[2], loadings.shape[2]
    of_states = np.empty((steps, states)), np.empty((steps, states, states)), np.empty(steps)
    return of_states + (np.empty((steps, columns, states)), np.empty((steps, columns)), np.empty((steps, columns)))


@compiled
def _moved(
    transition: np.ndarray,
    drift: np.ndarray,
    before: np.ndarray,
    spread: np.ndarray,
    half: np.ndarray,
    mean: np.ndarray,
    covariance: np.ndarray,
) -> None:
    """The states' mean (K,) and covariance (K, K) a step after they had mean `before` and covariance `spread`."""
    product(transition, spread, half)
    for i in range(len(mean)):
        mean[i] = 0.0
        for j in range(len(mean)):
            mean[i] += transition[i, j] * before[j]
        for j in range(i + 1):
            total = drift[i] if i == j else 0.0
            for k in range(len(mean)):
                total += half[i, k] * transition[j, k]
            covariance[i, j] = covariance[j, i] = total


@compiled
def _forward(
    start: np.ndarray,
    transition: np.ndarray,
    drift: np.ndarray,
    loadings: np.ndarray,
    noise: np.ndarray,
    x: np.ndarray,
    means: np.ndarray,
    covariances: np.ndarray,
    gains: np.ndarray,
    spreads: np.ndarray,
    errors: np.ndarray,
    increments: np.ndarray,
) -> None:
    """Along one series: means (T, K) and covariances (T, K, K) of the states given the series so far, and log p(x_t | x_1..t-1) (T,).

    Of each number that is seen: errors (T, D), how far it is from what was expected; spreads (T, D), the variance of that, zero where
    nothing is seen; gains (T, D, K), its covariance with the states.
    """
    states, half = len(start), np.empty((len(start), len(start)))
    for t in range(len(x)):
        mean, covariance, increments[t] = means[t], covariances[t], 0.0
        if t == 0:
            mean[:], covariance[:] = 0.0, np.diag(start)
        else:
            _moved(transition, drift, means[t - 1], covariances[t - 1], half, mean, covariance)
        for d in range(x.shape[1]):
            spreads[t, d] = 0.0
            if np.isnan(x[t, d]):
                continue
            gain, error, spread = gains[t, d], x[t, d], noise[d]
            for i in range(states):
                gain[i] = 0.0
                for j in range(states):
                    gain[i] += covariance[i, j] * loadings[d, j]
                error -= loadings[d, i] * mean[i]
                spread += loadings[d, i] * gain[i]
            errors[t, d], spreads[t, d] = error, spread
            increments[t] -= 0.5 * (np.log(2 * np.pi * spread) + error * error / spread)
            for i in range(states):
                share = gain[i] / spread
                mean[i] += share * error
                for j in range(states):
                    covariance[i, j] -= share * gain[j]
