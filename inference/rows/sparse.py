"""Rows that are mostly zeros, as scipy or pandas keep them: made dense a batch at a time, where all at once would be too many."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse

from .shuffle import orders, spread

# Numbers that are made dense at once: 800 megabytes.
CELLS = 100_000_000


class SparseSource:
    """The rows of a scipy sparse matrix, or of a DataFrame all of whose columns are sparse. See `Source` in `stream.py`."""

    def __init__(self, x: Any) -> None:
        self.frame = isinstance(x, pd.DataFrame)
        self._matrix = (x.sparse.to_coo() if self.frame else x).tocsr()
        self.count = self._matrix.shape[0]
        self.row_shape = (self._matrix.shape[1],)
        self.columns = [str(name) for name in (x.columns if self.frame else range(self._matrix.shape[1]))]
        if self._matrix.dtype.kind not in "fiub" or 0 in self._matrix.shape:
            raise ValueError(f"a sparse matrix of {self._matrix.dtype}, shape {self._matrix.shape}, has no numbers to fit")

    def read(self, size: int, seed: int, start: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """See `Source`."""
        return ((rows, self._dense(rows)) for rows in orders(self.count, size, seed, start))

    def sample(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """See `Source`."""
        rows = spread(self.count, count)
        return rows, self._dense(rows)

    def dense(self) -> np.ndarray:
        """All rows. Raises ValueError where they are too many to be made dense at once."""
        cells = self.count * self.row_shape[0]
        if cells > CELLS:
            raise ValueError(
                f"{self.count} sparse rows of {self.row_shape[0]} columns would take {8e-9 * cells:.0f} GB as they are read here; "
                "give svi a batch=, so that some are read at a time, and ask a posterior about some rows at a time"
            )
        return self._dense(slice(None))

    def _dense(self, rows: np.ndarray | slice) -> np.ndarray:
        found = self._matrix[rows]
        # scipy would write beyond the end of what is dense.
        if found.nnz and not 0 <= found.indices.min() <= found.indices.max() < self.row_shape[0]:
            wrong = found.indices[(found.indices < 0) | (found.indices >= self.row_shape[0])][0]
            raise ValueError(f"a sparse row has a number in column {wrong}, and there are {self.row_shape[0]} columns, numbered from zero")
        return found.toarray()


def is_sparse(x: Any) -> bool:
    """Whether `x` is a scipy sparse matrix, or a DataFrame all of whose columns are sparse."""
    if isinstance(x, pd.DataFrame):
        return x.shape[1] > 0 and all(isinstance(dtype, pd.SparseDtype) for dtype in x.dtypes)
    return scipy.sparse.issparse(x)
