"""What the steps of series were called in a DataFrame, as netCDF can hold it: dates as the whole numbers that they are counted in."""

import json
from collections.abc import Hashable, Iterator

import numpy as np
import pandas as pd
import xarray as xr

from ..rows.steps import Across, Down, Steps


def of_steps(steps: Steps) -> xr.Dataset:
    """The group that `steps_of` reads."""
    found = dict(_levels("index", steps.index))
    if isinstance(steps, Across):
        return xr.Dataset(found | dict(_levels("time", steps.times)))
    return xr.Dataset(found | {"series": ("index", steps.series), "step": ("index", steps.step)})


def steps_of(group: xr.Dataset) -> Steps:
    """The steps that `of_steps` wrote. Labels that are neither numbers nor dates are text."""
    index = _index("index", group)
    return Across(index, _index("time", group)) if "step" not in group else Down(index, group["series"].values, group["step"].values)


def _levels(what: str, index: pd.Index) -> Iterator[tuple[str, xr.Variable]]:
    """Of each level of an index, its name, and values with what they are."""
    for i in range(index.nlevels):
        level = index.get_level_values(i)
        values, kind = _plain(level)
        yield f"{what}{i}", xr.Variable(what, values, {"kind": kind, "name": json.dumps(_known(level.name))})


def _plain(level: pd.Index) -> tuple[np.ndarray, str]:
    if isinstance(level, pd.PeriodIndex):
        return level.asi8, f"period {level.freqstr}"
    if isinstance(level, pd.DatetimeIndex | pd.TimedeltaIndex):
        return level.asi8, f"{level.dtype.kind}8 {level.unit} {getattr(level, 'tz', None) or ''}"
    if level.dtype.kind in "iufb":
        return level.to_numpy(), "number"
    return np.array([str(label) for label in level]), "text"


def _known(name: Hashable) -> str | int | None:
    return name if name is None or isinstance(name, int) else str(name)


def _index(what: str, group: xr.Dataset) -> pd.Index:
    levels = [group[name] for name in sorted(group.data_vars) if group[name].dims == (what,) and "kind" in group[name].attrs]
    found = [_level(level.values, level.attrs["kind"]) for level in levels]
    names = [json.loads(level.attrs["name"]) for level in levels]
    return found[0].rename(names[0]) if len(found) == 1 else pd.MultiIndex.from_arrays(found, names=names)


def _level(values: np.ndarray, kind: str) -> pd.Index:
    what, _, rest = kind.partition(" ")
    if what == "period":
        return pd.PeriodIndex.from_ordinals(values, freq=rest)
    if what in ("M8", "m8"):
        unit, _, zone = rest.partition(" ")
        found = pd.Index(values.astype("int64").view(f"{what}[{unit}]"))
        return found.tz_localize("UTC").tz_convert(zone) if zone else found
    return pd.Index(values if what == "number" else values.astype(str))
