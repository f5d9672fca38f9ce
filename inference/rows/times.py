"""The times of steps: how far apart they are, and which come next.

Numbers and spans of time are counted as they are. Dates may be evenly spaced by the clock, or by the calendar: in days, in months, or in
days of work.
"""

from typing import Any

import numpy as np
import pandas as pd
from pandas.tseries.frequencies import to_offset

from .table import label

# What a step of numbers that are not whole may be off by, as a fraction: years to three decimals, say.
NEAR = 0.05


def comparable(times: pd.Index) -> pd.Series:
    """The times as what has an order: numbers, spans or dates; missing where text is neither numbers nor dates."""
    if isinstance(times, pd.PeriodIndex):
        return pd.Series(times.asi8)
    plain = pd.Series(times if isinstance(times, pd.DatetimeIndex) else times.to_numpy()).reset_index(drop=True)
    if plain.dtype.kind in "iufMm":
        return plain
    found = pd.to_numeric(plain, errors="coerce")
    return pd.to_datetime(plain, errors="coerce", format="ISO8601") if found.isna().any() else found


def refuse_uneven(times: pd.Index, which: np.ndarray, index: pd.Index) -> None:
    """Raise ValueError where times, in order in each of the series `which` (row,), are not equally far apart, so that some are lacking, or
    steps are not alike. Text that is neither numbers nor dates says nothing of that. index: labels of the rows."""
    plain = comparable(times)
    if plain.isna().any() or _step(times, plain, which)[0]:
        return
    apart = {unit: gaps for unit, gaps in _apart(plain, which).items() if (gaps > 0 * gaps).any()}
    usual = {unit: gaps[gaps > 0 * gaps].quantile(interpolation="lower") for unit, gaps in apart.items()}
    off = {unit: _off(gaps, usual[unit], plain) for unit, gaps in apart.items()}
    unit = min(sorted(off, key=lambda unit: unit == ""), key=lambda unit: off[unit].sum())
    at = int(off[unit].to_numpy().argmax())
    before = int(np.flatnonzero(which[:at] == which[at])[-1])
    filled, numbered = "frame.reindex(pd.MultiIndex.from_product([series, times]))", "frame.groupby(level=0).cumcount() as the second level"
    if index.nlevels == 1:
        filled, numbered = _filled(times, plain, unit, usual[unit]), "frame.reset_index(drop=True)"
    raise ValueError(
        f"row {label(index, at)} of the DataFrame comes {_told(apart[unit][at], unit)} after row {label(index, before)}, and elsewhere a "
        f"step is {_told(usual[unit], unit)}. If some are lacking, make them rows of NaN: {filled}. If rows are steps whatever their "
        f"times, number them: {numbered}"
    )


def _told(gap: Any, unit: str) -> str:
    return f"{gap:g} {unit}{'s' * int(gap != 1)}" if unit else str(gap) if isinstance(gap, pd.Timedelta) else f"{gap:g}"


def _filled(times: pd.Index, plain: pd.Series, unit: str, usual: Any) -> str:
    """The code that fills one series."""
    months = "MS" if unit == "month" and (plain.dt.day == 1).all() else "ME"
    if not isinstance(times, pd.DatetimeIndex) or (unit == "month" and months == "ME" and not plain.dt.is_month_end.all()):
        return "frame.reindex(all_times)"
    frequency = {"day": "D", "month": months, "working day": "B"}
    return f"frame.asfreq({(frequency[unit] if unit else to_offset(usual).freqstr)!r})"


def following(times: pd.Index, which: np.ndarray, last: np.ndarray, steps: int) -> list[pd.Index] | None:
    """Of each series the `steps` times after that of its row `last` (series,), in the form that times have. None where they are not evenly
    spaced, or not known to be."""
    plain = comparable(times)
    every = None if plain.isna().any() else _step(times, plain, which)[1]
    if every is None:
        return None
    known = times if isinstance(times, pd.PeriodIndex) else pd.Index(plain)
    found = [pd.Index([known[row] + n * every for n in range(1, steps + 1)]).astype(known.dtype) for row in last]
    return [_as_text(new, times[row]) if isinstance(times[row], str) else new for new, row in zip(found, last, strict=True)]


def _as_text(times: pd.Index, like: str) -> pd.Index:
    """Numbers, or dates, written as `like` is."""
    if not isinstance(times, pd.DatetimeIndex):
        return pd.Index([str(number) for number in times])
    return pd.Index([date.isoformat(sep=like[10] if len(like) > 10 else " ")[: len(like)] for date in times])


def _step(times: pd.Index, plain: pd.Series, which: np.ndarray) -> tuple[bool, Any]:
    """Whether the times are evenly spaced, and what a step adds to one, None where that is not known."""
    if isinstance(times, pd.DatetimeIndex) and times.freq is not None:
        return True, times.freq
    for unit, gaps in _apart(plain, which).items():
        known = gaps.dropna()
        if not len(known):
            return True, None
        step = known.iloc[0]
        if step > 0 * step and not _off(known, step, plain).any():
            if unit:
                return True, _added(pd.DatetimeIndex(plain), unit, int(step))
            return True, int(step) if plain.dtype.kind in "iu" else known.mean()
    return False, None


def _off(gaps: pd.Series, step: Any, plain: pd.Series) -> pd.Series:
    """(row,) whether a gap between times, if there is one, is no such step."""
    return gaps.notna() & (abs(gaps - step) > NEAR * step if plain.dtype.kind == "f" else gaps != step)


def _added(dates: pd.DatetimeIndex, unit: str, count: int) -> Any:
    """So many of a unit of the calendar, as what is added to a date; None for months without a day that is always the same."""
    if unit == "day":
        return pd.DateOffset(days=count)
    if unit == "working day":
        return pd.offsets.BDay(count)
    if dates.is_month_end.all():
        return pd.offsets.MonthEnd(count)
    return pd.DateOffset(months=count) if (dates.day == dates.day[0]).all() else None


def _apart(plain: pd.Series, which: np.ndarray) -> dict[str, pd.Series]:
    """How far each time is from the one before it in its series, missing at the first, by what it is counted in: "" as it is."""
    counted = {"": plain}
    if plain.dtype.kind == "M":
        days = plain.dt.tz_localize(None).to_numpy().astype("datetime64[D]")
        counted |= {"day": pd.Series(days.astype(int)), "month": plain.dt.year * 12 + plain.dt.month}
        if np.is_busday(days).all():
            counted["working day"] = pd.Series(np.busday_count(np.datetime64(0, "D"), days))
    return {unit: values.groupby(which).diff() for unit, values in counted.items()}
