"""The table of a report: every parameter, and how well it is known."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from torch import Tensor

from .convergence import convergence
from .convert import labelled
from .reweigh import worth

if TYPE_CHECKING:
    from ..posterior import Posterior

SPREAD = ["mean", "sd", "q5", "q95"]
FEWEST = 4
# How many lines of a long table are shown unless all are asked for.
SHOWN = 12


def summarise(posterior: "Posterior", draws: Mapping[str, Tensor] | None = None) -> pd.DataFrame:
    """One row a parameter: mean, sd, 5% and 95% quantiles; Monte Carlo error, and for MCMC effective draws and R-hat.

    All are of draws whose declared symmetries are undone; where there are such, `ess_bulk_raw` and `rhat_raw` are of the draws as
    they came. R-hat and ESS are ArviZ's rank-normalised ones. What cannot be computed is `NaN`.

    draws: with symmetries undone in another way than by `aligned`.
    """
    table = _table(posterior, posterior.aligned if draws is None else draws)
    if math.prod(posterior.shape) == 1:
        return table[["mean"]]
    if posterior.how.get("method") == "svi":
        return table[SPREAD].assign(mcse_mean=table["sd"] / worth(posterior) ** 0.5)
    if posterior.shape[1] < FEWEST:
        return table[SPREAD]
    return table.assign(**_as_they_came(posterior, table)) if posterior.pair.symmetries and draws is None else table


def invariants(posterior: "Posterior") -> pd.DataFrame:
    """The table of quantities that no declared symmetry changes, whatever the labels, signs or axes of the draws.

    They are the log density of the draws (`lp`); the sorted entries of what a permutation acts on, the sizes of what may flip its
    sign, the lengths of what may be rotated. Chains that agree in these and not in the parameters differ in how draws were aligned.
    """
    parts = []
    if "lp" in posterior.by_draw:
        parts.append(_summary(posterior.stats["lp"][..., None], ["lp"]))
    acted = [name for symmetry in posterior.pair.symmetries for name in symmetry.axes]
    for symmetry in posterior.pair.symmetries:
        # What two symmetries act on is left out: what one leaves as it is may change by the other.
        found = {n: v for n, v in symmetry.invariants(posterior.draws).items() if acted.count(n) == 1}
        if found:
            parts.append(_table(posterior, found).rename(index=lambda label, s=symmetry: f"{s.leaves} {label}"))
    return pd.concat(parts) if parts else _summary(np.empty((*posterior.shape, 0)), [])


def _as_they_came(posterior: "Posterior", table: pd.DataFrame) -> dict[str, pd.Series]:
    moved = {n: d for n, d in posterior.draws.items() if not (d == posterior.aligned[n]).all()}
    raw = _table(posterior, moved) if moved else table
    return {f"{name}_raw": raw[name].reindex(table.index).fillna(table[name]) for name in ("ess_bulk", "rhat")}


def _table(posterior: "Posterior", draws: Mapping[str, Tensor]) -> pd.DataFrame:
    labels, numbers = labelled(posterior, draws)
    return _summary(numbers, labels)


def _summary(numbers: Tensor | np.ndarray, labels: list[str]) -> pd.DataFrame:
    return pd.DataFrame(convergence(np.asarray(numbers)), index=pd.Index(labels, name="parameter"))


def worst(table: pd.DataFrame) -> list[str]:
    """The rows of a table by R-hat, the largest first (none at all is worse still), or by the p-value of their ranks, the smallest
    first; as they come where there is neither."""
    if "rhat" in table:
        return list(table["rhat"].fillna(np.inf).sort_values(ascending=False, kind="stable").index)
    return list(table["p_ranks"].sort_values(kind="stable").index) if "p_ranks" in table else list(table.index)


def order(table: pd.DataFrame) -> str:
    """What the first of `worst` are called."""
    return "worst" if {"rhat", "p_ranks"} & set(table) else "first"
