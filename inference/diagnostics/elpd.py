"""Expected log predictive densities as ArviZ has them."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import arviz_stats
import numpy as np
import xarray as xr
from arviz_stats.base import array_stats

from .convergence import ess_mean
from .khat import has_ratios, trusted_up_to
from .reweigh import worth

if TYPE_CHECKING:
    from ..posterior import Posterior

FEWEST = 4
# ArviZ 1 has a class for each way to estimate the density of unseen rows; before, one class was told the way.
ELPD = getattr(arviz_stats, "ELPDDataLOO", None) or partial(arviz_stats.ELPDData, "loo")


def elpd_data(
    posterior: "Posterior", elpd_i: np.ndarray, p_i: np.ndarray, k: np.ndarray, axis: str, labels: Sequence[Any]
) -> arviz_stats.ELPDData:
    """From log density, effective parameters and k-hat of each of the points (point,), which lie along `axis` and have `labels`."""
    elpd, se, p, _ = array_stats.loo_summary(elpd_i, p_i)
    # A named index would name an axis of its own.
    by_point = partial(xr.DataArray, dims=axis, coords={axis: np.asarray(labels)})
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
        approx_posterior=has_ratios(posterior),
    )


def relative_efficiency(posterior: "Posterior") -> float:
    """How many independent draws a draw is worth: as ArviZ has it, 1 for one chain, and else on average over all numbers drawn."""
    chains, draws = posterior.shape
    if chains == 1 or draws < FEWEST:
        return worth(posterior) / (chains * draws)
    effective = [ess_mean(values.reshape(chains, draws, -1).cpu().numpy()) for values in posterior.aligned.values()]
    return float(np.concatenate(effective).mean()) / (chains * draws)
