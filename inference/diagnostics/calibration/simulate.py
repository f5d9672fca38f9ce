"""Data sets simulated from a pair's own model, with the parameters that they came from."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Integral
from typing import Any, NamedTuple

import pyro.distributions as dist
import torch
from pyro import poutine
from pyro.poutine import Trace
from torch import Tensor

from ...covariates import refuse_untold, rows_for
from ...graphs.elimination import is_sample, local
from ...graphs.graph import batched
from ...memory import at_once
from ...missing import any_missing
from ...pair import Pair
from ...program import Values, run_eagerly, run_unobserved
from ...rows.table import Table, as_table
from ...run import at_least


class Simulated(NamedTuple):
    """truth: site -> (simulation, *site), of all latents that are not summed out. rows: (simulation, rows, ...)."""

    truth: Values
    rows: Tensor


def template(pair: Pair, rows: Any, device: torch.device) -> Tensor:
    """(rows, ...) what a simulated data set looks like: `rows` itself if it is a data set, or so many rows of the pair's own making.

    Raises:
        ValueError: `rows` is below 1, or the model cannot be simulated. TypeError: what the model observes is not whole rows.
    """
    if not isinstance(rows, Integral):
        return rows_for(pair, rows).x.to(device, torch.get_default_dtype())
    at_least(1, rows=rows)
    refuse_untold(pair, "hand in rows that hold these: rows=x")
    value = _observed(_simulated(pair, torch.zeros(int(rows), 1, device=device)))["value"]
    return value.new_zeros(value.shape if value.dim() > 1 else (rows, 1), dtype=torch.get_default_dtype())


def simulate(pair: Pair, like: Tensor, count: int, given: Values | None = None) -> Simulated:
    """`count` data sets shaped as `like` (rows, ...), with its holes, from parameters that the prior draws.

    given: parameters to take instead, site -> (simulation, *site).

    Raises:
        ValueError: the model cannot be simulated. TypeError: what the model observes is not whole rows.
    """
    trace = _simulated(pair, like)
    site = _observed(trace)
    if site["value"].numel() != like.numel():
        raise TypeError(
            f"{type(pair).__name__}.model observes {site['name']!r} of shape {tuple(site['value'].shape)}, which is not the whole of "
            f"rows of shape {tuple(like.shape)}, so that whole rows cannot be simulated"
        )
    latent = [n for n, s in trace.nodes.items() if is_sample(s) and _kept(s)]

    def one(values: tuple[Values, Tensor]) -> tuple[Values, Tensor]:
        nodes = run_unobserved(pair.model, values[0], like).nodes
        return {n: nodes[n]["value"] for n in latent}, nodes[site["name"]]["value"].reshape(like.shape)

    truth, rows = batched(one, any_missing(like), at_once(8 * like.numel()))((given or {}, like.new_zeros(count)))
    return Simulated(truth, torch.where(like.isnan(), like, rows.to(like)))


def check_each(pair: Pair, rows: Tensor) -> Table:
    """The first of the data sets (simulation, rows, ...) as a table. Raises ValueError that says which of them the pair refuses."""
    first = None
    for number, data in enumerate(rows):
        try:
            with _unremarked():
                table = as_table(data)
                pair.check(table, fitting=True)
        except ValueError as error:
            name = type(pair).__name__
            raise ValueError(f"{name} cannot be fitted to the rows that its model makes, in simulation {number}: {error}") from error
        first = first or table
    return first


@contextmanager
def _unremarked() -> Iterator[None]:
    """What is worth a remark of a user's rows is none of rows that are made by the hundred."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def _simulated(pair: Pair, like: Tensor) -> Trace:
    """One run of the model with its rows drawn. Raises ValueError where a site cannot be drawn."""
    name = f"{type(pair).__name__}.model"
    try:
        trace = run_eagerly(poutine.uncondition(pair.model), name, like, len(like))
    except ValueError as error:
        raise ValueError(f"{type(pair).__name__} cannot simulate rows, so that there is nothing to calibrate it by: {error}") from error
    factors = [n for n, s in trace.nodes.items() if is_sample(s) and isinstance(s["fn"], dist.Unit)]
    if factors:
        raise ValueError(f"{name} has the factor {factors[0]!r}, which changes the density of what it simulates; say it as a prior")
    return trace


def _kept(site: dict[str, Any]) -> bool:
    """Whether a site is a latent that is not summed out."""
    told = site["infer"].get("_deterministic") or site["infer"].get("was_observed")
    return not told and not (local(site) and site["fn"].support.is_discrete)


def _observed(trace: Trace) -> dict[str, Any]:
    """The site that holds the rows. Raises ValueError where there is none."""
    sites = [s for s in trace.nodes.values() if is_sample(s) and s["infer"].get("was_observed") and local(s)]
    found = [s for s in sites if not s["infer"].get("_deterministic")]
    if not found:
        raise ValueError("the model observes nothing inside the plate 'data': put what belongs to a row inside `with self.rows(x, size):`")
    return found[0]
