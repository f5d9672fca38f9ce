"""SVI on minibatches as the rows grow: the time of a step and the memory of the run should not grow with them.

Rows are a memory-mapped file, float32, 16 columns. There is no peer: a side is a number of rows.
"""

import resource
import tempfile
from pathlib import Path

import numpy as np

import inference
import zoo

from .side import apart

DIM, BATCH, COMPONENTS = 16, 256, 3


def fitted(rows: int, few: int, many: int) -> dict[str, float]:
    """Seconds a step, and the peak memory of the process with the file's pages in it, in MB."""
    with tempfile.TemporaryDirectory() as folder:
        x = _rows(Path(folder) / "x.npy", rows)
        pair = zoo.create("gmm", components=COMPONENTS, dim=DIM, covariance="diag")
        seconds = []
        for steps in (few, many):
            run = dict(steps=steps, batch=BATCH, particles=1, schedule="constant", draws=1, compile=False, progress=False)
            seconds.append(inference.svi(pair, x, **run).how["seconds"])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "step": (seconds[1] - seconds[0]) / (many - few),
        "around": seconds[0] - few * (seconds[1] - seconds[0]) / (many - few),
        "peak": peak,
    }


def _rows(path: Path, count: int, at_once: int = 100_000) -> np.ndarray:
    """(count, DIM) around three places, written a part at a time and never held whole."""
    generator = np.random.default_rng(0)
    places = 4 * generator.standard_normal((COMPONENTS, DIM), dtype=np.float32)
    file = np.lib.format.open_memmap(path, "w+", np.float32, (count, DIM))
    for begin in range(0, count, at_once):
        part = file[begin : begin + at_once]
        part[:] = places[generator.integers(COMPONENTS, size=len(part))] + generator.standard_normal(part.shape, dtype=np.float32)
    file.flush()
    del file
    return np.load(path, mmap_mode="r")


def main(quick: bool) -> None:
    """Print a line for every number of rows, and its step as a multiple of the first's."""
    sizes, steps = ((10**3, 10**5), (50, 150)) if quick else ((10**3, 10**4, 10**5, 10**6, 10**7), (100, 600))
    print(f"\nSVI on a mixture of {COMPONENTS}, rows x {DIM} from a memory map, {BATCH} a step, uncompiled")
    results = {rows: apart(fitted, rows=rows, few=steps[0], many=steps[1]) for rows in sizes}
    for rows, found in results.items():
        ratio = found["step"] / results[sizes[0]]["step"]
        rest = f"{found['around']:.1f} s around them, {found['peak']:.0f} MB at the peak"
        print(f"  {rows:>9} rows: {found['step'] * 1e3:.2f} ms a step ({ratio:.2f}), {rest}")
