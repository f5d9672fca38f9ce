"""Topics whose weights texts share, by hand: the joint density, and the evidence by summing over all topics of words."""

import itertools

import numpy as np
from scipy.special import gammaln, logsumexp
from scipy.stats import dirichlet, gamma, nbinom

from . import Case
from .lda import COUNTS, log_polya, log_text

NODES = 61


def cases() -> list[Case]:
    """The concentration of topics given and learnt, with and without holes, and a text without words."""
    sizes = {"vocabulary": 4, "length": 3.0, "length_shape": 2.5}
    rng = np.random.default_rng(0)
    more = rng.poisson(2.0, size=(6, 4)).astype(float)
    more[1, 2] = more[3, 0] = more[3, 1] = np.nan
    return [
        Case("given", {**sizes, "topics": 2, "topic_concentration": 0.9}, COUNTS),
        Case("holes", {**sizes, "topics": 3, "length": 8.0}, more),
    ]


def log_joint(pair, values, x) -> float:
    """log p(x, mixtures, topics, weights, concentrations)."""
    given = pair.hyperparameters
    topics, weights = values["topics"], values["weights"]
    smoothing = values.get("topic_concentration", given["topic_concentration"])
    total = sum(gamma.logpdf(values[name], 2.0, scale=0.5) for name in ("breadth", "strength"))
    total += gamma.logpdf(smoothing, 2.0, scale=0.5) if "topic_concentration" in values else 0.0
    total += _log_dirichlet(weights, np.full(len(weights), values["breadth"] / len(weights)))
    total += sum(_log_dirichlet(topic, np.full(x.shape[1], float(smoothing))) for topic in topics)
    for row, mixture in zip(x, values["mixture"], strict=True):
        total += _log_dirichlet(mixture, values["strength"] * weights)
        total += log_text(row, mixture @ topics, given["length"], given["length_shape"])
    return float(total)


def log_evidence(pair, x) -> float | None:
    """log p(x): the topic of every word summed over, mixtures and topics integrated out; strength, breadth and the first of two weights
    by quadrature. None where that is not known."""
    given = pair.hyperparameters
    if given["topic_concentration"] is None or np.isnan(x).any() or given["topics"] != 2:
        return None
    logs = np.logaddexp.reduce([log_mixtures(by_text) + log_words for by_text, log_words in assigned(x, given["topic_concentration"])])
    lengths = nbinom.logpmf(x.sum(1), given["length_shape"], given["length_shape"] / (given["length_shape"] + given["length"])).sum()
    orders = (gammaln(x.sum(1) + 1) - gammaln(x + 1).sum(1)).sum()
    return float(logs + lengths + orders)


def assigned(x, smoothing):
    """For each way to give words one of two topics: how many each text has of each (texts, 2), and the log density of the words."""
    texts, words = (a.repeat(x[x > 0].astype(int)) for a in x.nonzero())
    for topics in itertools.product(range(2), repeat=len(words)):
        by_text, by_topic = np.zeros((len(x), 2)), np.zeros((2, x.shape[1]))
        np.add.at(by_text, (texts, topics), 1)
        np.add.at(by_topic, (topics, words), 1)
        yield by_text, log_polya(by_topic, np.full(x.shape[1], smoothing))


def grid() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nodes (node, 2) of strength and of the logit of the first weight, with the log of their prior mass; breadth is summed over."""
    line = np.linspace(-6, 4, NODES)
    positive, logit = np.exp(line), np.linspace(-80, 80, 4 * NODES + 1)
    mass = gamma.logpdf(positive, 2.0, scale=0.5) + line + np.log(line[1] - line[0])
    first, second = -np.logaddexp(0, -logit), -np.logaddexp(0, logit)
    half = positive[:, None] / 2
    of_weights = gammaln(2 * half) - 2 * gammaln(half) + half * (first + second) + np.log(logit[1] - logit[0])
    return positive, np.stack([first, second]), mass[:, None] + logsumexp(mass[:, None] + of_weights, axis=0)


def log_mixtures(by_text) -> float:
    """log density of words' topics in texts, strength and weights integrated out."""
    strength, weights, mass = grid()
    return float(logsumexp(log_given(by_text, strength, weights) + mass))


def log_given(by_text, strength, weights) -> np.ndarray:
    """(strength, weight) the same given strength and the logs of weights (2, weight)."""
    alpha = np.maximum(strength[:, None] * np.exp(weights)[:, None], 1e-6)  # (2, strength, weight)
    total = 0.0
    for counts in by_text:
        whole = alpha.sum(0)
        total = total + gammaln(whole) - gammaln(whole + counts.sum())
        total = total + sum(gammaln(a + n) - gammaln(a) for a, n in zip(alpha, counts, strict=True))
    return total


def _log_dirichlet(p, alpha) -> float:
    return float(dirichlet.logpdf(p / p.sum(), alpha))
