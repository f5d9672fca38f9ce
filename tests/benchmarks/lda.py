"""Topic models of Reuters (395 texts, 4258 words, from the package lda): ours and its peers'.

K = 20 topics are fitted to four fifths of the texts. Of the others one half of each text's words is held out, and foretold from the
other half. Whatever found the topics, a text's mixture of them is found in the same way: by 200 rounds of the fixed point of Blei et
al. 2003 with concentration 0.1. Seconds are from counts to topics; what is compiled just in time is compiled before.
"""

import time
import warnings
from typing import Any

import numpy as np
from scipy.special import digamma

from .side import apart

TOPICS = 20


def reuters() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Counts (texts, words) to fit, and the two halves of those held out."""
    import torch

    import zoo
    from zoo.topics.answers import halves

    x = zoo.data.load("reuters").x.long().numpy()
    order = np.random.default_rng(0).permutation(len(x))
    fitted = round(0.8 * len(x))
    first, second = halves(torch.as_tensor(x[order[fitted:]], dtype=torch.double))
    return x[order[:fitted]], first.numpy(), second.numpy()


def score(topics: np.ndarray, first: np.ndarray, second: np.ndarray) -> float:
    """Log probability a word of the second halves, given topics (K, V)."""
    shapes = 0.1 + first.sum(1, keepdims=True) / len(topics) + np.zeros(len(topics))
    for _ in range(200):
        weights = np.exp(digamma(shapes))
        shapes = 0.1 + weights * ((first / (weights @ topics + 1e-300)) @ topics.T)
    mixtures = shapes / shapes.sum(1, keepdims=True)
    return float((second * np.log(mixtures @ topics)).sum() / second.sum())


def timed(fit: Any, warm: bool = False) -> tuple[float, float]:
    """Seconds, and the score of the topics that `fit(counts)` gives."""
    x, first, second = reuters()
    if warm:
        fit(x[:40])
    begin = time.perf_counter()
    topics = fit(x)
    seconds = time.perf_counter() - begin
    return seconds, score(topics / topics.sum(1, keepdims=True), first, second)


def gibbs(warmup: int, draws: int) -> tuple[float, float]:
    """Ours by Gibbs sampling: the mean of the topics over draws, concentrations learnt."""
    import inference
    import zoo

    def fit(x: np.ndarray) -> np.ndarray:
        pair = zoo.create("lda", x, topics=TOPICS)
        posterior = inference.mcmc(pair, x, kernel="gibbs", chains=1, warmup=warmup, draws=draws, device="cpu")
        return posterior.draws["topics"].mean((0, 1)).double().numpy()

    return timed(fit, warm=True)


def variational(steps: int) -> tuple[float, float]:
    """Ours by natural gradient steps: the mean of the guide, concentrations learnt."""
    import inference
    import zoo

    def fit(x: np.ndarray) -> np.ndarray:
        posterior = inference.svi(zoo.create("lda", x, topics=TOPICS), x, steps=steps, draws=20, device="cpu", compile=False)
        return posterior.draws["topics"].mean((0, 1)).double().numpy()

    return timed(fit, warm=True)


def lda(eta: float) -> tuple[float, float]:
    """The package lda: Gibbs sampling, 2000 sweeps, its last state."""
    import logging

    from lda import LDA

    logging.getLogger("lda").setLevel(logging.ERROR)
    return timed(lambda x: LDA(TOPICS, n_iter=2000, eta=eta, random_state=0).fit(x).topic_word_)


def sklearn(eta: float | None) -> tuple[float, float]:
    """scikit-learn: variational Bayes on all texts, 100 rounds."""
    from sklearn.decomposition import LatentDirichletAllocation

    return timed(lambda x: LatentDirichletAllocation(TOPICS, topic_word_prior=eta, max_iter=100, random_state=0).fit(x).components_)


def gensim() -> tuple[float, float]:
    """gensim: online variational Bayes, 20 passes, concentrations learnt."""
    from gensim.matutils import Dense2Corpus
    from gensim.models import LdaModel

    def fit(x: np.ndarray) -> np.ndarray:
        names = {i: str(i) for i in range(x.shape[1])}
        corpus = list(Dense2Corpus(x, documents_columns=False))
        return LdaModel(corpus, TOPICS, id2word=names, passes=20, alpha="auto", eta="auto", random_state=0).get_topics()

    return timed(fit)


def tomotopy(eta: float) -> tuple[float, float]:
    """tomotopy: Gibbs sampling, 1000 sweeps, its last state; concentrations of mixtures learnt."""
    from tomotopy import LDAModel

    def fit(x: np.ndarray) -> np.ndarray:
        model = LDAModel(k=TOPICS, eta=eta, seed=0)
        for text in x:
            model.add_doc([str(word) for word in np.arange(x.shape[1]).repeat(text)])
        model.train(1000, workers=1)
        # Words that no text has have no place in it: what the prior gives them.
        counts = np.array(model.get_count_by_topics())
        topics = np.tile(eta / (counts + eta * x.shape[1])[:, None], x.shape[1])
        topics[:, [int(word) for word in model.used_vocabs]] = [model.get_topic_word_dist(k) for k in range(TOPICS)]
        return topics

    return timed(fit)


SIDES = [
    ("ours, gibbs, 50 + 30 sweeps", gibbs, {"warmup": 50, "draws": 30}),
    ("ours, gibbs, 300 + 300 sweeps", gibbs, {"warmup": 300, "draws": 300}),
    ("ours, svi, 100 steps", variational, {"steps": 100}),
    ("lda", lda, {"eta": 0.01}),
    ("lda, eta 0.1", lda, {"eta": 0.1}),
    ("scikit-learn", sklearn, {"eta": None}),
    ("scikit-learn, eta 0.3", sklearn, {"eta": 0.3}),
    ("gensim", gensim, {}),
    ("tomotopy", tomotopy, {"eta": 0.01}),
    ("tomotopy, eta 0.1", tomotopy, {"eta": 0.1}),
]


def main(quick: bool) -> None:
    """Print seconds and the score of every side."""
    warnings.simplefilter("ignore")
    print("\ntopics of Reuters, K = 20: log probability of a word held out, and seconds to the topics")
    for name, side, settings in SIDES:
        seconds, found = apart(side, **settings)
        print(f"  {name:<32} {found:.4f}  {seconds:6.2f} s", flush=True)
