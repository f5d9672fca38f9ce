"""Rows that do not fit into memory: read a batch at a time, in a random order, checked as they come."""

import math
from collections.abc import Iterator
from copy import copy
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ..run import at_least
from .dataset import DatasetSource, plain
from .files import read_file
from .parquet import ParquetSource
from .shuffle import orders, spread
from .sparse import SparseSource, is_sparse
from .sparse_files import holds_sparse
from .table import Table, as_table, checked, checked_table

LARGE = 2**30
# What is looked at before any fit: so many rows, or as many as hold so many numbers.
SAMPLE, CELLS = 10_000, 20_000_000


class Source(Protocol):
    """Where rows are read from. count: how many; row_shape: of one; columns: names of its first axis; frame: came with names."""

    count: int
    row_shape: tuple[int, ...]
    columns: list[str]
    frame: bool

    def read(self, size: int, seed: int, start: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The row numbers (size,) and the values (size, *row_shape) of each batch from batch `start` on, as `orders` says."""

    def sample(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Numbers and values of at most `count` rows, evenly spread."""


class Rows:
    """Rows that are read as they are needed; neither memory nor the cost of a batch grows with how many there are."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.columns, self.row_shape, self.frame = source.columns, tuple(source.row_shape), source.frame
        self._order: list[int] | None = None

    def __len__(self) -> int:
        return self._source.count

    @property
    def shape(self) -> tuple[int, ...]:
        """(rows, *row_shape)."""
        return (len(self), *self.row_shape)

    def batches(self, size: int, seed: int, start: int = 0) -> Iterator[Tensor]:
        """Batches (size, *row_shape) without end, in torch's default dtype, `NaN` where a value is missing.

        In every epoch each row comes once, in a random order that follows from (seed, epoch) alone, but for the len % size rows
        that fill no batch. The first is batch `start`: a run that goes on sees what it would have seen.

        Raises ValueError: `size` is more than the rows; when a batch is reached, an infinite value or text, with its row and column.
        """
        at_least(1, batch=size)
        at_least(0, seed=seed, start=start)
        if size > len(self):
            raise ValueError(f"batch={size} is more than the {len(self)} rows; take a smaller one")
        return (checked(self._alike(*part), self.columns, pd.Index(part[0])) for part in self._source.read(size, seed, start))

    def in_order(self, table: Table) -> "Rows":
        """The same, with their columns in the order of those of `table`. Raises ValueError where its rows are not rows, but steps."""
        if table.variables is not None:
            raise ValueError("these rows are the steps of series, which are fitted whole; read them into memory, without batch=")
        if table.columns == self.columns:
            return self
        found = copy(self)
        found.columns, found._order = table.columns, [self.columns.index(name) for name in table.columns]
        return found

    def head(self, count: int) -> Table:
        """At most `count` rows, evenly spread over all: for `read`, `check`, `start` and tracing. Raises as `batches`."""
        at_least(1, count=count)
        rows, values = self._source.sample(count)
        return checked_table(self._alike(rows, values), self.columns, pd.Index(rows), self.frame)

    def _alike(self, rows: np.ndarray, values: np.ndarray) -> np.ndarray:
        if values.shape != (len(rows), *self.row_shape):
            raise ValueError(f"{len(rows)} rows from row {rows[0]} on have shape {values.shape[1:]}, and the first has {self.row_shape}")
        return (values if self._order is None else values[:, self._order]).astype(float)


def as_stream(x: Any) -> Rows | None:
    """`x` as rows to be streamed, or None where it is not such a thing, and `as_table` reads it.

    x: a NumPy memory map, a scipy sparse matrix or a DataFrame of sparse columns, a torch Dataset whose items are rows (tensors) or
        tuples that begin with one, a DataLoader of such a Dataset (its workers and `collate_fn` are used; the batches and their order
        are not), a file of sparse rows (an NPZ that `scipy.sparse.save_npz` did not compress stays on disk), or a Parquet or NPY file of
        at least `LARGE` bytes.

    Raises:
        TypeError: a Dataset without length or numbered items, or items that are no rows.
        ValueError: a DataLoader that samples in its own way, no rows, no numbers, or a file that cannot be read.
    """
    if isinstance(x, Rows):
        return x
    if isinstance(x, np.memmap):
        return Rows(ArraySource(x))
    if is_sparse(x):
        return Rows(SparseSource(x))
    if isinstance(x, DataLoader):
        return Rows(DatasetSource(plain(x).dataset, x.collate_fn, x.num_workers))
    if isinstance(x, Dataset):
        return Rows(DatasetSource(x))
    if isinstance(x, str | Path) and Path(x).is_file():
        return _file(Path(x))
    return None


def glance(x: Any) -> Table:
    """Rows by which a pair can be made and a fit can start: all of `x`, or some, evenly spread, of what is to be streamed."""
    stream = as_stream(x)
    if stream is None or (is_sparse(x) and math.prod(stream.shape) <= CELLS):
        return as_table(x)
    return stream.head(max(1, min(SAMPLE, CELLS // math.prod(stream.row_shape))))


def streamed(x: Any, batch: int | None) -> Rows | None:
    """`as_stream`, for a fit with so many rows a step. Raises ValueError for a Dataset without `batch`; what can be, is read whole."""
    if batch is None and not isinstance(x, Dataset | DataLoader | Rows):
        return None
    stream = as_stream(x)
    if stream is not None and batch is None:
        raise ValueError(f"a {type(x).__name__} is read a batch at a time: say how many rows a step takes, batch=256, for instance")
    return stream


def _file(path: Path) -> Rows | None:
    if holds_sparse(path):
        return Rows(SparseSource(read_file(path)))
    if path.stat().st_size < LARGE:
        return None
    if path.suffix.lower() == ".parquet":
        return Rows(ParquetSource(path))
    if path.suffix.lower() != ".npy":
        return None
    try:
        return Rows(ArraySource(np.load(path, mmap_mode="r", allow_pickle=False)))
    except (ValueError, OSError, EOFError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error


class ArraySource:
    """The rows of an array on disk. What the system keeps of it in memory, it gives back when others need the room."""

    frame = False

    def __init__(self, array: np.ndarray) -> None:
        if array.dtype.kind not in "fiub" or array.size == 0:
            raise ValueError(f"a memory map of {array.dtype}, shape {array.shape}, has no numbers to fit")
        array = np.asarray(array)
        self._array = array if array.ndim > 1 else array.reshape(-1, 1)
        self.count, *rest = self._array.shape
        self.row_shape = tuple(rest)
        self.columns = [str(i) for i in range(rest[0])]

    def read(self, size: int, seed: int, start: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """See `Source`."""
        return ((rows, self._array[rows]) for rows in orders(self.count, size, seed, start))

    def sample(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """See `Source`."""
        rows = spread(self.count, count)
        return rows, self._array[rows]
