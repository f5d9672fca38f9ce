"""A posterior as ArviZ reads it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import arviz_base
import numpy as np
import pandas as pd
import torch
import xarray as xr

if TYPE_CHECKING:
    from ..posterior import Posterior


def to_arviz(posterior: "Posterior", log_likelihood: bool) -> xr.DataTree:
    """See `Posterior.to_arviz`."""
    pair, table = posterior.pair, posterior.table
    groups: dict[str, Any] = {"posterior": {n: d.cpu().numpy() for n, d in posterior.aligned.items()}}
    by_draw = {n: s.cpu().numpy() for n, s in posterior.stats.items() if tuple(s.shape) == posterior.shape}
    if by_draw:
        groups["sample_stats"] = by_draw
    dims, coords = named(posterior)
    if table is not None:
        columns = ["row", *(["column"] if table.x.dim() == 2 else [f"axis{i}" for i in range(1, table.x.dim())])]
        dims, coords = {**dims, "x": columns}, {**coords, "row": _labels(table.index), "column": table.columns}
        groups["observed_data"] = {"x": table.x.cpu().numpy()}
        if log_likelihood:
            groups["log_likelihood"] = {"x": posterior.log_likelihood(table).cpu().numpy()}
    used = {d for group in groups.values() for name, v in group.items() for d in dims.get(name, ())} | {"row"}
    tree = arviz_base.from_dict(
        groups,
        dims=dims,
        coords={d: c for d, c in coords.items() if d in used},
        attrs={"/": {"pair": type(pair).__name__, "method": posterior.how["method"], "inference_library": "latent-zoo"}},
    )
    by_step = {n: ("step", s.cpu().numpy()) for n, s in posterior.stats.items() if s.dim() == 1}
    if by_step:
        tree["optimization"] = xr.DataTree(xr.Dataset(by_step))
    return tree


def _labels(index: pd.Index) -> np.ndarray:
    """The rows' labels as netCDF can hold them: numbers, dates, truths and strings as they are, all else by its name."""
    plain = not isinstance(index, pd.MultiIndex) and index.dtype.kind in "iufbM" and getattr(index, "tz", None) is None
    return index.to_numpy() if plain else np.array([str(label) for label in index])


def named(posterior: "Posterior") -> tuple[dict[str, list[str]], dict[str, Any]]:
    """The names of every site's axes, and the labels along them."""
    declared = posterior.pair.dims
    dims = {}
    for site, draws in posterior.draws.items():
        names = list(declared.get(site, ()))
        dims[site] = names if len(names) == draws.dim() - 2 else [f"{site}_dim_{i}" for i in range(draws.dim() - 2)]
    columns = posterior.how.get("columns")
    return dims, {} if columns is None else posterior.pair.coords(columns)


def labelled(posterior: "Posterior", draws: Mapping[str, torch.Tensor] | None = None) -> tuple[list[str], torch.Tensor]:
    """Every number that the posterior has draws of: its label, and (chain, draw, number).

    Sites that others restate are left out, and entries that can take one value only. draws: of sites (chain, draw, *site); by
    default the aligned ones of all.
    """
    dims, coords = named(posterior)
    known = posterior.how.get("fixed", {})
    labels, columns = [], []
    for site, values in (posterior.aligned if draws is None else draws).items():
        if site in posterior.pair.restated:
            continue
        flat = values.reshape(*values.shape[:2], -1)
        free = [i for i in range(flat.shape[2]) if i not in known.get(site, ())]
        for i in free:
            index = np.unravel_index(i, values.shape[2:])
            places = [str(coords[d][i]) if d in coords else str(i) for d, i in zip(dims[site], index, strict=True)]
            labels.append(f"{site}[{', '.join(places)}]" if places else site)
        columns.append(flat[..., free].double().cpu())
    return labels, torch.cat(columns, -1) if columns else torch.empty(*posterior.shape, 0, dtype=torch.double)
