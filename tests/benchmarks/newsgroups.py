"""20 newsgroups (11214 texts to fit and 7531 to foretell, 3072 words), K = 50: words held out, and how well topics hang together.

Set ZOO_DATA to a folder that holds `20ng`, with the counts of Dieng, Ruiz & Blei 2020 and their two halves of each text held out. The
first halves tell mixtures, the second are scored: where topics add, as in `lda.py`; where they multiply, by the encoder. NPMI is of the
first ten words of each topic, in the texts fitted and in those held out.
"""

import os
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import loadmat

from .lda import score
from .side import apart

TOPICS = 50
FOLDER = Path(os.environ.get("ZOO_DATA", "")) / "20ng"


def counts(part: str) -> np.ndarray:
    """(texts, words)"""
    tokens, times = (loadmat(FOLDER / f"bow_{part}_{kind}.mat")[kind][0] for kind in ("tokens", "counts"))
    x = np.zeros((len(tokens), len((FOLDER / "vocab.txt").read_text().split())), np.float32)
    for row, words, often in zip(x, tokens, times, strict=True):
        row[words.ravel()] = often.ravel()
    return x


def judged(topics: np.ndarray, x: np.ndarray, held: np.ndarray) -> str:
    """NPMI of topics (K, V) in the texts fitted and in those held out, and the share of different words among the first 25 of each."""
    from zoo.topics.coherence import coherence_of

    order = np.argsort(-topics, 1)
    known, unknown = (coherence_of(order[:, :10], texts > 0, "npmi").mean() for texts in (x, held))
    return f"NPMI {known:.3f} fitted, {unknown:.3f} held out; diversity {len(np.unique(order[:, :25])) / order[:, :25].size:.2f}"


def prodlda(steps: int) -> str:
    """Ours whose topics multiply, by minibatches of 200 texts."""
    import inference
    import zoo

    x, first, second = (counts(part) for part in ("tr", "ts_h1", "ts_h2"))
    begin = time.perf_counter()
    fit = inference.svi(zoo.create("prodlda", x, topics=TOPICS), x, batch=200, steps=steps, draws=20, device="cpu", compile=False)
    seconds = time.perf_counter() - begin
    per_word = fit.completion(first, second).per_word
    return f"{per_word:.4f}  {seconds:6.1f} s  {judged(fit.mean('topics'), x, first + second)}"


def _added(fit: Any) -> str:
    """Of topics that add, which `fit(counts)` gives."""
    x, first, second = (counts(part) for part in ("tr", "ts_h1", "ts_h2"))
    begin = time.perf_counter()
    topics = fit(x)
    seconds = time.perf_counter() - begin
    topics = topics / topics.sum(1, keepdims=True)
    return f"{score(topics, first, second):.4f}  {seconds:6.1f} s  {judged(topics, x, first + second)}"


def lda(sweeps: int) -> str:
    """Ours by Gibbs sampling, the mean of the topics over the last quarter of the sweeps."""
    import inference
    import zoo

    def fit(x: np.ndarray) -> np.ndarray:
        pair = zoo.create("lda", x, topics=TOPICS)
        run = {"warmup": sweeps - sweeps // 4, "draws": sweeps // 4}
        return inference.mcmc(pair, x, kernel="gibbs", chains=1, device="cpu", **run).draws["topics"].mean((0, 1)).double().numpy()

    return _added(fit)


def sklearn(passes: int) -> str:
    """scikit-learn: online variational Bayes, minibatches of 200."""
    from sklearn.decomposition import LatentDirichletAllocation

    settings = {"learning_method": "online", "batch_size": 200, "max_iter": passes, "random_state": 0}
    return _added(lambda x: LatentDirichletAllocation(TOPICS, **settings).fit(x).components_.astype(np.double))


SIDES = [
    ("ours, prodlda, 1000 steps", prodlda, {"steps": 1000}),
    ("ours, lda, 200 sweeps", lda, {"sweeps": 200}),
    ("scikit-learn, lda, 10 passes", sklearn, {"passes": 10}),
]
QUICK = [("ours, prodlda, 100 steps", prodlda, {"steps": 100}), ("ours, lda, 20 sweeps", lda, {"sweeps": 20})]


def main(quick: bool) -> None:
    """Print the figures of every side."""
    if not FOLDER.is_dir():
        print("\n20 newsgroups: left out, for ZOO_DATA does not hold 20ng")
        return
    warnings.simplefilter("ignore")
    print(f"\ntopics of 20 newsgroups, K = {TOPICS}: log probability of a word held out, seconds to the topics")
    for name, side, settings in QUICK if quick else SIDES:
        print(f"  {name:<32} {apart(side, **settings)}", flush=True)
