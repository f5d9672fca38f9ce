"""Latent Dirichlet allocation by hand: the joint density, and the evidence by summing over all topics of words."""

import itertools

import numpy as np
from scipy.special import gammaln, logsumexp, xlogy
from scipy.stats import gamma, multinomial, nbinom

from . import Case

COUNTS = np.array([[2.0, 1, 0, 0], [0, 1, 0, 2], [0, 0, 1, 1], [0, 0, 0, 0]])


def cases() -> list[Case]:
    """Concentrations given and learnt, with and without holes, and a text without words."""
    sizes = {"topics": 2, "vocabulary": 4, "length": 3.0, "length_shape": 2.5}
    rng = np.random.default_rng(0)
    more = rng.poisson(2.0, size=(6, 4)).astype(float)
    holes = more.copy()
    holes[1, 2] = holes[3, 0] = holes[3, 1] = np.nan
    return [
        Case("given", {**sizes, "concentration": 0.7, "topic_concentration": 0.9}, COUNTS),
        Case("learnt", {**sizes, "length": 8.0}, more[:4]),
        Case("holes", {**sizes, "concentration": 1.0, "topic_concentration": 1.5, "length": 8.0}, holes),
    ]


def log_joint(pair, values, x) -> float:
    """log p(x, mixtures, topics, concentrations)."""
    given = pair.hyperparameters
    known = {n: values.get(n, given[n]) for n in ("concentration", "topic_concentration")}
    total = sum(gamma.logpdf(values[n], 2.0, scale=0.5).sum() for n in known if n in values)
    words, topics = x.shape[1], values["topics"]
    alpha = np.broadcast_to(known["concentration"], len(topics))
    total += sum(_log_dirichlet(topic, np.full(words, float(known["topic_concentration"]))) for topic in topics)
    for row, mixture in zip(x, values["mixture"], strict=True):
        total += _log_dirichlet(mixture, alpha) + log_text(row, mixture @ topics, given["length"], given["length_shape"])
    return float(total)


def log_text(row, probabilities, length, shape) -> float:
    """Of the words that were seen: how many there are, and which."""
    seen = ~np.isnan(row)
    share, count = probabilities[seen].sum(), row[seen].sum()
    if not seen.any():
        return 0.0
    among = multinomial.logpmf(row[seen], count, probabilities[seen] / share)
    return float(nbinom.logpmf(count, shape, shape / (shape + length * share)) + among)


def log_evidence(pair, x) -> float | None:
    """log p(x): the topic of every word summed over, mixtures and topics integrated out; None where that is not known."""
    given = pair.hyperparameters
    if given["concentration"] is None or np.isnan(x).any():
        return None
    texts, words = (a.repeat(x[x > 0].astype(int)) for a in x.nonzero())
    alpha, beta = np.full(given["topics"], given["concentration"]), np.full(x.shape[1], given["topic_concentration"])
    logs = []
    for assigned in itertools.product(range(given["topics"]), repeat=len(words)):
        by_text, by_topic = np.zeros((len(x), len(alpha))), np.zeros((len(alpha), len(beta)))
        np.add.at(by_text, (texts, assigned), 1)
        np.add.at(by_topic, (assigned, words), 1)
        logs.append(log_polya(by_text, alpha) + log_polya(by_topic, beta))
    lengths = nbinom.logpmf(x.sum(1), given["length_shape"], given["length_shape"] / (given["length_shape"] + given["length"])).sum()
    orders = (gammaln(x.sum(1) + 1) - gammaln(x + 1).sum(1)).sum()
    return float(logsumexp(logs) + lengths + orders)


def log_polya(counts, concentration) -> float:
    """log p of sequences with these counts, each drawn from a distribution that is Dirichlet(concentration)."""
    whole = gammaln(concentration.sum()) - gammaln(concentration.sum() + counts.sum(1))
    return float((whole + (gammaln(concentration + counts) - gammaln(concentration)).sum(1)).sum())


def _log_dirichlet(p, alpha) -> float:
    return float(gammaln(alpha.sum()) - gammaln(alpha).sum() + xlogy(alpha - 1, p).sum())
