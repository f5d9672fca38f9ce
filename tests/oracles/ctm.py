"""The correlated topic model by hand: the joint density, and the evidence of two texts of two words by quadrature."""

import numpy as np
from scipy.special import expit, gammaln, roots_jacobi
from scipy.stats import dirichlet, gamma, multivariate_normal, multivariate_t, nbinom, wishart

from . import Case
from .lda import COUNTS, log_text

NODES, GRID, FAR = 24, 161, 8.0
DRIVEN = {"covariates": 2, "means": [0.2, -0.1], "spreads": [0.8, 2.0], "effect_scale": 0.7}


def cases() -> list[Case]:
    """The concentration of topics given, and learnt beside covariates; with holes and without, a text without words."""
    sizes = {"length": 3.0, "length_shape": 2.5}
    rng = np.random.default_rng(0)
    more = rng.poisson(2.0, size=(6, 4)).astype(float)
    two = np.array([[3.0, 1], [0, 2]])
    more[1, 2] = more[3, 0] = more[3, 1] = np.nan
    return [
        Case("two", {"topics": 2, "vocabulary": 2, "topic_concentration": 0.9, "length": 20.0, "length_shape": 5.0}, two),
        Case("covariates", {**sizes, **DRIVEN, "topics": 2, "vocabulary": 4}, np.hstack([COUNTS, rng.normal(size=(len(COUNTS), 2))])),
        Case("holes", {**sizes, "topics": 3, "vocabulary": 4, "spread": 0.8, "topic_concentration": 1.5, "length": 8.0}, more),
    ]


def log_joint(pair, values, x) -> float:
    """log p(x, mixtures, topics, loc, precision), mixtures as a normal of the logs of ratios to the last share."""
    given = pair.hyperparameters
    count, precision, topics = given["topics"], values["precision"], values["topics"]
    smoothing = values.get("topic_concentration", given["topic_concentration"])
    total = wishart.logpdf(precision, count + 2, np.eye(count) / given["spread"] ** 2)
    covariance = np.linalg.inv(precision)
    total += multivariate_normal.logpdf(values["loc"], np.zeros(count), covariance)
    total += gamma.logpdf(smoothing, 2.0, scale=0.5) if "topic_concentration" in values else 0.0
    total += sum(dirichlet.logpdf(topic / topic.sum(), np.full(topics.shape[1], float(smoothing))) for topic in topics)
    x, loc = x[:, : topics.shape[1]], values["loc"] + _moved(given, values, x[:, topics.shape[1] :])
    widths = given["effect_scale"] / np.broadcast_to(given["spreads"], given["covariates"])
    for slopes, width in zip(values.get("slopes", ()), widths, strict=True):
        total += multivariate_normal.logpdf(slopes, np.zeros(count), width**2 * covariance)
    ratios = np.hstack([np.eye(count - 1), -np.ones((count - 1, 1))])
    for row, mean, mixture in zip(x, loc, values["mixture"], strict=True):
        between = multivariate_normal(ratios @ mean, ratios @ covariance @ ratios.T)
        total += between.logpdf(np.log(mixture[:-1] / mixture[-1])) - np.log(mixture).sum()
        total += log_text(row, mixture @ topics, given["length"], given["length_shape"])
    return float(total)


def _moved(given, values, known) -> np.ndarray:
    """(N, K) by how much covariates (N, C) move the mean logits of each text."""
    if not given["covariates"]:
        return np.zeros((len(known), 1))
    return (known - np.array(given["means"])) @ values["slopes"]


def log_evidence(pair, x) -> float | None:
    """log p(x) of two topics and two words: over the first word's probability in each topic and over the difference of each text's
    logits, whose law for all texts is a Student t with loc and precision integrated out. None for more."""
    given = pair.hyperparameters
    if x.shape != (2, 2) or given["topics"] != 2:
        return None
    smoothing = given["topic_concentration"]
    nodes, weights = roots_jacobi(NODES, smoothing - 1, smoothing - 1)
    chance, weights = (nodes + 1) / 2, weights / weights.sum()
    line, steps = np.sinh(np.linspace(-FAR, FAR, GRID)), np.cosh(np.linspace(-FAR, FAR, GRID)) * 2 * FAR / (GRID - 1)
    share = expit(line)[:, None, None]
    words = share * chance[:, None] + (1 - share) * chance
    text = [words ** row[0] * (1 - words) ** row[1] for row in x]  # (difference, topic, topic)
    # The difference of two logits has variance c'Sc, inverse gamma with K + 2 - (K - 1) = 3 degrees of freedom.
    shape = 2 * given["spread"] ** 2 / 3 * (np.eye(2) + 1)
    density = multivariate_t.pdf(np.stack(np.meshgrid(line, line, indexing="ij"), -1), np.zeros(2), shape, df=3) * np.outer(steps, steps)
    total = np.einsum("de,djk,ejk,j,k->", density, *text, weights, weights)
    lengths = nbinom.logpmf(x.sum(1), given["length_shape"], given["length_shape"] / (given["length_shape"] + given["length"])).sum()
    orders = (gammaln(x.sum(1) + 1) - gammaln(x + 1).sum(1)).sum()
    return float(np.log(total) + lengths + orders)
