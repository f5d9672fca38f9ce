"""Supervised topics by hand: the joint density, responses that are not known summed out; and the evidence of two texts by quadrature."""

import numpy as np
from numpy.polynomial.hermite_e import hermegauss
from scipy.special import expit, gammaln, log_softmax, logsumexp, roots_jacobi
from scipy.stats import dirichlet, gamma, halfnorm, nbinom, norm

from . import Case
from .lda import log_text
from .prodlda import log_mixtures

NODES = 24


def cases() -> list[Case]:
    """Numbers known of all texts, and categories of some; the concentration of topics given, and learnt; with holes and without."""
    rng = np.random.default_rng(0)
    more = rng.poisson(2.0, size=(6, 4)).astype(float)
    more[4] = 0
    more[1, 2] = more[3, 0] = np.nan
    categories = np.column_stack([more, [0, np.nan, 2, 1, np.nan, 0]])
    two = np.array([[3.0, 1, 0.7], [0, 2, -1.2]])
    sizes = {"hidden": [4], "length_shape": 5.0, "concentration": 0.7}
    numbers = {"topic_concentration": 0.9, "center": 0.5, "spread": 0.8, "coefficient_scale": 1.5}
    return [
        Case("numbers", {**sizes, **numbers, "topics": 2, "vocabulary": 2, "length": 20.0}, two),
        Case("holes", {**sizes, "topics": 3, "vocabulary": 4, "categories": 3, "length": 8.0}, categories),
    ]


def log_joint(pair, values, x) -> float:
    """log p(words, responses that are known, mixtures, topics, coefficients, noise, concentration)."""
    given, topics, coefficients = pair.hyperparameters, values["topics"], values["coefficients"]
    smoothing = values.get("topic_concentration", given["topic_concentration"])
    total = gamma.logpdf(smoothing, 2.0, scale=0.5) if "topic_concentration" in values else 0.0
    total += sum(dirichlet.logpdf(topic / topic.sum(), np.full(len(topic), float(smoothing))) for topic in topics)
    total += log_mixtures(given, values["mixture"]) + log_coefficients(given, coefficients)
    total += 0.0 if given["categories"] else halfnorm.logpdf(values["noise"], scale=given["spread"])
    for row, mixture in zip(x, values["mixture"], strict=True):
        total += log_text(row[:-1], mixture @ topics, given["length"], given["length_shape"])
        if not np.isnan(row[-1]):
            foretold = mixture @ coefficients
            known = log_softmax(foretold)[int(row[-1])] if given["categories"] else norm.logpdf(row[-1], foretold, values["noise"])
            total += known
    return float(total)


def log_coefficients(given, coefficients) -> float:
    """Of numbers; of categories they add up to zero, and have a density on that plane."""
    scale = given["coefficient_scale"]
    if given["categories"] is None:
        return norm.logpdf(coefficients, given["center"], scale * given["spread"]).sum()
    free = given["categories"] - 1
    squares = np.square(coefficients).sum(1)
    return float((-0.5 * squares / scale**2 - free * np.log(scale) - 0.5 * free * np.log(2 * np.pi)).sum())


def log_evidence(pair, x) -> float | None:
    """log p(x) of two texts, topics and words with numbers: over the first word's probability in each topic, each text's difference of
    logits, and the noise, the coefficients integrated out given these. None for more."""
    given = pair.hyperparameters
    if x.shape != (2, 3) or given["topics"] != 2:
        return None
    smoothing, scale = given["topic_concentration"], given["coefficient_scale"] * given["spread"]
    nodes, weights = roots_jacobi(NODES, smoothing - 1, smoothing - 1)
    chance, of_chance = (nodes + 1) / 2, np.log(weights / weights.sum())
    line, weights = hermegauss(NODES)
    share, of_share = expit(np.sqrt((1 - 1 / 2) / given["concentration"] * 2) * line), np.log(weights / weights.sum())
    words = share[:, None, None] * chance[:, None] + (1 - share[:, None, None]) * chance
    texts = [row[0] * np.log(words) + row[1] * np.log1p(-words) + of_share[:, None, None] for row in x]
    # (share of one text, share of the other) the log density of both responses.
    known = logsumexp([_log_responses(x[:, -1] - given["center"], share, scale, noise) + mass for noise, mass in _noises(given)], 0)
    both = texts[0][:, None] + texts[1][None] + known[:, :, None, None] + of_chance[:, None] + of_chance
    counts = x[:, :-1]
    lengths = nbinom.logpmf(counts.sum(1), given["length_shape"], given["length_shape"] / (given["length_shape"] + given["length"])).sum()
    orders = (gammaln(counts.sum(1) + 1) - gammaln(counts + 1).sum(1)).sum()
    return float(logsumexp(both) + lengths + orders)


def _noises(given):
    """Nodes of the noise, and the log of their prior mass."""
    logs = np.linspace(-12, 2.5, 400)
    noises = np.exp(logs) * given["spread"]
    return zip(noises, halfnorm.logpdf(noises, scale=given["spread"]) + np.log(noises) + np.log(logs[1] - logs[0]), strict=True)


def _log_responses(y, share, scale, noise) -> np.ndarray:
    """(share, share) the log density of two responses, Gaussian where coefficients are."""
    size = share**2 + (1 - share) ** 2
    one, other = scale**2 * size[:, None] + noise**2, scale**2 * size[None] + noise**2
    between = scale**2 * (np.outer(share, share) + np.outer(1 - share, 1 - share))
    determinant = one * other - between**2
    squares = (other * y[0] ** 2 - 2 * between * y[0] * y[1] + one * y[1] ** 2) / determinant
    return -0.5 * squares - 0.5 * np.log(determinant) - np.log(2 * np.pi)
