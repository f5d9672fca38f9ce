"""Topics of corpora streamed from disk, as they grow: a text should cost as much, in time and in memory, however many there are.

Texts of about 60 words, of 3000, are drawn from K = 20 topics, sparse counts in an NPZ that stays on disk. There is no peer: a side is a
number of texts, and what counts for topics is how well the truth itself would complete texts that nobody has fitted.
"""

import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import scipy.sparse
from torch import Tensor

import inference
import zoo
from inference.rows.files import read_file
from inference.rows.sparse import SparseSource
from inference.rows.stream import Rows

from .lda import score
from .side import apart

TOPICS, WORDS, LENGTH, BATCH = 20, 3000, 60, 500
# Concentrations of mixtures and of topics.
MIXED, SPARSE = 0.1, 0.05
AT_ONCE, HELD = 20_000, 1000
# Steps that are not timed: what is compiled just in time is compiled in them.
FIRST = 10


class Stamped(Rows):
    """Rows that note when each batch was asked for."""

    def batches(self, size: int, seed: int, start: int = 0) -> Iterator[Tensor]:
        self.times: list[float] = []
        for batch in super().batches(size, seed, start):
            self.times.append(time.perf_counter())
            yield batch


def fitted(texts: int, steps: int) -> dict[str, float]:
    """Texts a second, seconds around the steps, peak memory in MB with and without the file's pages, and what is foretold of the held."""
    generator = np.random.default_rng(0)
    topics = generator.dirichlet(np.full(WORDS, SPARSE), TOPICS)
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        path = _written(Path(folder), topics, texts, generator)
        written = time.perf_counter() - begin
        with _watched() as most:
            rows = Stamped(SparseSource(read_file(path)))
            pair = zoo.create("lda", rows, topics=TOPICS)
            found = inference.svi(pair, rows, batch=BATCH, steps=steps, draws=20, device="cpu", compile=False, progress=False)
    took = rows.times[-1] - rows.times[FIRST]
    held = _drawn(topics, HELD, generator).toarray()
    first = generator.binomial(held, 0.5)
    halves = first.astype(float), (held - first).astype(float)
    learnt = found.draws["topics"].mean((0, 1)).double().numpy()
    scores = {"learnt": score(learnt / learnt.sum(1, keepdims=True), *halves), "truth": score(topics, *halves)}
    rate = BATCH * (steps - 1 - FIRST) / took
    return {"written": written, "rate": rate, "around": found.how["seconds"] - took, **most, **scores}


def _written(folder: Path, topics: np.ndarray, texts: int, generator: np.random.Generator) -> Path:
    """A file of counts, drawn and written a part at a time and never held whole."""
    starts, kinds = [np.zeros(1, np.int64)], {"data": np.uint8, "indices": np.int32}
    with (folder / "data").open("wb") as data, (folder / "indices").open("wb") as indices:
        for begin in range(0, texts, AT_ONCE):
            part = _drawn(topics, min(AT_ONCE, texts - begin), generator)
            part.data.astype(kinds["data"]).tofile(data)
            part.indices.astype(kinds["indices"]).tofile(indices)
            starts.append(starts[-1][-1] + part.indptr[1:].astype(np.int64))
    arrays = {name: np.memmap(folder / name, kind, "r") for name, kind in kinds.items()}
    np.savez(folder / "texts.npz", indptr=np.concatenate(starts), shape=(texts, WORDS), format=b"csr", **arrays)
    return folder / "texts.npz"


def _drawn(topics: np.ndarray, texts: int, generator: np.random.Generator) -> scipy.sparse.csr_matrix:
    """Counts (texts, words), their topics summed up as they are drawn."""
    lengths = generator.poisson(LENGTH, texts)
    mixtures = generator.dirichlet(np.full(TOPICS, MIXED), texts)
    topic = np.repeat(np.tile(np.arange(TOPICS), texts), generator.multinomial(lengths, mixtures).ravel())
    # One list of all topics' cumulative probabilities, each topic's a whole number above the one's before.
    ends = (topics.cumsum(1).clip(max=1.0) + np.arange(TOPICS)[:, None]).ravel()
    word = np.searchsorted(ends, topic + generator.random(len(topic))).clip(max=ends.size - 1) % WORDS
    found = scipy.sparse.csr_matrix((np.ones(len(word), np.int32), (np.repeat(np.arange(texts), lengths), word)), (texts, WORDS))
    found.sum_duplicates()
    return found


@contextmanager
def _watched() -> Iterator[dict[str, float]]:
    """What is filled in with the peaks of this process's resident memory, in MB: all of it, and without what it sees of files."""
    most, over = {"peak": 0.0, "own": 0.0}, threading.Event()

    def look() -> None:
        while not over.wait(0.02):
            lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
            for name, key in {"peak": "VmRSS", "own": "RssAnon"}.items():
                most[name] = max(most[name], int(lines[key].split()[0]) / 1024)

    watching = threading.Thread(target=look)
    watching.start()
    try:
        yield most
    finally:
        over.set()
        watching.join()


def main(quick: bool) -> None:
    """Print a line for every number of texts."""
    sizes, steps = ((10**4, 10**5), 50) if quick else ((10**4, 10**5, 10**6), 500)
    print(f"\nSVI of lda, K = {TOPICS}, {WORDS} words, sparse counts streamed from disk, {BATCH} texts a step, {steps} steps, uncompiled")
    for texts in sizes:
        found = apart(fitted, texts=texts, steps=steps)
        memory = f"at the peak {found['own']:.0f} MB, {found['peak']:.0f} MB with pages of files"
        foretold = f"{found['learnt']:.4f} a word held out (the truth {found['truth']:.4f})"
        rest = f"{found['around']:.1f} s around the steps, {found['written']:.1f} s to draw them"
        print(f"  {texts:>8} texts: {found['rate']:.0f} a second, {memory}; {foretold}; {rest}", flush=True)
