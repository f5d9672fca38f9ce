"""What states show, and the priors of it, by hand and by scipy, for the oracles of switching series."""

import numpy as np
from scipy.special import logsumexp
from scipy.stats import bernoulli, beta, dirichlet, expon, gamma, lognorm, multivariate_t, nbinom, norm, poisson, t, vonmises


def log_dirichlet(p: np.ndarray, prior: np.ndarray) -> float:
    return float(dirichlet.logpdf(p / p.sum(), prior)) if len(p) > 1 else 0.0


def log_mixture(values, k: int, x: np.ndarray) -> float:
    """The log density of numbers (D,) that are shown in state k, component by component; what is missing counts for nothing."""
    parts = zip(*(values[site][k] for site in ("weights", "locs", "scales")), strict=True)
    return float(logsumexp([np.log(weight) + np.nansum(norm.logpdf(x, loc, scale)) for weight, loc, scale in parts]))


def log_prior_weights(given, values) -> float:
    """Of the components of states that are mixtures."""
    return sum(log_dirichlet(row, np.full(len(row), given["smoothing"])) for row in values.get("weights", []))


# The log density of a value that is shown in state k, in the d-th column of the family.
SHOWN = {
    "student": lambda v, k, d, x: t.logpdf(x, v["freedoms"][k, d], v["locs"][k, d], v["scales"][k, d]),
    "poisson": lambda v, k, d, x: poisson.logpmf(x, v["rates"][k, d]),
    "negative_binomial": lambda v, k, d, x: nbinom.logpmf(
        x, v["dispersions"][k, d], v["dispersions"][k, d] / (v["dispersions"][k, d] + v["means"][k, d])
    ),
    "exponential": lambda v, k, d, x: expon.logpdf(x, scale=1 / v["hazards"][k, d]),
    "gamma": lambda v, k, d, x: gamma.logpdf(x, v["forms"][k, d], scale=v["amounts"][k, d] / v["forms"][k, d]),
    "categorical": lambda v, k, d, x: np.log(v["probabilities"][k, d, int(x)]),
    "von_mises": lambda v, k, d, x: vonmises.logpdf(x, np.hypot(*v["vectors"][k, d]), loc=np.arctan2(*v["vectors"][k, d, ::-1])),
    "bernoulli": lambda v, k, d, x: bernoulli.logpmf(int(x), v["chances"][k, d]),
}

# The log density of the sites of the d-th column of a family, whose prior's center and scale are c and s.
PRIORS = {
    "student": lambda v, d, c, s, given: (
        norm.logpdf(v["locs"][:, d], c, s / given["shrinkage"] ** 0.5)
        + lognorm.logpdf(v["scales"][:, d], 1.0, scale=s)
        + gamma.logpdf(v["freedoms"][:, d], 2.0, scale=10.0)
    ),
    "poisson": lambda v, d, c, s, given: gamma.logpdf(v["rates"][:, d], given["shape"], scale=c / given["shape"]),
    "negative_binomial": lambda v, d, c, s, given: (
        gamma.logpdf(v["means"][:, d], given["shape"], scale=c / given["shape"]) + gamma.logpdf(v["dispersions"][:, d], 2.0, scale=10.0)
    ),
    "exponential": lambda v, d, c, s, given: gamma.logpdf(v["hazards"][:, d], given["shape"], scale=1 / (c * given["shape"])),
    "gamma": lambda v, d, c, s, given: (
        gamma.logpdf(v["amounts"][:, d], given["shape"], scale=c / given["shape"]) + gamma.logpdf(v["forms"][:, d], 2.0, scale=2.0)
    ),
    "categorical": lambda v, d, c, s, given: np.array(
        [log_dirichlet(p, np.full(given["categories"], given["smoothing"])) for p in v["probabilities"][:, d]]
    ),
    "von_mises": lambda v, d, c, s, given: multivariate_t.logpdf(v["vectors"][:, d], shape=given["sharpness"] ** 2 * np.eye(2), df=1),
    "mixture": lambda v, d, c, s, given: (
        norm.logpdf(v["locs"][..., d], c, s / given["shrinkage"] ** 0.5) + lognorm.logpdf(v["scales"][..., d], 1.0, scale=s)
    ),
    "bernoulli": lambda v, d, c, s, given: beta.logpdf(v["chances"][:, d], given["smoothing"], given["smoothing"]),
}
