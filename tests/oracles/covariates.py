"""Hidden Markov models with covariates by hand, for their oracle: each step has a transition of its own, and regressions."""

import numpy as np
from scipy.special import expit, logit
from scipy.stats import multivariate_normal, norm

from . import hmm

# Of one column with two covariates.
SIZES = {"covariates": 2, "center": [0.2, 0.4, -0.3], "spread": [1.3, 0.7, 2.0], "effect_scale": 0.8}

# The site by which covariates move a family, and how.
MOVED = {
    "gaussian": ("locs", lambda value, by: value + by),
    "student": ("locs", lambda value, by: value + by),
    "poisson": ("rates", lambda value, by: value * np.exp(by)),
    "negative_binomial": ("means", lambda value, by: value * np.exp(by)),
    "exponential": ("hazards", lambda value, by: value * np.exp(-by)),
    "gamma": ("amounts", lambda value, by: value * np.exp(by)),
    "bernoulli": ("chances", lambda value, by: expit(logit(value) + by)),
}


def beside(x: np.ndarray) -> np.ndarray:
    """Series (N, T, D) with two covariates more."""
    return np.concatenate([x, np.random.default_rng(7).normal(size=(*x.shape[:2], 2))], -1)


def columns(given, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Center or spread of the columns that are modelled (D,), and of the covariates (C,)."""
    whole = np.broadcast_to(np.array(given[name], float), (given["dim"] + given.get("covariates", 0),))
    return whole[: given["dim"]], whole[given["dim"] :]


def log_prior(given, values) -> float:
    """Of the effects. Those on a transition, adding up to zero, are K - 1 free numbers by axes at right angles."""
    total, (unit, spread), scale = 0.0, columns(given, "spread"), given["effect_scale"]
    if "transition_effects" in values:
        count = given["states"]
        # A normal law on the plane: of K independent numbers, over that of their sum.
        for c, width in enumerate(scale / spread):
            for effects in values["transition_effects"][:, c]:
                total += norm.logpdf(effects, 0, width).sum() - norm.logpdf(0, 0, width)
                assert abs(effects.sum()) < 1e-9 * count
    if "effects" in values:
        names = [name for name, _ in hmm._columns(given)]
        unit = [u if name in ("gaussian", "student") else 1.0 for u, name in zip(unit, names, strict=True)]
        total += norm.logpdf(values["effects"], 0, scale * np.array(unit)[:, None] / spread).sum()
    return float(total)


def log_row(given, values, row) -> float:
    """The log density of a series (T, D + C), covariates given."""
    return hmm.log_row(*chain(given, values, row), emission(given, values, row))


def chain(given, values, row) -> tuple[np.ndarray, np.ndarray]:
    """The first step's probabilities (K,), and the transitions (T - 1, K, K)."""
    first, transition = hmm.chain(given, values)
    moves = []
    for known in _covariates(given, row)[1:]:
        odds = transition * np.exp(np.einsum("jck,c->jk", values["transition_effects"], known)) if _moves(values) else transition
        moves.append(odds / odds.sum(1, keepdims=True))
    return first, np.array(moves).reshape(-1, *transition.shape)


def emission(given, values, row) -> np.ndarray:
    """(T, K) log p(step | state, covariates)."""
    found = np.zeros((len(row), given["states"]))
    for t, known in enumerate(_covariates(given, row)):
        moved = dict(values)
        for d, (name, own) in enumerate(hmm._columns(given) if "effects" in values else []):
            site, move = MOVED[name]
            moved[site] = moved[site].copy()
            moved[site][:, own] = move(moved[site][:, own], values["effects"][:, d] @ known)
        for k in range(given["states"]):
            found[t, k] = hmm._log_step(given, moved, k, row[t, : given["dim"]])
    return found


def regression(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(D, C) the least squares slopes of y (rows, D) on x (rows, C)."""
    return np.linalg.lstsq(np.column_stack([x, np.ones(len(x))]), y, rcond=None)[0][:-1].T


def ppca(residuals: np.ndarray, factors: int) -> float:
    """The largest log likelihood of residuals (rows, D) by a normal law with so many factors and one noise (Tipping & Bishop 1999)."""
    values, vectors = np.linalg.eigh(np.cov(residuals.T, bias=True))
    noise = values[:-factors].mean()
    loadings = vectors[:, -factors:] * np.sqrt(values[-factors:] - noise)
    covariance = loadings @ loadings.T + noise * np.eye(len(values))
    return float(multivariate_normal(np.zeros(len(values)), covariance).logpdf(residuals).sum())


def _moves(values) -> bool:
    return "transition_effects" in values


def _covariates(given, row) -> np.ndarray:
    """(T, C) less their means; zero past the end of the series."""
    return np.nan_to_num(row[:, given["dim"] :] - columns(given, "center")[1])
