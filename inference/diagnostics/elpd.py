"""Expected log predictive densities as ArviZ has them."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import arviz_stats
import numpy as np
import xarray as xr
from arviz_stats.base import array_stats

from .convert import labelled
from .khat import trusted_up_to

if TYPE_CHECKING:
    from ..posterior import Posterior

# ArviZ 1 has a class for each way to estimate the density of unseen rows; before, one class was told the way.
ELPD = getattr(arviz_stats, "ELPDDataLOO", None) or partial(arviz_stats.ELPDData, "loo")


def elpd_data(
    posterior: "Posterior", elpd_i: np.ndarray, p_i: np.ndarray, k: np.ndarray, axis: str, labels: Sequence[Any]
) -> arviz_stats.ELPDData:
    """From log density, effective parameters and k-hat of each of the points (point,), which lie along `axis` and have `labels`."""
    elpd, se, p, _ = array_stats.loo_summary(elpd_i, p_i)
    by_point = partial(xr.DataArray, dims=axis, coords={axis: labels})
    count = int(np.prod(posterior.shape))
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
        elpd_i=by_point(elpd_i),
        pareto_k=by_point(k),
        approx_posterior="log_q" in posterior.stats,
    )


def relative_efficiency(posterior: "Posterior") -> float:
    """How many independent draws a draw is worth, on average over the parameters; 1 for one chain, as ArviZ has it."""
    count = int(np.prod(posterior.shape))
    if "resampled" in posterior.how:
        return min(1.0, posterior.how["resampled"]["effective"] / count)
    if posterior.shape[0] == 1 or posterior.shape[1] < 4:
        return 1.0
    _, draws = labelled(posterior)
    return float(np.mean(arviz_stats.ess(draws.numpy(), method="mean", chain_axis=0, draw_axis=1))) / count
