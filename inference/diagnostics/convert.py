"""A posterior as ArviZ reads it."""

import datetime
import importlib.metadata
import json
import math
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from ..amortised import SAMPLES
from ..covariates import split
from ..record import variables
from ..run import at_least
from ..suggest import unknown
from .groups import axis_name, group, row_labels

if TYPE_CHECKING:
    from ..posterior import Posterior

MORE = ("unconstrained_posterior", "posterior_predictive", "prior", "prior_predictive")
# Rows times draws up to which the density of each row at each draw is computed unasked.
LIMIT = 10_000_000
# Numbers of rows times draws, those of latents of rows counted too, that are gone through unasked.
WORK = 5_000_000_000
# Characters of a hyperparameter among the attributes, of which netCDF holds 64 KB each.
LONGEST = 10_000
KINDS = {"diverging": torch.bool, "n_steps": torch.int64, "tree_depth": torch.int64}


def to_arviz(
    posterior: "Posterior", log_likelihood: bool | None, groups: str | Collection[str], draws: int | None, seed: int
) -> xr.DataTree:
    """See `Posterior.to_arviz`."""
    at_least(1, draws=draws)
    at_least(0, seed=seed)
    asked, left_out = _asked(posterior, log_likelihood, groups)
    posterior.refuse_foreign()
    dims, coords = named(posterior)
    dims = {site: [axis_name(name) for name in names] for site, names in dims.items()}
    of_sites = partial(group, dims=dims, coords={axis_name(name): labels for name, labels in coords.items()})
    found = {"posterior": of_sites(posterior.aligned)}
    by_draw = {name: stat.to(KINDS.get(name, stat.dtype)) for name, stat in posterior.by_draw.items()}
    if {"lp", "log_q"} <= set(by_draw):
        # Also by the name that `arviz_stats.loo_approximate_posterior` has for it.
        by_draw["log_p"] = by_draw["lp"]
    found["sample_stats"] = of_sites(by_draw)
    found |= _of_rows(posterior, asked, draws, seed)
    found |= _of_parameters(posterior, asked, draws, seed, of_sites)
    numbers = of_sites(_numbers(posterior.pair.hyperparameters), sample_dims=[])
    found["constant_data"] = xr.merge([numbers, found["constant_data"]]) if "constant_data" in found else numbers
    by_step = {name: ("step", stat.cpu().numpy()) for name, stat in posterior.stats.items() if stat.dim() == 1}
    found["optimization"] = xr.Dataset(by_step)
    tree = xr.DataTree.from_dict({name: dataset for name, dataset in found.items() if dataset.data_vars})
    tree.attrs = _attributes(posterior) | left_out
    return tree


def _asked(posterior: "Posterior", log_likelihood: bool | None, groups: str | Collection[str]) -> tuple[set[str], dict[str, str]]:
    """The groups to make that are not always there, and what to say of one left out. Raises ValueError for one that cannot be."""
    from ..answers import predictive

    asked = set(MORE if groups == "all" else [groups] if isinstance(groups, str) else groups)
    for name in asked - set(MORE):
        raise ValueError(unknown("group", name, MORE))
    if "log_likelihood" in posterior.pair.unsuited and not log_likelihood:
        return asked, {"log_likelihood": f"left out: {posterior.pair.unsuited['log_likelihood']}"}
    if posterior.table is None:
        if log_likelihood:
            raise ValueError(
                f"{posterior.name} kept no rows for log_likelihood=True; hand the rows you have to posterior.log_likelihood(x)"
            )
        return asked, {"log_likelihood": "left out: the rows were not kept"}
    each = SAMPLES if predictive.amortised(posterior) else 1
    times = math.prod(posterior.shape) * each
    many = times * len(posterior.table) > LIMIT or times * posterior.table.x.numel() > WORK
    if log_likelihood or (log_likelihood is None and not many):
        return asked | {"log_likelihood"}, {}
    said = "left out: rows times draws are many; ask for it by log_likelihood=True" if log_likelihood is None else "left out, as asked"
    return asked, {"log_likelihood": said}


def _of_rows(posterior: "Posterior", asked: set[str], draws: int | None, seed: int) -> dict[str, xr.Dataset]:
    """The groups whose variable is `x`, the rows; and the prior's density, to know which takes a row."""
    from ..answers import predictive, replicate

    table, found = posterior.table, {}
    if "posterior_predictive" in asked or "prior_predictive" in asked:
        replicate.refuse_no_whole_rows(posterior)
    if table is None:
        return found
    own, given = table.parted(posterior.pair.covariates)
    axes = [axis_name("column")] if table.x.dim() == 2 else [f"axis{i}" for i in range(1, table.x.dim())]
    labels = {"row": row_labels(table.index), axis_name("column"): own.columns}
    kind = torch.int64 if replicate.counts(posterior) and not own.x.isnan().any() else table.x.dtype

    def rows(x: Tensor, coords: Mapping[str, Any] = labels, sample_dims: Collection[str] = ("chain", "draw")) -> xr.Dataset:
        # Rows of one number have no second axis, so that ArviZ sees one density for each.
        x, flat = split(posterior.pair, x)[0], list(own.x.shape[1:]) == [1]
        dims = {"x": ["row"] if flat else ["row", *axes]}
        return group({"x": (x[..., 0] if flat else x).to(kind)}, dims, coords, sample_dims)

    found["log_prior"] = group(predictive.log_prior(posterior), {}, {})
    found["observed_data"] = rows(table.x, sample_dims=[])
    if posterior.pair.covariates:
        named_columns = {"covariate": given.names} if table.x.dim() == 2 or given.variables else {}
        found["constant_data"] = group({"x_given": given.x}, {"x_given": ["row", *axes[:-1], "covariate"]}, labels | named_columns, [])
    if "log_likelihood" in asked:
        found["log_likelihood"] = group({"x": posterior.log_likelihood(table)}, {"x": ["row"]}, labels)
    if "posterior_predictive" in asked:
        new, numbers = replicate.posterior_predictive(posterior, draws, seed)
        found["posterior_predictive"] = rows(new, labels | {"draw": numbers.cpu().numpy()})
    if "prior_predictive" in asked:
        found["prior_predictive"] = rows(replicate.prior_predictive(posterior, draws, seed))
    return found


def _of_parameters(posterior: "Posterior", asked: set[str], draws: int | None, seed: int, of_sites: partial) -> dict[str, xr.Dataset]:
    """The groups, of those asked for, whose variables are the sites: the prior, and the posterior in unconstrained space."""
    from ..answers import replicate

    found = {}
    if "unconstrained_posterior" in asked and posterior.draws:
        moved = _unconstrained(posterior)
        # A simplex has one number less there, and its axis another meaning.
        same = {
            name: axes
            for name, axes in of_sites.keywords["dims"].items()
            if name in moved and moved[name].shape == posterior.draws[name].shape
        }
        found["unconstrained_posterior"] = of_sites(moved, dims=same)
    if "prior" in asked:
        found["prior"] = of_sites(replicate.prior(posterior, draws, seed))
    return found


def _unconstrained(posterior: "Posterior") -> dict[str, Tensor]:
    """(chain, draw, *site) of the aligned draws, in the space that samplers move in."""
    from ..answers import predictive
    from ..graphs.unconstrained import Flat
    from ..program import Program

    program = Program(posterior.pair, predictive.some_rows(posterior)[:1])
    flat = Flat(program.parameters)
    found = predictive.over_draws(posterior, program, lambda values, _: flat.split(flat.flatten(values)), posterior.aligned)
    return {name: values.unflatten(0, posterior.shape) for name, values in found.items()}


def _numbers(hyperparameters: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The hyperparameters that are numbers, or lists of numbers of one length."""
    flat = {n: v for n, v in hyperparameters.items() if v is not None and not isinstance(v, str)}
    arrays = {name: np.asarray(value) for name, value in flat.items() if not isinstance(value, dict)}
    return {name: array for name, array in arrays.items() if array.dtype.kind in "biuf"}


def _attributes(posterior: "Posterior") -> dict[str, Any]:
    """What is known of the run, as netCDF can hold it: of hyperparameters, those that are not long."""
    how, pair = posterior.how, posterior.pair
    versions = [found.version for found in importlib.metadata.distributions(name="latent-zoo")]
    plain = {"method": how.get("method"), "seed": how.get("seed"), "device": how.get("device"), "sampling_time": how.get("seconds")}
    small = {name: value for name, value in pair.hyperparameters.items() if len(json.dumps(value)) <= LONGEST}
    nested = {"hyperparameters": small, "settings": how.get("settings"), "software": how.get("software")}
    return {
        "created_at": datetime.datetime.now(datetime.UTC).isoformat(),
        "inference_library": "latent-zoo",
        **({"inference_library_version": versions[0]} if versions else {}),
        "pair": type(pair).__name__,
        **{name: value for name, value in plain.items() if value is not None},
        **{name: json.dumps(value) for name, value in nested.items() if value},
    }


def named(posterior: "Posterior") -> tuple[dict[str, list[str]], dict[str, Any]]:
    """The names of every site's axes, and the labels along them, where there are as many as there should be."""
    declared = posterior.pair.dims
    dims = {}
    for site, draws in posterior.draws.items():
        names = list(declared.get(site, ()))
        dims[site] = names if len(names) == draws.dim() - 2 else [f"{site}_dim_{i}" for i in range(draws.dim() - 2)]
    sizes: dict[str, set[int]] = {}
    for site, draws in posterior.draws.items():
        for axis, size in zip(dims[site], draws.shape[2:], strict=True):
            sizes.setdefault(axis, set()).add(size)
    names = variables(posterior)
    labels = {} if names is None else posterior.pair.coords(names)
    return dims, {axis: known for axis, known in labels.items() if sizes.get(axis, {len(known)}) == {len(known)}}


def entries(posterior: "Posterior", draws: Mapping[str, Tensor] | None = None) -> dict[str, tuple[str, int]]:
    """Every number that the posterior has draws of: its label -> its site, and its place in the flattened site.

    Sites that others restate are left out, and entries that can take one value only. draws: of sites (chain, draw, *site); by
    default the aligned ones of all.
    """
    dims, coords = named(posterior)
    known = posterior.how.get("fixed", {})
    found = {}
    for site, values in (posterior.draws if draws is None else draws).items():
        if site in posterior.pair.restated:
            continue
        fixed = set(known.get(site, ()))
        for i in range(values.shape[2:].numel()):
            if i not in fixed:
                index = np.unravel_index(i, values.shape[2:])
                places = [str(coords[d][j]) if d in coords else str(j) for d, j in zip(dims[site], index, strict=True)]
                found[f"{site}[{', '.join(places)}]" if places else site] = (site, i)
    return found


def drawn(posterior: "Posterior", labels: Sequence[str]) -> Tensor:
    """(chain, draw, label) the aligned draws of the numbers that `entries` has by these labels, in double precision."""
    found, aligned = entries(posterior), posterior.aligned
    parts = [aligned[site].reshape(*posterior.shape, -1)[..., i] for site, i in (found[label] for label in labels)]
    return torch.stack(parts, -1).double().cpu()


def labelled(posterior: "Posterior", draws: Mapping[str, Tensor] | None = None) -> tuple[list[str], Tensor]:
    """Every number that the posterior has draws of: its label, and (chain, draw, number), in the precision of the draws, of which there
    may be gigabytes. draws: as in `entries`."""
    by_site: dict[str, list[int]] = {}
    found = entries(posterior, draws)
    for site, i in found.values():
        by_site.setdefault(site, []).append(i)
    given = posterior.aligned if draws is None else draws
    flat = {site: given[site].reshape(*posterior.shape, -1) for site in by_site}
    parts = [flat[site] if len(places) == flat[site].shape[-1] else flat[site][..., places] for site, places in by_site.items()]
    kinds = {part.dtype for part in parts}
    parts = [part.to("cpu", torch.double if len(kinds) > 1 else part.dtype) for part in parts]
    if not parts:
        return [], torch.empty(*posterior.shape, 0)
    return list(found), parts[0] if len(parts) == 1 else torch.cat(parts, -1)
