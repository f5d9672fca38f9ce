"""The hidden semi-Markov model by hand: every way to cut a series into visits, one by one."""

import itertools

import numpy as np
from scipy.special import logsumexp
from scipy.stats import gamma, nbinom, poisson

from . import Case, hmm
from .short_series import counts, holes, numbers


def cases() -> list[Case]:
    """Every family of durations, two states and three, visits longer than the series and shorter, with gaps and padding and without."""
    prior = {"concentration": 1.5, "stay": 1.2, "stay_shape": 1.5}
    rates = {"emission": "poisson", "center": 3.0, "shape": 1.5}
    gaussian = {"dim": 2, "center": [0.4, -0.2], "spread": [1.3, 0.8], "shrinkage": 0.3, "covariance": "diag"}
    return [
        Case("poisson", {"duration": "poisson", "longest": 3, **rates, **prior}, counts()),
        Case("negative-binomial", {"states": 3, "longest": 6, **rates, **prior}, holes(counts())),
        Case(
            "categorical",
            {"duration": "categorical", "longest": 2, "smoothing": 1.3, **gaussian},
            holes(numbers(2)),
        ),
    ]


def log_joint(pair, values, x) -> float:
    """log p(values, x): the shared sites in `values`, the visits summed out one by one, NaN integrated out."""
    given, values = pair.hyperparameters, {n: np.asarray(v) for n, v in values.items()}
    states = given["states"]
    total = hmm.log_dirichlet(values["initial"], np.ones(states)) + _log_prior_durations(given, values)
    if states > 2:
        others = [np.delete(row, k) for k, row in enumerate(values["transition"])]
        total += sum(hmm.log_dirichlet(row, np.full(states - 1, given["concentration"])) for row in others)
    total += hmm._log_prior_emission(given, values)
    return float(total + sum(log_row(given, values, row) for row in hmm._series(x)))


def log_evidence(pair, x) -> float | None:
    return None


def log_row(given, values, row) -> float:
    """The log evidence of a series (T, D)."""
    return float(logsumexp([weight for _, weight in paths(given, values, row)]))


def paths(given, values, row) -> list[tuple[tuple[int, ...], float]]:
    """Every path of states through a series (T, D), and the log density of it and the series: as a visit is followed by one to another
    state, a path tells where visits begin."""
    terms, law = hmm.emission(given, values, row), durations(given, values)
    transition = values.get("transition", 1 - np.eye(2))
    found = []
    for path in itertools.product(range(given["states"]), repeat=len(row)):
        visits = [(k, len(list(steps))) for k, steps in itertools.groupby(path)]
        weight = values["initial"][path[0]] * np.prod([transition[j, k] for (j, _), (k, _) in itertools.pairwise(visits)])
        # All but the last visit are over.
        weight *= np.prod([law[k, steps - 1] if steps <= given["longest"] else 0.0 for k, steps in visits[:-1]])
        last, steps = visits[-1]
        weight *= law[last, steps - 1 :].sum()
        with np.errstate(divide="ignore"):
            found.append((path, np.log(weight) + sum(terms[t, k] for t, k in enumerate(path))))
    return found


def durations(given, values) -> np.ndarray:
    """(K, D) the probability that a visit takes 1, ..., D steps."""
    more = np.arange(given["longest"])
    if given["duration"] == "categorical":
        return values["visits"]
    stays = values["stays"][:, None]
    if given["duration"] == "poisson":
        law = poisson.pmf(more, stays)
    else:
        dispersions = values["stay_dispersions"][:, None]
        law = nbinom.pmf(more, dispersions, dispersions / (dispersions + stays))
    return law / law.sum(1, keepdims=True)


def smoothed(found, steps: int, states: int) -> np.ndarray:
    """(T, K) the probability of each state at each step, from all paths."""
    shares, total = np.zeros((steps, states)), logsumexp([weight for _, weight in found])
    for path, weight in found:
        shares[np.arange(steps), path] += np.exp(weight - total)
    return shares


def _log_prior_durations(given, values) -> float:
    if given["duration"] == "categorical":
        return sum(hmm.log_dirichlet(row, np.full(given["longest"], given["smoothing"])) for row in values["visits"])
    total = gamma.logpdf(values["stays"], given["stay_shape"], scale=given["stay"] / given["stay_shape"]).sum()
    if given["duration"] == "negative_binomial":
        total += gamma.logpdf(values["stay_dispersions"], 2.0, scale=2.0).sum()
    return total
