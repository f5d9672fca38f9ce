"""Columns that are found by name, and DataFrames of which each row is a step of a series."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch

from ..suggest import unknown
from .table import Table, label


@dataclass(frozen=True, eq=False)
class Steps:
    """Where the rows of a DataFrame went that were steps. index: their labels. series, step: (rows,) the numbers of both."""

    index: pd.Index
    series: np.ndarray
    step: np.ndarray

    def some(self, which: np.ndarray, count: int) -> "Steps":
        """Those of some of the `count` series."""
        place = np.full(count, -1)
        chosen = np.arange(count)[which]
        place[chosen] = np.arange(len(chosen))
        kept = place[self.series] >= 0
        return Steps(self.index[kept], place[self.series[kept]], self.step[kept])


def arranged(table: Table, covariates: Sequence[str], series: bool) -> Table:
    """`table` with the columns named `covariates` last; and where a pair reads `series`, the series whose steps are its rows.

    A row of a DataFrame is a step where covariates have names, so that its columns are variables, or where its index has two levels, series
    and time, numbers or dates; else it is a whole series. Steps follow each other as the rows do: a time that is lacking has to be a row of
    `NaN`. Rows without names stay as they are: their last columns are the covariates.

    Raises ValueError for a column that is not there, and for times that are missing, repeated or out of order.
    """
    if table.frame and table.variables is None:
        table = _last(table, covariates)
        if series and (covariates or (table.index.nlevels > 1 and _ordered(table.index))):
            return _of_steps(table)
    return table


def _last(table: Table, covariates: Sequence[str]) -> Table:
    """The columns of these names after all others, in their order. Raises ValueError that names the one that is lacking."""
    for name in covariates:
        if name not in table.columns:
            raise ValueError(f"covariates={list(covariates)}: {unknown('column', name, table.columns)}")
    names = [name for name in table.columns if name not in covariates] + list(covariates)
    if names == table.columns:
        return table
    return replace(table, x=table.x[:, [table.columns.index(name) for name in names]], columns=names)


def _of_steps(table: Table) -> Table:
    """The series (series, time, columns), each as long as the longest, padded with `NaN`."""
    levels = [table.index.get_level_values(level) for level in range(table.index.nlevels)]
    if len(levels) > 2:
        raise ValueError(f"an index of {len(levels)} levels says neither whose step a row is nor when; two do, series and time")
    which, labels = pd.factorize(levels[0]) if len(levels) == 2 else (np.zeros(len(table), int), pd.RangeIndex(1))
    if (which < 0).any():
        raise ValueError(f"row {int((which < 0).argmax())} of the DataFrame belongs to no series: the first level of its index is missing")
    step = pd.Series(which).groupby(which).cumcount().to_numpy(copy=True)
    _refuse_disorder(levels[-1], which, table)
    x = table.x.new_full((len(labels), int(step.max()) + 1, table.x.shape[1]), torch.nan)
    x[torch.as_tensor(which), torch.as_tensor(step)] = table.x
    times = levels[-1] if len(labels) == 1 else range(x.shape[1])
    steps = Steps(table.index, which, step)
    return replace(table, x=x, columns=[str(time) for time in times], index=pd.Index(labels), variables=table.columns, steps=steps)


def _refuse_disorder(times: pd.Index, which: np.ndarray, table: Table) -> None:
    """Raise ValueError where a time is missing, or not after the one before it in its series. Text has an order if it is numbers or dates;
    other text may only not repeat itself."""
    if times.isna().any():
        raise ValueError(f"row {int(times.isna().argmax())} of the DataFrame has no time; give it one, or drop it")
    frame = pd.DataFrame({"series": which, "time": _comparable(times)})
    if frame["time"].isna().any():
        again = frame.assign(time=times.map(str)).duplicated().to_numpy()
    else:
        rank = frame["time"].rank(method="dense")
        again = (rank.groupby(frame["series"]).diff() <= 0).to_numpy()
    if again.any():
        at = int(again.argmax())
        raise ValueError(
            f"row {label(table.index, at)} comes after one of a later or the same time: the rows of this DataFrame are the steps of a "
            "series; sort them by time (sort_index), and keep one of each"
        )


def _ordered(index: pd.Index) -> bool:
    """Whether the last level of an index is of times, and not of names."""
    times = index.get_level_values(-1)
    return bool(_comparable(times[~times.isna()]).notna().all())


def _comparable(times: pd.Index) -> pd.Series:
    """The times as what has an order; missing where text is neither numbers nor dates."""
    plain = pd.Series(times.astype("int64") if isinstance(times, pd.PeriodIndex) else times.to_numpy()).reset_index(drop=True)
    if plain.dtype.kind in "iufMm":
        return plain
    found = pd.to_numeric(plain, errors="coerce")
    return pd.to_datetime(plain, errors="coerce", format="ISO8601") if found.isna().any() else found
