"""Regressions of a step on those before it, by hand, for the oracles of switching series."""

import numpy as np
from scipy.stats import lognorm, norm


def emission(given, values, row) -> np.ndarray:
    """(T, K) log p(step | state, the steps before) of a series (T, D); what was before the first is taken for the center."""
    center, dim = _columns(given, "center"), given["dim"]
    found = np.zeros((len(row), given["states"]))
    for t, step in enumerate(row):
        for k in range(given["states"]):
            mean = values["locs"][k].copy()
            for lag in range(1, given["lags"] + 1):
                if t >= lag:
                    mean += values["coefficients"][k][:, (lag - 1) * dim : lag * dim] @ (row[t - lag] - center)
            found[t, k] = np.nansum(norm.logpdf(step, mean, values["scales"][k]))
    return found


def log_prior(given, values) -> float:
    center, spread = _columns(given, "center"), _columns(given, "spread")
    total = norm.logpdf(values["locs"], center, spread / given["shrinkage"] ** 0.5).sum()
    total += lognorm.logpdf(values["scales"], 1.0, scale=spread).sum()
    for lag in range(given["lags"]):
        for d in range(given["dim"]):
            for e in range(given["dim"]):
                scale = given["lag_scale"] * spread[d] / spread[e]
                total += norm.logpdf(values["coefficients"][:, d, lag * given["dim"] + e], 0, scale).sum()
    return float(total)


def series() -> np.ndarray:
    """Four series of four steps, one of them cut short."""
    x = np.random.default_rng(5).normal(size=(4, 4)).cumsum(1)
    x[2, 3] = np.nan
    return x


def _columns(given, name: str) -> np.ndarray:
    return np.broadcast_to(np.array(given[name], float), (given["dim"],))
