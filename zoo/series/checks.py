"""Checks of rows that are series; each names the series and the step, what is wrong and what to do."""

import pandas as pd
import torch
from torch import Tensor

from inference import Table


def series(table: Table, dim: int, covariates: int = 0) -> None:
    """(series, time) or, with several columns, (series, time, columns), of which the last may be covariates. Raises ValueError."""
    shape = tuple(table.x.shape)
    if len(shape) not in (2, 3):
        raise ValueError(f"rows must be series, of shape (series, time) or (series, time, columns), not {shape}")
    found = shape[2] if len(shape) == 3 else 1
    if found != dim + covariates:
        sizes = f"dim={dim}" + f", covariates={covariates}" * bool(covariates)
        raise ValueError(f"this pair reads series of {dim + covariates} columns ({sizes}), and these have {found}: their shape is {shape}")


def ordered(table: Table) -> None:
    """Where the columns of a DataFrame are times, they come in order. Raises ValueError."""
    if not table.frame or table.variables:
        return
    if isinstance(table.index, (pd.DatetimeIndex, pd.PeriodIndex)):
        raise ValueError(
            f"the rows of this DataFrame are times ({table.index[0]}, ...), and a row is a whole series: hand in its transpose (.T) if "
            "every column is a series, .to_numpy()[None] if they are the columns of one, or with an index of two levels, series and time"
        )
    times = pd.to_numeric(pd.Series(table.columns), errors="coerce")
    if times.isna().any():
        times = pd.to_datetime(pd.Series(table.columns), errors="coerce", format="ISO8601")
    if times.isna().any():
        return
    back = (times.diff()[1:].dt.total_seconds() if times.dtype.kind == "M" else times.diff()[1:]) <= 0
    if back.any():
        at = int(back.to_numpy().argmax())
        raise ValueError(
            f"the columns of a DataFrame of series are times, and {table.columns[at + 1]!r} comes after {table.columns[at]!r}; "
            "sort the columns, and keep one of each"
        )


def allowed(table: Table, found: tuple[Tensor, str]) -> None:
    """No value is one that the emission cannot show: where, (series, time, columns), and why. Raises ValueError."""
    wrong, why = found
    wrong = wrong & ~table.x.isnan().reshape(wrong.shape)
    if wrong.any():
        row, step, column = wrong.nonzero()[0].tolist()
        value = table.x.reshape(wrong.shape)[row, step, column].item()
        place = f"{table.row(row)}, time {table.columns[step]}" + f", column {table.variable(column)}" * (wrong.shape[2] > 1)
        raise ValueError(f"{place}: {value:g} {why}")


def known(own: Table, given: Table) -> None:
    """No covariate is missing up to the last step of which something is seen; past the end of a series nothing rests on it. Raises
    ValueError."""
    going_on = (~own.x.isnan()).any(-1).flip(1).cumsum(1).flip(1) > 0
    missing = (given.x.isnan() & going_on[..., None]).nonzero()
    if len(missing):
        row, step, column = missing[0].tolist()
        raise ValueError(
            f"{given.row(row)}, time {given.columns[step]}, covariate {given.variable(column)}: missing "
            f"({len(missing)} such values in all), and covariates are given, not modelled: fill it, or cut the series there"
        )


def told_apart(given: Table, scale: float) -> None:
    """No covariate is a combination of others, unless a prior of `scale` on what a spread of them does can tell their effects apart in
    given's precision. Raises ValueError."""
    columns = given.x.reshape(-1, given.x.shape[-1])
    known = columns[~columns.isnan().any(1)].double()
    centered = known - known.mean(0)
    unit = centered / centered.norm(dim=0).clamp(min=torch.finfo(torch.double).tiny)
    # A column that does not vary is a combination of no others.
    gram = unit.mT @ unit + (unit == 0).all(0).double().diag()
    values, vectors = torch.linalg.eigh(gram)
    if len(known) * values[0] + scale**-2 < len(known) * len(values) * torch.finfo(given.x.dtype).eps:
        which = (vectors[:, 0].abs() > 0.1 * vectors[:, 0].abs().max()).nonzero()[:, 0].tolist()
        raise ValueError(
            f"covariates {', '.join(map(given.variable, which))} say the same: each is a combination of the others, and "
            f"effect_scale={scale:g} leaves open which of them has what effect; drop one of them, or make effect_scale smaller"
        )


def without_gaps(table: Table, columns: list[bool]) -> None:
    """Nothing is missing in `columns` of a series before the last step of which something is seen. Raises ValueError."""
    seen = ~table.x.isnan().reshape(*table.x.shape[:2], -1)
    going_on = seen.any(-1).flip(1).cumsum(1).flip(1) > 0
    gaps = (~seen & torch.tensor(columns, device=seen.device) & going_on[..., None]).nonzero()
    if len(gaps):
        row, step, column = gaps[0].tolist()
        place = f"{table.row(row)}, time {table.columns[step]}" + f", column {table.variable(column)}" * (seen.shape[2] > 1)
        raise ValueError(
            f"{place}: missing in the midst of a series, which an autoregressive emission cannot integrate out: what follows rests on it. "
            "Fill the gap, cut the series there, or choose another emission"
        )


def long_enough(table: Table, states: int) -> None:
    """Every series has more than one step, and all together as many of which something is seen as `states`. Raises ValueError."""
    if table.x.shape[1] < 2:
        raise ValueError(
            f"{len(table)} series of one step each have no dynamics: a row is a whole series, of shape (series, time). "
            "If the rows are the steps of one series, hand in x.T, or x[None] if they have several columns"
        )
    seen = int((~table.x.isnan()).reshape(*table.x.shape[:2], -1).any(-1).sum())
    if seen < states:
        raise ValueError(f"the series have {seen} steps of which something is seen, and there are {states} states; ask for fewer")


def varied(table: Table, scaled: list[bool]) -> None:
    """Every column has a value and, if `scaled`, where its scale is to be learnt, two that differ. Raises ValueError."""
    x = table.x.reshape(*table.x.shape[:2], -1)
    low = torch.where(x.isnan(), torch.inf, x).amin((0, 1))
    high = torch.where(x.isnan(), -torch.inf, x).amax((0, 1))
    for column, (least, most) in enumerate(zip(low.tolist(), high.tolist(), strict=True)):
        if least > most:
            raise ValueError(f"column {table.variable(column)} of the series has no value at all; drop it")
        if scaled[column] and least == most:
            raise ValueError(
                f"column {table.variable(column)} of the series is constant ({least:g}), so no scale can be learnt from it; drop it"
            )
