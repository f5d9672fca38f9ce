"""What a user hands in, converted and checked once, at the door."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from .files import read_file
from .sparse import SparseSource, is_sparse

if TYPE_CHECKING:
    from .steps import Steps

# How much of a column's spread rounding may take, in a table of at least so many rows, and the spread of what is noise of doubles.
LOST, FEW, NOISE = 1e-3, 10, 1e-12


@dataclass(frozen=True, eq=False)
class Table:
    """Rows as inference reads them.

    x: (rows, ...) in torch's default dtype, `NaN` where a value is missing.
    columns: names along the second axis. index: labels of the rows. frame: whether it came with names (a DataFrame or a file).
    rounded: what to say before it is fitted, where x has lost too much of the numbers given.
    labels: of a DataFrame, what its columns were called before their names were made text.
    steps: of series that came in a DataFrame, where their steps stood. variables: where these were its rows, names along the last axis.
    """

    x: Tensor
    columns: list[str]
    index: pd.Index
    frame: bool
    rounded: str | None = None
    labels: pd.Index | None = None
    variables: list[str] | None = None
    steps: "Steps | None" = None

    @property
    def names(self) -> list[str]:
        """Of the columns that the user's table had."""
        return self.variables or self.columns

    def __len__(self) -> int:
        return len(self.x)

    def row(self, i: int) -> str:
        """How a message names row `i`."""
        return f"row {label(self.index, i)}"

    def variable(self, i: int) -> str:
        """How a message names the column `i` of series."""
        return repr(self.variables[i]) if self.variables else str(i)

    def some(self, which: Any) -> "Table":
        """The rows of the given numbers."""
        steps = self.steps and self.steps.some(which, len(self))
        return replace(self, x=self.x[which], index=self.index[which], steps=steps)

    def parted(self, covariates: int) -> tuple["Table", "Table"]:
        """The table of all columns but the last `covariates`, along the last axis of x, and that of these. Raises ValueError if none is
        left."""
        at = self.x.shape[-1] - covariates
        if at < 1:
            told = "; of series that have covariates, x is (series, time, columns), one series of a table `table.to_numpy()[None]`"
            has = f"these rows have {self.x.shape[-1]} columns, so that none is left to be modelled"
            raise ValueError(f"covariates={covariates}: {has}{told}")
        names = {"columns": self.columns} if self.x.dim() == 2 else {"variables": self.variables}

        def part(which: slice) -> Table:
            return replace(self, x=self.x[..., which], **{key: known and known[which] for key, known in names.items()})

        return part(slice(at)), part(slice(at, None))

    def dress(self, values: Tensor, columns: Sequence[str] | pd.Index) -> Any:
        """What is told of rows (rows, len(columns)) in the form in which they came: a DataFrame with their index, or the tensor."""
        return pd.DataFrame(values.cpu().numpy(), self.index, columns) if self.frame and values.dim() == 2 else values

    def dress_like(self, values: Tensor) -> Any:
        """What is told of each value of the rows, in the form in which they came. Of series there may be other steps than theirs, if
        `steps` are those."""
        if self.steps is None:
            return self.dress(values, self.columns)
        return self.dress_steps(values) if self.variables is None else self.dress_steps(values, self.variables)

    def dress_steps(self, values: Tensor, columns: Sequence[str] | pd.Index | str = "") -> Any:
        """What is told of the steps of series, (rows, time) numbers called `columns`, or (rows, time, ...) as many as there are `columns`:
        a DataFrame in the names of theirs, if they came in one, or the tensor."""
        if self.steps is None:
            return values
        if values.dim() == 2:
            return self.steps.dress_numbers(values.cpu().numpy(), columns)
        return self.steps.dress(values.flatten(2).cpu().numpy(), columns)


def label(index: pd.Index, i: int) -> str:
    """The label of row `i` as a message shows it: 7, and not np.int64(7)."""
    return repr(index[[i]].tolist()[0])


def as_table(x: Any) -> Table:
    """Rows from a DataFrame, Series, array, nested list, tensor, scipy sparse matrix, or file (`files.KINDS`).

    One-dimensional input is one column. Numbers become torch's default dtype; missing values become `NaN`.

    Raises:
        TypeError: `x` is of no such kind. ValueError: no rows, no columns, text, or an infinite value; the message names where.
        FileNotFoundError: there is no such file.
    """
    if isinstance(x, Table):
        return x
    if isinstance(x, str | Path):
        return as_table(read_file(Path(x)))
    if is_sparse(x):
        sparse = SparseSource(x)
        index = x.index if sparse.frame else pd.RangeIndex(sparse.count)
        return checked_table(sparse.dense().astype(float), sparse.columns, index, sparse.frame)
    if isinstance(x, pd.Series):
        x = x.to_frame()
    if isinstance(x, pd.DataFrame):
        return replace(checked_table(numbers(x), [str(c) for c in x.columns], x.index, frame=True), labels=x.columns)
    array = _array(x)
    if array.dtype.kind not in "fiub":
        raise ValueError(
            f"an array of {array.dtype} has no numbers to fit; convert it, or hand in a DataFrame to see which column is at fault"
        )
    if array.ndim == 0:
        raise ValueError(f"{array!r} is a single number, not rows")
    array = array[:, None] if array.ndim == 1 else array
    columns = [str(i) for i in range(array.shape[1])]
    return checked_table(array.astype(float), columns, pd.RangeIndex(len(array)), frame=False)


def _array(x: Any) -> np.ndarray:
    if isinstance(x, Tensor):
        dense = x.detach().cpu().to_dense()
        return (dense.double() if dense.is_floating_point() else dense).numpy()
    if isinstance(x, np.ma.MaskedArray):
        return x.astype(float).filled(np.nan)
    if not isinstance(x, np.ndarray | list | tuple):
        raise TypeError(f"rows must be a DataFrame, array, tensor, sparse matrix or file, not {type(x).__name__}")
    try:
        return np.asarray(x)
    except ValueError as error:
        raise ValueError(f"the rows must all have one length; pad short ones with NaN ({error})") from error


def numbers(frame: pd.DataFrame) -> np.ndarray:
    """(rows, columns) in double precision. Raises ValueError for a repeated column and for what is not numbers, with its row."""
    names = frame.columns.map(str)
    repeated = names[names.duplicated()]
    if len(repeated):
        raise ValueError(f"column {repeated[0]!r} appears twice; rename or drop one")
    columns = []
    for name, values in frame.items():
        if isinstance(values.dtype, pd.CategoricalDtype) or values.dtype.kind not in "fiubO":
            raise ValueError(f"column {name!r} holds {values.dtype}, not numbers; drop it or encode it")
        if values.dtype.kind == "O":
            _refuse_text(name, values)
        columns.append(pd.to_numeric(values).to_numpy(float, na_value=np.nan))
    return np.stack(columns, 1) if columns else np.empty((len(frame), 0))


def _refuse_text(name: Any, values: pd.Series) -> None:
    text = values[values.notna() & pd.to_numeric(values, errors="coerce").isna()]
    if len(text):
        raise ValueError(
            f"column {name!r} holds text: {text.iloc[0]!r} in row {label(text.index, 0)}; drop the column or encode it as numbers"
        )


def checked_table(array: np.ndarray, columns: list[str], index: pd.Index, frame: bool) -> Table:
    """The table of `array` (rows, ...), in torch's default dtype. Raises as `checked`."""
    x = checked(array, columns, index)
    return Table(x, columns, index, frame, _rounded(array, x, columns))


def checked(array: np.ndarray, columns: list[str], index: pd.Index) -> Tensor:
    """`array` (rows, ...) in torch's default dtype. Raises ValueError for nothing, and for an infinite value."""
    if len(array) == 0:
        raise ValueError("the table is empty: it has no rows")
    if array.size == 0:
        raise ValueError(f"the table has no values: its shape is {array.shape}")
    x = torch.as_tensor(array, dtype=torch.get_default_dtype())
    infinite = x.isinf().nonzero()
    if len(infinite):
        row, *rest = where = tuple(infinite[0].tolist())
        place = f"column {columns[rest[0]]!r}, row {label(index, row)}"
        raise ValueError(f"{place}: {array[where]} is infinite as {x.dtype}; remove it, or set it to NaN if it is missing")
    return x


def _rounded(array: np.ndarray, x: Tensor, columns: list[str]) -> str | None:
    """What to say of a column that varies so little beside its size that x's precision does not keep how, if there is one."""
    if array.dtype != np.float64 or x.dtype == torch.double or len(array) < FEW:
        return None
    axes = tuple(i for i in range(array.ndim) if i != 1)
    lost = np.abs(np.where(np.isnan(array), 0.0, array) - x.nan_to_num().double().numpy()).max(axes)
    with warnings.catch_warnings(action="ignore"):  # a column of holes is told elsewhere
        spread, middle = np.nanstd(array, axis=axes), np.nanmean(array, axis=axes)
    # What varies by less than that has been rounded before it came here.
    found = np.flatnonzero((lost > LOST * spread) & (spread > NOISE * np.abs(middle)))
    if not len(found):
        return None
    i = found[0]
    return (
        f"column {columns[i]!r} varies by {spread[i]:.3g} about {middle[i]:.10g}, of which {x.dtype} keeps too little: take off its mean, "
        "or call torch.set_default_dtype(torch.float64) before making the pair"
    )


def in_order(table: Table, fitted: list[str]) -> Table:
    """The table with its columns, which have names, in the order of those `fitted`. Raises ValueError for one that is none of these."""
    found = table.names
    if found == fitted or len(found) != len(fitted):
        return table
    strange = [c for c in found if c not in fitted]
    if strange:
        raise ValueError(f"column {strange[0]!r} is not one that was fitted ({', '.join(fitted)}); rename it, or hand in an array")
    x = table.x[..., [found.index(c) for c in fitted]]
    return replace(table, x=x, variables=fitted) if table.variables else replace(table, x=x, columns=fitted)


def fit_for(table: Table, columns: list[str] | None) -> None:
    """Refuse rows to be fitted of which too much was rounded away; and a DataFrame whose columns are not those that a pair was made
    for, in their order. Raises ValueError that names the column."""
    if table.rounded:
        raise ValueError(table.rounded)
    if columns is not None and table.frame and table.names != columns:
        raise ValueError(
            f"the pair was made for the columns {', '.join(columns)}, in this order, and these are {', '.join(table.names)}: its prior "
            "would be that of others; put them in order, or make the pair from these"
        )
