"""Leave-one-out: how well each row is predicted by all the others, from draws given them all."""

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import arviz_stats
import numpy as np
import pandas as pd
import xarray as xr
from arviz_stats.base import array_stats
from scipy.special import logsumexp

from ..predictive import log_likelihood_by_rows, rows_of
from .convergence import ess_mean
from .findings import CHEAP, Finding
from .khat import has_ratios, khat, log_ratios, smoothed, trusted_up_to
from .reweigh import worth
from .rows import LEAST, refuse_draws

if TYPE_CHECKING:
    from ..posterior import Posterior

SHOWN, FEWEST = 5, 4
# ArviZ 1 has a class for each way to estimate the density of unseen rows; before, one class was told the way.
ELPD = getattr(arviz_stats, "ELPDDataLOO", None) or partial(arviz_stats.ELPDData, "loo")


def loo(posterior: "Posterior") -> arviz_stats.ELPDData:
    """See `Posterior.loo`."""
    table, count = rows_of(posterior), int(np.prod(posterior.shape))
    refuse_draws(posterior, "leave a row out")
    # What the guide is off by is made good together with the row that is left out.
    ratios = log_ratios(posterior)[:, None] if has_ratios(posterior) else 0.0
    efficiency = relative_efficiency(posterior)
    parts = [_left_out(logs, ratios, efficiency) for logs in log_likelihood_by_rows(posterior, table)]
    elpd_i, p_i, k = (np.concatenate(part) for part in zip(*parts, strict=True))
    elpd, se, p, _ = array_stats.loo_summary(elpd_i, p_i)
    index = table.index if table.index.nlevels == 1 else table.index.map(str)
    by_row = partial(xr.DataArray, dims="row", coords={"row": index})
    limit = trusted_up_to(count)
    return ELPD(
        elpd=float(elpd),
        se=float(se),
        p=float(p),
        n_samples=count,
        n_data_points=len(elpd_i),
        scale="log",
        warning=not bool((k <= limit).all()),
        good_k=limit,
        elpd_i=by_row(elpd_i),
        pareto_k=by_row(k),
        approx_posterior=has_ratios(posterior),
    )


def _left_out(logs: np.ndarray, ratios: np.ndarray | float, efficiency: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(row,) log density given the other rows, effective parameters and k-hat, from log p(row | draw) (draw, row)."""
    weights, k = smoothed(ratios - logs, efficiency)
    elpd = logsumexp(weights + logs, axis=0)
    return elpd, logsumexp(logs, axis=0) - np.log(len(logs)) - elpd, k


def relative_efficiency(posterior: "Posterior") -> float:
    """How many independent draws a draw is worth: as ArviZ has it, 1 for one chain, and else on average over all numbers drawn."""
    chains, draws = posterior.shape
    if chains == 1 or draws < FEWEST:
        return worth(posterior) / (chains * draws)
    effective = [ess_mean(values.reshape(chains, draws, -1).cpu().numpy()) for values in posterior.aligned.values()]
    return float(np.concatenate(effective).mean()) / (chains * draws)


def left_out(posterior: "Posterior", table: pd.DataFrame) -> Iterator[Finding]:
    """Whether some rows are so telling that the posterior would be another without them."""
    if posterior.table is None or np.prod(posterior.shape) < LEAST or not np.isfinite(table["mean"]).all():
        return
    if np.prod(posterior.shape) * len(posterior.table) > CHEAP:
        yield Finding("left out", "note", "not looked at: rows times draws are many.", "Call posterior.loo().")
        return
    found = loo(posterior)
    limit, count = found.good_k, len(posterior.table)
    bad = np.flatnonzero(~(found.pareto_k.values <= limit))
    if not len(bad):
        elpd = f"elpd {found.elpd:.1f} +- {found.se:.1f} by leaving rows out"
        yield Finding("left out", "good", f"{elpd}, every k-hat at most {limit:.2f}.")
        return
    worst = bad[np.argsort(-found.pareto_k.values[bad])][:SHOWN]
    rows = ", ".join(posterior.table.row(int(i)).removeprefix("row ") for i in worst) + ", ..." * (len(bad) > SHOWN)
    text = f"k-hat is above {limit:.2f} for {len(bad)} of {count} rows ({rows})"
    k = khat(posterior) if found.approx_posterior else 0.0
    if k > 0.5:
        advice = "Judge rows by mcmc" + (", or posterior.resampled()." if k <= limit else ".")
        yield Finding("left out", "note", f"{text}, to which the guide's own adds.", advice)
    else:
        advice = "Look at these rows; a distribution with heavier tails is moved less by single rows."
        yield Finding("left out", "warning", f"{text}: without them the posterior is another.", advice)
