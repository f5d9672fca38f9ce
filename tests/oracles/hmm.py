"""The hidden Markov model by hand: every path of states, one by one."""

import itertools
from types import SimpleNamespace

import numpy as np
from scipy.special import gammaln, logsumexp
from scipy.stats import multivariate_normal

from . import Case, autoregression, covariates, gmm
from .emissions import PRIORS, SHOWN, log_dirichlet, log_mixture, log_prior_weights
from .short_series import angles, codes, counts, holes, numbers, several

SEVERAL = ["student", "negative_binomial", "gamma", "bernoulli"]
MIXED = ["mixture", "von_mises", "mixture"]


def cases() -> list[Case]:
    """Every emission, with and without gaps and padding, every way to begin; four short series."""
    prior = {"concentration": 1.5, "stickiness": 0.7}
    gaussian = {"emission": "gaussian", "center": [0.4, -0.2], "spread": [1.3, 0.8], "shrinkage": 0.3, "dim": 2}
    return [
        Case("poisson", {"emission": "poisson", "center": 3.0, "shape": 1.5, **prior}, counts()),
        Case(
            "poisson-gaps",
            {"emission": "poisson", "center": 3.0, "initial": "stationary", **prior},
            holes(counts()),
        ),
        Case(
            "categorical",
            {"emission": "categorical", "categories": 3, "dim": 2, "smoothing": 0.8, "states": 2},
            holes(codes()),
        ),
        Case(
            "gaussian-diag",
            {"covariance": "diag", "initial": [0.25, 0.75], **gaussian, **prior},
            holes(numbers(2)),
        ),
        Case("gaussian", {"states": 3, "spread": 2.0, "initial": "uniform", **prior}, holes(numbers(1)[:, :2, 0])),
        Case(
            "several",
            {"dim": 4, "emission": SEVERAL, "center": [0.5, 3.0, 2.0, 0.5], "shrinkage": 0.3, **prior},
            holes(several()),
        ),
        Case("mixture", {"dim": 3, "emission": MIXED, "smoothing": 1.2, "shrinkage": 0.3, **prior}, holes(angles())),
        Case("autoregressive", {"emission": "autoregressive", "lags": 2, "shrinkage": 0.3, **prior}, autoregression.series()),
        Case("covariates", {**covariates.SIZES, "shrinkage": 0.3, **prior}, covariates.beside(holes(numbers(1)))),
    ]


def log_joint(pair, values, x) -> float:
    """log p(values, x): the shared sites in `values`, the paths summed out one by one, NaN integrated out."""
    given, values = pair.hyperparameters, {n: np.asarray(v) for n, v in values.items()}
    total = sum(log_dirichlet(row, prior) for row, prior in zip(values["transition"], _prior_transition(given), strict=True))
    if given["initial"] == "free":
        total += log_dirichlet(values["initial"], np.ones(given["states"]))
    total += _log_prior_emission(given, values)
    rows = _series(x)
    if given["covariates"]:
        return float(total + covariates.log_prior(given, values) + sum(covariates.log_row(given, values, row) for row in rows))
    return float(total + sum(log_row(*chain(given, values), emission(given, values, row)) for row in rows))


def chain(given, values) -> tuple[np.ndarray, np.ndarray]:
    """The first step's probabilities (K,) and the transition (K, K)."""
    transition = values["transition"]
    if given["initial"] == "free":
        return values["initial"], transition
    if given["initial"] == "stationary":
        # The left eigenvector of the eigenvalue one.
        roots, vectors = np.linalg.eig(transition.T)
        vector = vectors[:, np.abs(roots - 1).argmin()].real
        return vector / vector.sum(), transition
    if given["initial"] == "uniform":
        return np.full(len(transition), 1 / len(transition)), transition
    return np.array(given["initial"]), transition


def emission(given, values, row) -> np.ndarray:
    """(T, K) log p(step | state) of a series (T, D); what is missing counts for nothing."""
    if given["emission"] == "autoregressive":
        return autoregression.emission(given, values, row)
    return np.array([[_log_step(given, values, k, step) for k in range(given["states"])] for step in row])


def log_row(start, transition, terms) -> float:
    """The log evidence of a series, from the log emission terms (T, K)."""
    return float(logsumexp([w for _, w in paths(start, transition, terms)]))


def paths(start, transition, terms) -> list[tuple[tuple[int, ...], float]]:
    """Every path of states and the log density of it and the series. transition: (K, K), or (T - 1, K, K) where steps differ."""
    with np.errstate(divide="ignore"):
        first, moves = np.log(start), np.log(np.broadcast_to(transition, (len(terms) - 1, len(start), len(start))))
    found = []
    for path in itertools.product(range(len(start)), repeat=len(terms)):
        steps = sum(moves[t, j, k] for t, (j, k) in enumerate(itertools.pairwise(path)))
        found.append((path, first[path[0]] + steps + sum(terms[i, k] for i, k in enumerate(path))))
    return found


def smoothed(start, transition, terms) -> np.ndarray:
    """(T, K) the probability of each state at each step, given the series."""
    found, total = np.zeros(terms.shape), log_row(start, transition, terms)
    for path, weight in paths(start, transition, terms):
        found[np.arange(len(path)), path] += np.exp(weight - total)
    return found


def likeliest(start, transition, terms) -> tuple[int, ...]:
    """The path of most weight."""
    return max(paths(start, transition, terms), key=lambda found: found[1])[0]


def log_evidence(pair, x) -> float | None:
    """log p(x): every path through all series at once, the parameters integrated in closed form.

    There is no closed form where the chain begins in its stationary distribution, where Gaussians with correlations have holes, for
    other families, and with covariates.
    """
    given, rows = pair.hyperparameters, _series(x)
    if given["emission"] not in ("gaussian", "poisson", "categorical") or given["covariates"]:
        return None
    correlated = given["emission"] == "gaussian" and given["covariance"] in ("full", "tied") and given["dim"] > 1
    if given["initial"] == "stationary" or (correlated and np.isnan(rows).any()):
        return None
    # What comes after the last step seen of a series adds nothing, and its paths need not be gone through.
    rows = [row[: np.flatnonzero(~np.isnan(row).all(1))[-1] + 1] for row in rows]
    terms = []
    for joined in itertools.product(range(given["states"]), repeat=sum(len(row) for row in rows)):
        states = np.split(np.array(joined), np.cumsum([len(row) for row in rows])[:-1])
        terms.append(_log_paths(given, states) + _log_shown(given, np.array(joined), np.concatenate(rows)))
    return float(logsumexp(terms))


def _log_paths(given, states: list[np.ndarray]) -> float:
    """The probability of the paths, their parameters integrated out."""
    count = given["states"]
    moves, firsts = np.zeros((count, count)), np.bincount([path[0] for path in states], minlength=count)
    for path in states:
        np.add.at(moves, (path[:-1], path[1:]), 1)
    total = sum(_log_polya(row, prior) for row, prior in zip(moves, _prior_transition(given), strict=True))
    if given["initial"] == "free":
        return total + _log_polya(firsts, np.ones(count))
    return total + firsts @ np.log(chain(given, {"transition": np.eye(count)})[0])


def _log_shown(given, states: np.ndarray, steps: np.ndarray) -> float:
    """The density of steps (n, D) given their states (n,), the emission's parameters integrated out."""
    seen = ~np.isnan(steps).all(1)
    members = [steps[seen & (states == k)] for k in range(given["states"])]
    if given["emission"] == "poisson":
        return sum(_log_gamma_poisson(given, gmm._seen(rows[:, 0])[:, 0]) for rows in members)
    if given["emission"] == "categorical":
        prior = np.full(given["categories"], given["smoothing"])
        columns = [column[~np.isnan(column)].astype(int) for rows in members for column in rows.T]
        return sum(_log_polya(np.bincount(column, minlength=len(prior)), prior) for column in columns)
    return gmm._log_members(gmm._prior(_as_mixture(given)), members)


def _log_gamma_poisson(given, counts: np.ndarray) -> float:
    shape, rate = given["shape"], given["shape"] / given["center"]
    after, steps = shape + counts.sum(), rate + len(counts)
    return shape * np.log(rate) - gammaln(shape) + gammaln(after) - after * np.log(steps) - gammaln(counts + 1).sum()


def _log_polya(counts: np.ndarray, prior: np.ndarray) -> float:
    """The probability of labels in their order, of which there are `counts`, under a Dirichlet prior."""
    return float(gammaln(prior.sum()) - gammaln(prior.sum() + counts.sum()) + (gammaln(prior + counts) - gammaln(prior)).sum())


def _prior_transition(given) -> np.ndarray:
    return given["concentration"] + given["stickiness"] * np.eye(given["states"])


def _columns(given) -> list[tuple[str, int]]:
    """Each column's family, and which of the family's columns it is."""
    names = given["emission"] if isinstance(given["emission"], list) else [given["emission"]] * given["dim"]
    return [(name, names[:i].count(name)) for i, name in enumerate(names)]


def _log_prior_emission(given, values) -> float:
    center, spread = (covariates.columns(given, name)[0] for name in ("center", "spread"))
    if given["emission"] == "autoregressive":
        return autoregression.log_prior(given, values)
    if given["emission"] != "gaussian":
        columns = _columns(given)
        parts = [given["states"] * (given["components"] if name == "mixture" else 1) for name, _ in columns]
        scale = [given["state_scale"] or parts[i] ** (-1 / [n for n, _ in columns].count(name)) for i, (name, _) in enumerate(columns)]
        total = sum(PRIORS[n](values, d, center[i], scale[i] * spread[i], given).sum() for i, (n, d) in enumerate(columns))
        return float(total + log_prior_weights(given, values))
    mixture = gmm._prior(_as_mixture(given))
    total = gmm._log_prior_precisions(_as_mixture(given), mixture, values)
    for loc, precision in zip(values["locs"], gmm._precisions(_as_mixture(given), values), strict=True):
        total += multivariate_normal.logpdf(loc, mixture["center"], np.linalg.inv(precision) / mixture["shrinkage"])
    return float(total)


def _log_step(given, values, k: int, step: np.ndarray) -> float:
    if given["emission"] == "gaussian":
        return gmm.log_normal(step, values["locs"][k], np.linalg.inv(gmm._precisions(_as_mixture(given), values)[k]))
    columns = list(zip(_columns(given), step, strict=True))
    mixed = [x for (name, _), x in columns if name == "mixture"]
    total = log_mixture(values, k, np.array(mixed)) if mixed else 0.0
    return float(total + sum(SHOWN[name](values, k, d, x) for (name, d), x in columns if name in SHOWN and not np.isnan(x)))


def _as_mixture(given) -> SimpleNamespace:
    """The mixture whose components have the prior of the Gaussian states."""
    named = {"components": given["states"], "component_scale": given["state_scale"], "freedom": None}
    named |= {name: covariates.columns(given, name)[0] for name in ("center", "spread")}
    return SimpleNamespace(hyperparameters={**given, **named})


def _series(x) -> np.ndarray:
    x = np.asarray(x)
    return x if x.ndim == 3 else x[..., None]
