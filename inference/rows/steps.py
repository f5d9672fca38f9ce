"""Columns that are found by name, and DataFrames that hold the steps of series: one a row, or one a column."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import pandas as pd
import torch

from ..suggest import unknown
from .table import Table, label
from .times import comparable, following, refuse_uneven


class Steps(Protocol):
    """Where a DataFrame had the steps of its series, so that what is told of them is told in its names."""

    @property
    def rows(self) -> pd.Index:
        """The labels of the series."""

    def some(self, which: np.ndarray, count: int) -> "Steps":
        """Those of some of the `count` series."""

    def new(self, count: int) -> "Steps":
        """Those of so many new series, which are numbered."""

    def after(self, last: np.ndarray, steps: int) -> "Steps":
        """The next `steps` after the step `last` (series,) of each series; numbered from 1 where times do not say which they are."""

    def dress(self, values: np.ndarray, columns: Sequence[str] | pd.Index) -> pd.DataFrame:
        """What is told of steps (series, time, columns): a row a step."""

    def dress_numbers(self, values: np.ndarray, name: str) -> pd.DataFrame:
        """A number for each step (series, time), as the steps were: a column of this name, or a row a series."""


@dataclass(frozen=True, eq=False)
class Down:
    """Steps that were rows. index: their labels, of one level, or of two, series and time. series, step: (rows,) the numbers of both."""

    index: pd.Index
    series: np.ndarray
    step: np.ndarray

    @property
    def rows(self) -> pd.Index:
        _, first = np.unique(self.series, return_index=True)
        return pd.RangeIndex(1) if self.index.nlevels == 1 else self.index.get_level_values(0)[first]

    def some(self, which: np.ndarray, count: int) -> "Down":
        place = np.full(count, -1)
        chosen = np.arange(count)[which]
        place[chosen] = np.arange(len(chosen))
        kept = place[self.series] >= 0
        return Down(self.index[kept], place[self.series[kept]], self.step[kept])

    def new(self, count: int) -> "Down":
        length = int(self.step.max()) + 1
        times = self._times if (self.series == 0).all() else pd.RangeIndex(length)
        return self._of(pd.RangeIndex(count), [times] * count, ["series", "time"] if self.index.nlevels == 1 else self.index.names)

    def after(self, last: np.ndarray, steps: int) -> "Down":
        order = np.lexsort((self.step, self.series))
        first = np.searchsorted(self.series[order], np.arange(len(last)))
        times = following(self._times, self.series, order[first + last], steps) or [pd.RangeIndex(1, steps + 1)] * len(last)
        return self._of(self.rows, times, self.index.names)

    @property
    def _times(self) -> pd.Index:
        return self.index.get_level_values(-1)

    @staticmethod
    def _of(labels: pd.Index, times: list[pd.Index], names: Sequence[str | None]) -> "Down":
        """Steps at the `times` of each of the series `labels`, one after the other, under the names of their levels."""
        series, step = np.divmod(np.arange(len(labels) * len(times[0])), len(times[0]))
        when = times[0].append(times[1:])
        index = when.rename(names[0]) if len(names) == 1 else pd.MultiIndex.from_arrays([labels[series], when], names=names)
        return Down(index, series, step)

    def dress(self, values: np.ndarray, columns: Sequence[str] | pd.Index) -> pd.DataFrame:
        return pd.DataFrame(values[self.series, self.step], self.index, columns)

    def dress_numbers(self, values: np.ndarray, name: str) -> pd.DataFrame:
        return self.dress(values[..., None], [name])


@dataclass(frozen=True, eq=False)
class Across:
    """Steps that were columns, and a row a series. index: the labels of the series. times: of the columns."""

    index: pd.Index
    times: pd.Index

    @property
    def rows(self) -> pd.Index:
        return self.index

    def some(self, which: np.ndarray, count: int) -> "Across":
        return Across(self.index[which], self.times)

    def new(self, count: int) -> "Across":
        return Across(pd.RangeIndex(count), self.times)

    def after(self, last: np.ndarray, steps: int) -> "Across":
        together = following(self.times, np.zeros(len(self.times), int), last[:1], steps) if (last == last[0]).all() else None
        return Across(self.index, together[0] if together else pd.RangeIndex(1, steps + 1))

    def dress(self, values: np.ndarray, columns: Sequence[str] | pd.Index) -> pd.DataFrame:
        """The index has the two levels that a DataFrame of steps has."""
        names = list(self.index.names) if self.index.nlevels > 1 else ["series" if self.index.name is None else self.index.name]
        series, step = np.divmod(np.arange(values.shape[0] * values.shape[1]), values.shape[1])
        levels = [self.index.get_level_values(i)[series] for i in range(self.index.nlevels)]
        index = pd.MultiIndex.from_arrays(
            [*levels, self.times[step]], names=[*names, "time" if self.times.name is None else self.times.name]
        )
        return pd.DataFrame(values.reshape(len(index), -1), index, columns)

    def dress_numbers(self, values: np.ndarray, name: str) -> pd.DataFrame:
        return pd.DataFrame(values, self.index, self.times)


def arranged(table: Table, covariates: Sequence[str], series: bool) -> Table:
    """`table` with the columns named `covariates` last; and where a pair reads `series`, the series whose steps are its rows.

    A row of a DataFrame is a step where covariates have names, so that its columns are variables, or where its index has two levels, series
    and time, numbers or dates; else it is a whole series. Steps follow each other as the rows do: a time that is lacking has to be a row of
    `NaN`. Rows without names stay as they are: their last columns are the covariates.

    Raises ValueError for a column that is not there, and for times that are missing, repeated, out of order, or not evenly spaced.
    """
    if not table.frame or table.steps is not None or table.x.dim() > 2:
        return table
    table = _last(table, covariates)
    if not series:
        return table
    if covariates or (table.index.nlevels > 1 and _ordered(table.index)):
        return stepwise(table)
    times = pd.Index(table.columns) if table.labels is None or table.labels.nlevels > 1 else table.labels
    return replace(table, steps=Across(table.index, times))


def chosen(frame: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """The columns of these names, found by their text. Raises ValueError that names the one that is lacking."""
    text = [str(name) for name in frame.columns]
    _refuse_lacking(text, names)
    return frame.iloc[:, [text.index(name) for name in names]]


def _refuse_lacking(columns: list[str], covariates: Sequence[str]) -> None:
    for name in covariates:
        if name not in columns:
            raise ValueError(f"covariates={list(covariates)}: {unknown('column', name, columns)}")


def _last(table: Table, covariates: Sequence[str]) -> Table:
    """The columns of these names after all others, in their order. Raises ValueError that names the one that is lacking."""
    _refuse_lacking(table.columns, covariates)
    names = [name for name in table.columns if name not in covariates] + list(covariates)
    if names == table.columns:
        return table
    return replace(table, x=table.x[:, [table.columns.index(name) for name in names]], columns=names, labels=None)


def stepwise(table: Table) -> Table:
    """The series (series, time, columns) whose steps are the rows, each as long as the longest, padded with `NaN`. Raises as `arranged`."""
    levels = [table.index.get_level_values(level) for level in range(table.index.nlevels)]
    if len(levels) > 2:
        raise ValueError(f"an index of {len(levels)} levels says neither whose step a row is nor when; two do, series and time")
    which, labels = pd.factorize(levels[0]) if len(levels) == 2 else (np.zeros(len(table), int), pd.RangeIndex(1))
    if (which < 0).any():
        raise ValueError(f"row {int((which < 0).argmax())} of the DataFrame belongs to no series: the first level of its index is missing")
    step = pd.Series(which).groupby(which).cumcount().to_numpy(copy=True)
    _refuse_disorder(levels[-1], which, table)
    refuse_uneven(levels[-1], which, table.index)
    x = table.x.new_full((len(labels), int(step.max()) + 1, table.x.shape[1]), torch.nan)
    x[torch.as_tensor(which), torch.as_tensor(step)] = table.x
    times = levels[-1] if len(labels) == 1 else range(x.shape[1])
    steps = Down(table.index, which, step)
    return replace(table, x=x, columns=[str(time) for time in times], index=steps.rows, variables=table.columns, steps=steps)


def _refuse_disorder(times: pd.Index, which: np.ndarray, table: Table) -> None:
    """Raise ValueError where a time is missing, or not after the one before it in its series. Text has an order if it is numbers or dates;
    other text may only not repeat itself."""
    if times.isna().any():
        raise ValueError(f"row {int(times.isna().argmax())} of the DataFrame has no time; give it one, or drop it")
    frame = pd.DataFrame({"series": which, "time": comparable(times)})
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
    return bool(comparable(times[~times.isna()]).notna().all())
