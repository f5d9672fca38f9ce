"""The table of a report: every parameter, and how well it is known."""

import warnings
from typing import TYPE_CHECKING

import arviz_stats
import numpy as np
import pandas as pd

from .convert import labelled

if TYPE_CHECKING:
    from ..posterior import Posterior


def summarise(posterior: "Posterior") -> pd.DataFrame:
    """One row a parameter: mean, sd, 5% and 95% quantiles; Monte Carlo error, and for MCMC effective draws and R-hat.

    R-hat and ESS are ArviZ's rank-normalised ones (Vehtari et al. 2021, "Rank-normalization, folding, and localization: an
    improved R-hat", Bayesian Analysis 16), on draws whose declared symmetries are undone. What cannot be computed is `NaN`.
    """
    labels, draws = labelled(posterior)
    array = draws.numpy()
    # Draws that are constant, few or not finite are told by the findings; here they only leave NaN.
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        table = _spread(array, labels)
        if array.shape[0] * array.shape[1] == 1:
            return table[["mean"]]
        if posterior.how["method"] == "svi":
            return table.assign(mcse_mean=table["sd"] / (array.shape[0] * array.shape[1]) ** 0.5)
        return table if array.shape[1] < 4 else table.assign(**_convergence(array))


def _spread(array: np.ndarray, labels: list[str]) -> pd.DataFrame:
    flat = array.reshape(-1, array.shape[2])
    q5, q95 = np.quantile(flat, [0.05, 0.95], axis=0)
    columns = {"mean": flat.mean(0), "sd": flat.std(0, ddof=1), "q5": q5, "q95": q95}
    return pd.DataFrame(columns, index=pd.Index(labels, name="parameter"))


def _convergence(array: np.ndarray) -> dict[str, np.ndarray]:
    axes = {"chain_axis": 0, "draw_axis": 1}
    return {
        "mcse_mean": arviz_stats.mcse(array, method="mean", **axes),
        "ess_bulk": arviz_stats.ess(array, method="bulk", **axes),
        "ess_tail": arviz_stats.ess(array, method="tail", prob=(0.05, 0.95), **axes),
        "rhat": arviz_stats.rhat(array, **axes),
    }
