"""The table of a report: every parameter, and how well it is known."""

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
    table = pd.DataFrame({"mean": array.mean((0, 1))}, index=pd.Index(labels, name="parameter"))
    if array.shape[0] * array.shape[1] == 1:
        return table
    flat = array.reshape(-1, array.shape[2])
    table["sd"] = flat.std(0, ddof=1)
    table["q5"], table["q95"] = np.quantile(flat, [0.05, 0.95], axis=0)
    if posterior.how["method"] == "svi":
        table["mcse_mean"] = table["sd"] / len(flat) ** 0.5
        return table
    if array.shape[1] < 4:
        return table
    axes = {"chain_axis": 0, "draw_axis": 1}
    table["mcse_mean"] = arviz_stats.mcse(array, method="mean", **axes)
    table["ess_bulk"] = arviz_stats.ess(array, method="bulk", **axes)
    table["ess_tail"] = arviz_stats.ess(array, method="tail", prob=(0.05, 0.95), **axes)
    table["rhat"] = arviz_stats.rhat(array, **axes)
    return table
