"""Posteriors of the same rows side by side: which predicts best, by how much, and whether each is itself believed."""

import inspect
import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import arviz_stats
import numpy as np
import pandas as pd

from .ahead import ahead, one_series
from .loo import loo
from .report import believed
from .rows import refuse_other_rows

if TYPE_CHECKING:
    from ..posterior import Posterior

# A difference of log densities below which none is meant.
SAME = 4.0
# ArviZ 1 rounds unless told not to; before, it could not be told.
EXACT = {"round_to": "none"} if "round_to" in inspect.signature(arviz_stats.compare).parameters else {}


def compare(posteriors: Mapping[str, "Posterior"]) -> pd.DataFrame:
    """Posteriors of the same rows, whatever their pairs, sizes and methods, by how well they predict a row from the others.

    Returns one row a posterior, the best first:

    - `elpd`, the log density of every row given all others, and its standard error `se`;
    - `behind`, by how much the best is better, and the standard error of that, `se_behind`; `as_good`, whether that is less than 4, or
      than twice its error, and so no difference, whatever the weights are;
    - `weight` in the mixture of all that predicts best (stacking); `p_loo`, the effective number of parameters;
    - `worst_k`, the largest Pareto k-hat of a row, and `bad_rows`, for how many it is too large for `elpd` to be relied on;
    - `believed`, whether `diagnose` finds the posterior to be believed (`Report.ok`).

    Where there is one row, a series, its last steps are judged instead, each given those before it (`Posterior.ahead`), as many as
    can be of every posterior.

    The pairs must model the same numbers of a row: the density of one column given another is no match for that of both.

    Raises:
        ValueError: fewer than two posteriors, other rows, one row that is no series, or a posterior without rows or of too few draws.

    Sources: Vehtari, Gelman & Gabry 2017, "Practical Bayesian model evaluation using leave-one-out cross-validation and WAIC",
    Statistics and Computing 27; Yao, Vehtari, Simpson & Gelman 2018, "Using stacking to average Bayesian predictive
    distributions", Bayesian Analysis 13; Sivula, Magnusson & Vehtari 2020, "Uncertainty in Bayesian leave-one-out
    cross-validation based model comparison", on differences below 4.
    """
    if len(posteriors) < 2:
        count = len(posteriors)
        raise ValueError(f"{count} posterior{'s' * (count != 1)} cannot be compared; give two or more, as {{name: posterior}}")
    refuse_other_rows(posteriors)
    found = _judged(posteriors)
    rows = np.stack([elpd.elpd_i.values for elpd in found.values()])
    # Only differences between posteriors count; densities of themselves may be too small to be held.
    level = rows.max(0)
    shifted = {name: replace(elpd, elpd_i=elpd.elpd_i - level) for name, elpd in found.items()}
    with warnings.catch_warnings():
        # ArviZ 0.8 asks of pandas what its next version will no longer have.
        warnings.simplefilter("ignore", DeprecationWarning)
        weighed = arviz_stats.compare(shifted, method="stacking", **EXACT)
    best = max(elpd.elpd for elpd in found.values())
    lines = [
        {
            "elpd": elpd.elpd,
            "se": elpd.se,
            "behind": best - elpd.elpd,
            "se_behind": weighed["dse"][name],
            "as_good": bool(best - elpd.elpd < max(SAME, 2 * weighed["dse"][name])),
            "weight": weighed["weight"][name],
            "p_loo": elpd.p,
            "worst_k": float(elpd.pareto_k.max()),
            "bad_rows": int((~(elpd.pareto_k <= elpd.good_k)).sum()),
            "believed": believed(posteriors[name]),
        }
        for name, elpd in found.items()
    ]
    table = pd.DataFrame(lines, pd.Index(found, name="posterior"))
    return table.sort_values("elpd", ascending=False, kind="stable")


def _judged(posteriors: Mapping[str, "Posterior"]) -> dict[str, arviz_stats.ELPDData]:
    """By rows; by the steps of a single series that can be judged of all posteriors."""
    if not all(map(one_series, posteriors.values())):
        return {name: loo(posterior) for name, posterior in posteriors.items()}
    steps = min(ahead(posterior).n_data_points for posterior in posteriors.values())
    return {name: ahead(posterior, steps) for name, posterior in posteriors.items()}
