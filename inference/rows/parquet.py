"""Rows of a Parquet file that are read as they are needed."""

import itertools
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .shuffle import spread
from .table import numbers

if TYPE_CHECKING:
    from pyarrow.parquet import ParquetFile

POOL = 2**23
SAMPLED = 16

Batch = tuple[np.ndarray, np.ndarray]


class ParquetSource:
    """The rows of a Parquet file, a pool of row groups in memory at a time.

    Only whole row groups can be read. In every epoch the groups come in a random order, as many as make up `POOL` numbers (at
    least one) form a pool, and its rows are shuffled. A batch therefore mixes the rows of one pool: where neighbouring
    rows are alike, write the file with small row groups, or shuffled.

    Raises ValueError: pyarrow is not there, the file cannot be read or has no rows, or a column holds no numbers.
    """

    frame = True

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._open() as file:
            counts = np.array([file.metadata.row_group(i).num_rows for i in range(file.metadata.num_row_groups)], np.int64)
            empty = file.schema_arrow.empty_table().to_pandas()
        numbers(empty)
        self.columns = [str(name) for name in empty.columns]
        self.row_shape = (len(self.columns),)
        self.count = int(counts.sum())
        if not self.count or not self.columns:
            raise ValueError(f"{path} has {self.count} rows and {len(self.columns)} columns: nothing to fit")
        # A writer may leave a group empty, and nothing can be drawn from it.
        self._groups = counts.nonzero()[0]
        self._counts = counts[self._groups]
        self._starts = self._counts.cumsum() - self._counts

    def read(self, size: int, seed: int, start: int) -> Iterator[Batch]:
        """See `stream.Source`."""
        each = self.count // size
        with self._open() as file:
            for epoch in itertools.count(start // each):
                yield from self._epoch(file, size, (seed, epoch), begin=start % each * size)
                start = 0

    def sample(self, count: int) -> Batch:
        """See `stream.Source`. At most `SAMPLED` row groups are read, so that it costs the same however many there are."""
        chosen = spread(len(self._groups), SAMPLED)
        with self._open() as file:
            rows, values = _join([self._group(file, i, spread(self._counts[i], -(-count // len(chosen)))) for i in chosen])
        kept = spread(len(rows), count)
        return rows[kept], values[kept]

    def _epoch(self, file: "ParquetFile", size: int, seed: tuple[int, int], begin: int) -> Iterator[Batch]:
        """The batches of an epoch from its row `begin` on; pools before that are not read."""
        left, passed = (np.empty(0, np.int64), np.empty((0, *self.row_shape))), 0
        for i, pool in enumerate(self._pools(seed)):
            count = sum(self._counts[group] for group in pool)
            if passed + count > begin:
                order = np.random.default_rng((*seed, i)).permutation(count)[max(0, begin - passed) :]
                left = yield from self._pool(file, pool, order, size, left)
            passed += count

    def _pool(self, file: "ParquetFile", pool: list[int], order: np.ndarray, size: int, left: Batch) -> Generator[Batch, None, Batch]:
        """Batches of the rows that the last pool left over and of this one's in `order`; returns what this one leaves over."""
        rows, values = _join([left, *(self._group(file, group) for group in pool)])
        order = np.concatenate([np.arange(len(left[0])), len(left[0]) + order])
        whole = len(order) // size * size
        for chosen in order[:whole].reshape(-1, size):
            yield rows[chosen], values[chosen]
        return rows[order[whole:]], values[order[whole:]]

    def _pools(self, seed: tuple[int, int]) -> Iterator[list[int]]:
        pool, room = [], POOL
        for group in np.random.default_rng(seed).permutation(len(self._groups)).tolist():
            size = self._counts[group] * len(self.columns)
            if pool and size > room:
                yield pool
                pool, room = [], POOL
            pool.append(group)
            room -= size
        yield pool

    def _group(self, file: "ParquetFile", group: int, kept: np.ndarray | slice = slice(None)) -> Batch:
        frame = file.read_row_group(int(self._groups[group])).to_pandas()
        rows = self._starts[group] + np.arange(len(frame))
        return rows[kept], numbers(frame.set_axis(rows).iloc[kept])

    def _open(self) -> "ParquetFile":
        try:
            from pyarrow.parquet import ParquetFile
        except ImportError:
            raise ValueError("Parquet needs pyarrow: pip install 'latent-zoo[parquet]'") from None
        try:
            return ParquetFile(self._path)
        except (OSError, ValueError) as error:
            raise ValueError(f"{self._path} cannot be read: {error}") from error


def _join(parts: list[Batch]) -> Batch:
    rows, values = zip(*parts, strict=True)
    return np.concatenate(rows), np.concatenate(values)
