"""The embedded topic model by hand: the joint density, and the evidence of texts of two words and two topics by quadrature."""

import numpy as np
from numpy.polynomial.hermite_e import hermegauss
from scipy.special import expit, gammaln, logsumexp, softmax
from scipy.stats import nbinom, norm

from . import Case
from .lda import log_text
from .prodlda import log_mixtures

NODES = 80


def cases() -> list[Case]:
    """Vectors given, and learnt; with holes and without, a text without words."""
    rng = np.random.default_rng(0)
    more = rng.poisson(2.0, size=(6, 4)).astype(float)
    more[4] = 0
    more[1, 2] = more[3, 0] = np.nan
    sizes = {"hidden": [4], "length_shape": 5.0, "concentration": 0.7}
    two = np.array([[3.0, 1], [0, 2]])
    return [
        Case("two", {**sizes, "topics": 2, "vocabulary": 2, "vectors": [[1.0], [-0.5]], "spread": 1.2, "length": 20.0}, two),
        Case("holes", {**sizes, "topics": 3, "vocabulary": 4, "embedding": 2, "length": 8.0}, more),
    ]


def unit(vectors) -> np.ndarray:
    """In units in which the mean square length is one."""
    return np.array(vectors) / np.sqrt(np.square(vectors).sum(1).mean())


def log_joint(pair, values, x) -> float:
    """log p(x, mixtures, embeddings, vectors if they are learnt)."""
    given, embeddings = pair.hyperparameters, values["embeddings"]
    total = norm.logpdf(embeddings, 0, given["spread"]).sum() + log_mixtures(given, values["mixture"])
    if given["vectors"] is None:
        vectors = values["vectors"]
        total += norm.logpdf(vectors, 0, given["embedding"] ** -0.5).sum()
    else:
        vectors = unit(given["vectors"])
    topics = softmax(embeddings @ vectors.T, 1)
    for row, mixture in zip(x, values["mixture"], strict=True):
        total += log_text(row, mixture @ topics, given["length"], given["length_shape"])
    return float(total)


def log_evidence(pair, x) -> float | None:
    """log p(x) of two topics and two words with one number each: over both embeddings, and over each text's difference of logits."""
    given = pair.hyperparameters
    if x.shape[1] != 2 or given["topics"] != 2 or np.isnan(x).any():
        return None
    nodes, weights = hermegauss(NODES)
    logs = np.log(weights / weights.sum())
    vectors = unit(given["vectors"])[:, 0]
    apart = given["spread"] * nodes * (vectors[0] - vectors[1])  # logit of the first word in a topic
    variance = (1 - 1 / 2) / given["concentration"]
    share = expit(np.sqrt(2 * variance) * nodes)[:, None, None]
    one, other = (np.log(share * expit(sign * apart)[:, None] + (1 - share) * expit(sign * apart)) for sign in (1, -1))
    texts = [logsumexp(logs[:, None, None] + row[0] * one + row[1] * other, 0) for row in x]
    lengths = nbinom.logpmf(x.sum(1), given["length_shape"], given["length_shape"] / (given["length_shape"] + given["length"])).sum()
    orders = (gammaln(x.sum(1) + 1) - gammaln(x + 1).sum(1)).sum()
    return float(logsumexp(sum(texts) + logs[:, None] + logs) + lengths + orders)
