"""Two posteriors of one pair and the same rows against each other: a guide's draws, say, and chains that set out from it."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from .convert import entries
from .findings import Finding
from .rows import refuse_other_rows
from .table import summarise

if TYPE_CHECKING:
    from ..posterior import Posterior

APART, WIDER = 0.3, 1.5


def agreement(posterior: "Posterior", other: "Posterior") -> pd.DataFrame:
    """For every parameter, how far `posterior` is from `other`, after their symmetries are undone, in the same way for both.

    Returns columns: `apart`, the difference of the means in standard deviations of `other`; `error`, its Monte Carlo error;
    `wider`, the ratio of the standard deviations.

    Raises ValueError where the two are of different parameters, were given different rows, or one is a single draw.
    """
    refuse_other_rows({posterior.name: posterior, f"{other.name}, the other": other})
    if _parameters(posterior) != _parameters(other):
        raise ValueError(f"{posterior.name} and {other.name} do not have the same parameters, so they cannot be held against each other")
    # Each numbers its components by means of its own, which may nearly tie: both are brought to the other's numbers.
    here, there = posterior.draws, other.aligned
    for symmetry in other.pair.symmetries:
        here, there = symmetry.towards(here, other.aligned), symmetry.towards(there, other.aligned)
    here, there = summarise(posterior, here), summarise(other, there)
    for name, table in ((posterior.name, here), (other.name, there)):
        if "mcse_mean" not in table:
            raise ValueError(f"{name} has too few draws to be held against another")
    with np.errstate(all="ignore"):
        error = np.hypot(here["mcse_mean"], there["mcse_mean"]) / there["sd"]
        return pd.DataFrame({"apart": (here["mean"] - there["mean"]) / there["sd"], "error": error, "wider": here["sd"] / there["sd"]})


def _parameters(posterior: "Posterior") -> tuple[list[str], dict[str, tuple[int, ...]]]:
    return list(entries(posterior)), {name: tuple(draws.shape[2:]) for name, draws in posterior.draws.items()}


def agree(posterior: "Posterior", other: "Posterior", believed: bool) -> Iterator[Finding]:
    """Whether the two agree; `believed`: whether `other` is to be believed by itself."""
    table = agreement(posterior, other)
    if not np.isfinite(table["wider"]).any():
        text = f"no parameter varies, or is finite, in both this and {other.name}."
        yield Finding("agreement", "failure", text, "Diagnose each by itself.")
        return
    apart = table["apart"].abs() - 3 * table["error"]
    wider = np.log(table["wider"]).abs()
    worst, ratio = table["apart"].abs().idxmax(), wider.idxmax()
    seen = f"means at most {abs(table['apart'][worst]):.2f} sd apart ({worst}), sds {table['wider'][ratio]:.2f} times as large ({ratio})."
    if not believed:
        text = f"{other.name}, which is to be judged by, is itself not believed: {seen}"
        yield Finding("agreement", "warning", text, "Diagnose it first.")
    elif (apart > APART).any() or not (wider <= np.log(WIDER)).all():
        advice = "One of them misses a part of the posterior: trust neither until they agree; run mcmc longer, from several guides."
        yield Finding("agreement", "failure", f"unlike {other.name}: {seen}", advice)
    else:
        yield Finding("agreement", "good", f"with {other.name}: {seen}")
