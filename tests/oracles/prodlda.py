"""ProdLDA by hand: the joint density of weights, mixtures and counts, with mixtures as a normal of the logs of ratios to the last share."""

import numpy as np
from scipy.special import softmax
from scipy.stats import multivariate_normal, norm

from . import Case
from .lda import COUNTS, log_text


def cases() -> list[Case]:
    """With holes and without, a background and none, a text without words."""
    rng = np.random.default_rng(0)
    more = rng.poisson(2.0, size=(6, 4)).astype(float)
    more[1, 2] = more[3, 0] = more[3, 1] = np.nan
    sizes = {"vocabulary": 4, "hidden": [4], "length": 3.0, "length_shape": 2.5}
    return [
        Case("two", {**sizes, "topics": 2, "concentration": 0.7}, COUNTS),
        Case("holes", {**sizes, "topics": 3, "background": [0.3, -1.0, 0.0, 2.0], "spread": 0.8, "length": 8.0}, more),
    ]


def log_joint(pair, values, x) -> float:
    """log p(x, mixtures, weights)."""
    given = pair.hyperparameters
    weights = values["weights"]
    total = norm.logpdf(weights, 0, given["spread"]).sum() + log_mixtures(given, values["mixture"])
    for row, mixture in zip(x, values["mixture"], strict=True):
        words = softmax(np.broadcast_to(given["background"], x.shape[1]) + mixture @ weights)
        total += log_text(row, words, given["length"], given["length_shape"])
    return float(total)


def log_mixtures(given, mixtures) -> float:
    """Of mixtures (texts, topics) whose logits have one variance each, and are told less the last of them."""
    topics = given["topics"]
    variance = (1 - 1 / topics) / given["concentration"]
    between = multivariate_normal(np.zeros(topics - 1), variance * (np.eye(topics - 1) + 1))
    return sum(between.logpdf(np.log(mixture[:-1] / mixture[-1])) - np.log(mixture).sum() for mixture in mixtures)


def log_evidence(pair, x) -> None:
    """Nobody knows it."""
