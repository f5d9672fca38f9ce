"""The Gaussian mixture by hand: its log joint, its evidence by enumeration, its posterior for one component."""

import itertools

import numpy as np
from scipy.special import gammaln, logsumexp, multigammaln
from scipy.stats import dirichlet, gamma, multivariate_normal, wishart

from . import Case


def cases() -> list[Case]:
    """Every shape of covariance, one to three columns, with and without holes; two clumps of at most eight rows."""
    informed = {"concentration": 1.5, "spread": [1.3, 0.8], "center": [0.4, -0.2], "shrinkage": 0.3}
    return [
        Case("full", {"components": 2, "dim": 2, "covariance": "full", "freedom": 3.5, **informed}, _clumps(2)),
        Case("tied", {"components": 2, "dim": 2, "covariance": "tied", "component_scale": 0.7, **informed}, _clumps(2)),
        Case("diag-holes", {"components": 2, "dim": 2, "covariance": "diag", **informed}, _clumps(2, holes=True)),
        Case("spherical-holes", {"components": 2, "dim": 2, "covariance": "spherical", **informed}, _clumps(2, holes=True)),
        Case("full-holes", {"components": 3, "dim": 3, "covariance": "full", "shrinkage": 0.2}, _clumps(3, holes=True)),
        Case("column", {"components": 3, "dim": 1, "covariance": "full", "freedom": 1.5, "spread": 2.0}, _clumps(1)[2:]),
    ]


def log_joint(pair, values, x) -> float:
    """log p(values, x): the shared sites in `values`, the components summed out, NaN integrated out."""
    prior, rows = _prior(pair), np.asarray(x)
    weights, locs = np.asarray(values["weights"]), np.asarray(values["locs"])
    precisions = _precisions(pair, values)
    total = dirichlet.logpdf(weights / weights.sum(), np.full(len(weights), prior["concentration"]))
    total += _log_prior_precisions(pair, prior, values)
    for loc, precision in zip(locs, precisions, strict=True):
        total += multivariate_normal.logpdf(loc, prior["center"], np.linalg.inv(precision) / prior["shrinkage"])
    return float(total + sum(log_row(weights, locs, precisions, row) for row in rows))


def log_row(weights, locs, precisions, row) -> float:
    """log p(row | parameters), by the sub-block of the covariance that is observed. precisions: (K, D, D)."""
    terms = []
    for weight, loc, precision in zip(weights, locs, precisions, strict=True):
        terms.append(np.log(weight) + log_normal(row, loc, np.linalg.inv(precision)))
    return float(logsumexp(terms))


def log_normal(row, loc, covariance) -> float:
    """The density of what is observed of a row."""
    seen = ~np.isnan(row)
    return float(multivariate_normal.logpdf(row[seen], loc[seen], covariance[np.ix_(seen, seen)])) if seen.any() else 0.0


def log_evidence(pair, x) -> float | None:
    """log p(x): every way to assign rows to components, the parameters integrated in closed form.

    Where a covariance has correlations, a row with holes has no closed form, and the answer is None.
    """
    rows, prior = np.asarray(x), _prior(pair)
    if prior["matrix"] and np.isnan(rows).any():
        return None
    terms = []
    for labels in itertools.product(range(prior["components"]), repeat=len(rows)):
        labels = np.array(labels)
        members = [rows[labels == k] for k in range(prior["components"])]
        terms.append(_log_assignment(prior, labels) + _log_members(prior, members))
    return float(logsumexp(terms))


def posterior_of_one(pair, x) -> dict[str, np.ndarray]:
    """The posterior of a single component given complete rows: locs ~ Normal(loc, covariance / shrinkage), and the precision's.

    df and scale (D, D) of its Wishart; or shape and rate of its Gamma, one a column (`diag`) or one for all (`spherical`).
    """
    rows, prior = np.asarray(x), _prior(pair)
    n, shrinkage = len(rows), prior["shrinkage"]
    loc = (shrinkage * prior["center"] + rows.sum(0)) / (shrinkage + n)
    scatter = _scatter([rows - prior["center"]], shrinkage)
    known = {"loc": loc, "shrinkage": np.array(shrinkage + n)}
    if prior["matrix"]:
        return {**known, "df": np.array(prior["freedom"] + n), "scale": np.linalg.inv(np.diag(prior["scale"] ** 2) + scatter)}
    squares = scatter.diagonal()
    if prior["spherical"]:
        rate = 0.5 * np.mean(prior["scale"] ** 2) + 0.5 * squares.sum()
        return {**known, "shape": np.array(0.5 * prior["freedom"] + 0.5 * n * prior["dim"]), "rate": np.array(rate)}
    return {**known, "shape": np.full(prior["dim"], 0.5 * (prior["freedom"] + n)), "rate": 0.5 * prior["scale"] ** 2 + 0.5 * squares}


def _clumps(dim: int, holes: bool = False) -> np.ndarray:
    rng = np.random.default_rng(dim)
    rows = rng.normal(size=(8, dim)) + np.where(np.arange(8) < 5, -1.0, 1.5)[:, None]
    if holes:
        rows[1, 0] = rows[4, dim - 1] = rows[6, 0] = np.nan
    return rows


def _prior(pair) -> dict:
    given = pair.hyperparameters
    components, dim, covariance = given["components"], given["dim"], given["covariance"]
    matrix = covariance in ("full", "tied")
    fraction = given["component_scale"] or components ** (-1 / dim)
    return {
        "components": components,
        "dim": dim,
        "matrix": matrix,
        "tied": covariance == "tied",
        "spherical": covariance == "spherical",
        "concentration": given["concentration"],
        "center": np.broadcast_to(np.array(given["center"], float), (dim,)),
        "scale": fraction * np.broadcast_to(np.array(given["spread"], float), (dim,)),
        "freedom": given["freedom"] or (dim + 2.0 if matrix else 3.0),
        "shrinkage": given["shrinkage"],
    }


def _precisions(pair, values) -> np.ndarray:
    """(K, D, D) precision matrices, whatever the shape of the site."""
    prior = _prior(pair)
    if prior["matrix"]:
        trils = np.broadcast_to(np.asarray(values["precision_trils"]), (prior["components"], prior["dim"], prior["dim"]))
        return np.stack([tril @ tril.T for tril in trils])
    columns = np.asarray(values["precisions"]).reshape(prior["components"], -1)
    return np.stack([np.diag(np.broadcast_to(row, (prior["dim"],))) for row in columns])


def _log_prior_precisions(pair, prior: dict, values) -> float:
    if prior["matrix"]:
        trils = np.asarray(values["precision_trils"]).reshape(-1, prior["dim"], prior["dim"])
        return sum(_log_prior_tril(tril, prior) for tril in trils)
    squared = np.mean(prior["scale"] ** 2) if prior["spherical"] else prior["scale"] ** 2
    precisions = np.asarray(values["precisions"])
    return float(gamma.logpdf(precisions, 0.5 * prior["freedom"], scale=2 / np.broadcast_to(squared, precisions.shape)).sum())


def _log_prior_tril(tril: np.ndarray, prior: dict) -> float:
    """The Wishart's density at P P', times the Jacobian 2^D prod_i P_ii^(D - i) of P -> P P' (i = 0, 1, ...)."""
    dim = prior["dim"]
    density = wishart.logpdf(tril @ tril.T, prior["freedom"], np.diag(prior["scale"] ** -2.0))
    return float(density + dim * np.log(2) + ((dim - np.arange(dim)) * np.log(tril.diagonal())).sum())


def _log_assignment(prior: dict, labels: np.ndarray) -> float:
    """The Dirichlet-multinomial probability of these labels in this order."""
    k, a = prior["components"], prior["concentration"]
    counts = np.bincount(labels, minlength=k)
    return gammaln(k * a) - gammaln(k * a + len(labels)) + (gammaln(a + counts) - gammaln(a)).sum()


def _log_members(prior: dict, members: list[np.ndarray]) -> float:
    """The density of the rows of each component, its parameters integrated out."""
    centered = [rows - prior["center"] for rows in members]
    freedom, shrinkage, square = prior["freedom"], prior["shrinkage"], prior["scale"] ** 2
    if prior["tied"]:
        return log_marginal(centered, freedom, np.diag(square), shrinkage)
    if prior["matrix"]:
        return sum(log_marginal([rows], freedom, np.diag(square), shrinkage) for rows in centered)
    columns = [[_seen(rows[:, d]) for d in range(prior["dim"])] for rows in centered]
    if prior["spherical"]:
        return sum(log_marginal(groups, freedom, np.mean(square).reshape(1, 1), shrinkage) for groups in columns)
    return sum(log_marginal([group], freedom, square[d].reshape(1, 1), shrinkage) for groups in columns for d, group in enumerate(groups))


def _seen(column: np.ndarray) -> np.ndarray:
    return column[~np.isnan(column)][:, None]


def log_marginal(groups: list[np.ndarray], freedom: float, rate: np.ndarray, shrinkage: float) -> float:
    """The density of groups of rows (n_g, D), each with a location of its own, that share one covariance.

    Precision ~ Wishart(freedom, rate^-1), location of a group ~ Normal(0, covariance / shrinkage).
    Source: Murphy 2007, "Conjugate Bayesian analysis of the Gaussian distribution", equation 266, with more than one group.
    """
    dim, n = len(rate), sum(len(rows) for rows in groups)
    after = rate + _scatter(groups, shrinkage)
    total = -0.5 * n * dim * np.log(np.pi) + multigammaln(0.5 * (freedom + n), dim) - multigammaln(0.5 * freedom, dim)
    total += 0.5 * freedom * np.linalg.slogdet(rate)[1] - 0.5 * (freedom + n) * np.linalg.slogdet(after)[1]
    return total + sum(0.5 * dim * np.log(shrinkage / (shrinkage + len(rows))) for rows in groups)


def _scatter(groups: list[np.ndarray], shrinkage: float) -> np.ndarray:
    """What the groups add to the Wishart's inverse scale: scatter about each mean, and the mean's distance from zero."""
    total = 0.0
    for rows in groups:
        if len(rows):
            mean, n = rows.mean(0), len(rows)
            total = total + (rows - mean).T @ (rows - mean) + shrinkage * n / (shrinkage + n) * np.outer(mean, mean)
    return np.asarray(total) if np.ndim(total) else np.zeros((groups[0].shape[1],) * 2)


def exact_conditional(row, loc, covariance) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of the holes of a row, given what is observed of it."""
    hole = np.isnan(row)
    seen = ~hole
    if not seen.any():
        return loc, covariance
    regression = covariance[np.ix_(hole, seen)] @ np.linalg.inv(covariance[np.ix_(seen, seen)])
    mean = loc[hole] + regression @ (row[seen] - loc[seen])
    return mean, covariance[np.ix_(hole, hole)] - regression @ covariance[np.ix_(seen, hole)]


def bayes_rule(weights, locs, covariances, row) -> np.ndarray:
    """(K,) the probability of each component for a row."""
    logs = np.array([np.log(w) + log_normal(row, m, c) for w, m, c in zip(weights, locs, covariances, strict=True)])
    return np.exp(logs - logsumexp(logs))
