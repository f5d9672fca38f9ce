"""Autoregressive series that follow given states, as a compiled loop for the CPU."""

import numpy as np

from .markov_log_kernels import compiled


@compiled
def follow(begin: int, end: int, states: np.ndarray, shocks: np.ndarray, coefficients: np.ndarray, values: np.ndarray) -> None:
    """What is `NaN` in values (N, T, D) becomes the shock (N, T, D) and the effects (N, K, D, P D) that the P steps before have in the
    state (N, T) there; what was before the first step is zero."""
    steps, columns = values.shape[1:]
    lags = coefficients.shape[3] // columns
    for n in range(begin, end):
        for t in range(steps):
            effects = coefficients[n, states[n, t]]
            for d in range(columns):
                if np.isnan(values[n, t, d]):
                    values[n, t, d] = shocks[n, t, d]
                    for lag in range(min(lags, t)):
                        for e in range(columns):
                            values[n, t, d] += effects[d, lag * columns + e] * values[n, t - 1 - lag, e]
