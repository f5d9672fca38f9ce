"""Groups of a DataTree, and what axes and rows are called there."""

from collections.abc import Collection, Mapping
from typing import Any

import arviz_base
import numpy as np
import pandas as pd
import xarray as xr
from torch import Tensor

TAKEN = {"column": "feature", "component": "part"}


def group(
    values: Mapping[str, Any], dims: Mapping[str, list[str]], coords: Mapping[str, Any], sample_dims: Collection[str] = ("chain", "draw")
) -> xr.Dataset:
    """A group, its axes named where `dims` has a name for each of a variable's."""
    arrays = {name: value.cpu().numpy() if isinstance(value, Tensor) else value for name, value in values.items()}
    dims = {name: list(dims.get(name, ())) for name, a in arrays.items() if len(dims.get(name, ())) == np.ndim(a) - len(sample_dims)}
    used = {"draw", *(axis for axes in dims.values() for axis in axes)}
    known = {axis: labels for axis, labels in coords.items() if axis in used}
    return arviz_base.dict_to_dataset(arrays, dims=dims, coords=known, sample_dims=list(sample_dims), check_conventions=False)


def axis_name(name: str) -> str:
    """The name of an axis in ArviZ, whose `plot_forest` has "column", and whose `psense_summary` "component", for a thing of its own."""
    for taken, other in TAKEN.items():
        if name.startswith(taken):
            return name.replace(taken, other)
    return name


def row_labels(index: pd.Index) -> np.ndarray:
    """The rows' labels as netCDF can hold them: numbers, dates, truths and strings as they are, all else by its name."""
    plain = not isinstance(index, pd.MultiIndex) and index.dtype.kind in "iufbM" and getattr(index, "tz", None) is None
    return index.to_numpy() if plain else np.array([str(label) for label in index])
