"""Posterior predictive checks: do data sets drawn from the posterior look like the data?"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from ..answers.predictive import rows_of
from ..answers.replicate import of_data_sets
from ..run import at_least
from .findings import CHEAP, Finding, unlooked
from .panels import bare, panels
from .quantities import Quantity, computed, of_any

if TYPE_CHECKING:
    from ..posterior import Posterior

UNLIKELY, SHOWN, LEAST, QUICK, LONGEST = 0.01, 12, 100, 200, 110
# The smallest p-value of so many data sets is one in as many and one.
FEWEST = round(1 / UNLIKELY)


@dataclass(frozen=True, eq=False)
class PredictiveChecks:
    """What is computed of the data, and of data sets drawn from the posterior.

    table: one row a quantity: `observed`; `mean` and `sd` over the data sets drawn; `p`, how often one of them lies as far out
    as the data do, on the nearer side, twice; `p_all`, how often any of a data set's quantities lies as far out, in its own
    spread. `NaN` where a quantity is not finite. replicated: (data set, quantity).
    """

    table: pd.DataFrame
    replicated: np.ndarray

    @property
    def unlikely(self) -> pd.DataFrame:
        """The quantities that the model does not reproduce, though so many were looked at: the farthest first."""
        far = self.table[self.table["p_all"] < UNLIKELY]
        return far.loc[((far["observed"] - far["mean"]).abs() / far["sd"]).sort_values(ascending=False).index]

    def picture(self) -> Figure:
        """Histograms of the quantities over the data sets drawn, and the data's as a line, red where it is `unlikely`: the least likely
        twelve, with `p`, and `p_all` by which that is told."""
        order = np.argsort(self.table["p_all"].to_numpy(), kind="stable")[:SHOWN]
        figure, grid = panels(len(order), 4, 2.5, 2.0)
        for axes, i in zip(grid, order, strict=True):
            quantity, drawn = self.table.iloc[i], self.replicated[:, i]
            axes.hist(drawn[np.isfinite(drawn)], 30, color="0.8")
            if np.isfinite(quantity["observed"]):
                axes.axvline(quantity["observed"], color="C3" if quantity["p_all"] < UNLIKELY else "C0")
            axes.set_title(f"{self.table.index[i]}\np {quantity['p']:.3f}, of all {quantity['p_all']:.3f}", fontsize=8)
            bare(axes, heights=False)
        return figure

    @property
    def unjudged(self) -> list[str]:
        """The quantities that are not finite in the data, or in a data set drawn, so that nothing can be said of them."""
        return list(self.table.index[self.table["p_all"].isna()])

    def __str__(self) -> str:
        table = self.table.to_string(float_format=lambda v: f"{v:.4g}", max_rows=40)
        return table + (f"\nnot judged, since not finite: {', '.join(self.unjudged)}" if self.unjudged else "")

    __repr__ = __str__


def predictive_checks(
    posterior: "Posterior", quantities: Quantity | Mapping[str, Quantity] | None = None, draws: int = 500, seed: int = 0
) -> PredictiveChecks:
    """See `Posterior.check`."""
    at_least(1, draws=draws)
    at_least(0, seed=seed)
    if draws < FEWEST:
        raise ValueError(f"draws={draws}: of fewer than {FEWEST} data sets none can show that a quantity is unlikely at {UNLIKELY}")
    named = _named(quantities, posterior)
    data, drawn = of_data_sets(posterior, partial(computed, named), draws, seed)
    own, _ = rows_of(posterior).parted(posterior.pair.covariates)
    names = own.columns if own.x.dim() == 2 and not posterior.pair.any_length else own.variables or []
    labels = [label for name, value in data.items() for label in _labels(name, len(value), names)]
    observed = torch.cat(list(data.values())).double().cpu().numpy()
    replicated = torch.cat(list(drawn.values()), 1).double().cpu().numpy()
    return PredictiveChecks(_compared(observed, replicated, labels), replicated)


def _named(quantities: Quantity | Mapping[str, Quantity] | None, posterior: "Posterior") -> Mapping[str, Quantity]:
    if quantities is None:
        pair = posterior.pair
        return {**of_any(rows_of(posterior), pair.covariates, pair.angles, pair.any_length), **pair.quantities}
    if callable(quantities):
        return {getattr(quantities, "__name__", "quantity"): quantities}
    if not isinstance(quantities, Mapping) or not quantities or not all(map(callable, quantities.values())):
        raise TypeError("quantities must be a function of a data set, or some by name, as {'range': lambda x: x.amax(0) - x.amin(0)}")
    return quantities


def _labels(name: str, count: int, columns: list[str]) -> list[str]:
    if count == 1:
        return [name]
    return [f"{name}[{column}]" for column in (columns if len(columns) == count else range(count))]


def _compared(observed: np.ndarray, replicated: np.ndarray, labels: list[str]) -> pd.DataFrame:
    table = pd.DataFrame({"observed": observed}, pd.Index(labels, name="quantity"))
    finite = np.isfinite(observed) & np.isfinite(replicated).all(0)
    table.loc[finite, ["mean", "sd", "p", "p_all"]] = _likeness(observed[finite], replicated[:, finite])
    return table


def _likeness(observed: np.ndarray, replicated: np.ndarray) -> np.ndarray:
    """(quantity, 4): mean and sd of those drawn, and the two probabilities of the data's."""
    above, below = (replicated >= observed).sum(0), (replicated <= observed).sum(0)
    count = len(replicated) + 1
    # Westfall & Young 1993: how far the farthest quantity of each data set lies out, whatever hangs together among them.
    farthest = _far_out(replicated, replicated).max(1, initial=0.0)
    p = np.minimum(1.0, 2 * (np.minimum(above, below) + 1) / count)
    p_all = ((farthest[:, None] >= _far_out(observed, replicated)).sum(0) + 1) / count
    return np.stack([replicated.mean(0), replicated.std(0, ddof=1), p, p_all], 1)


def _far_out(values: np.ndarray, replicated: np.ndarray) -> np.ndarray:
    """How far values (..., quantity) lie from the median of those drawn, by the spread on that side of it: many are skewed."""
    middle = np.median(replicated, 0)
    off = replicated - middle
    lower, upper = (np.sqrt(np.square(np.where(side, off, 0.0)).mean(0)) for side in (off < 0, off > 0))
    spread = np.where(values < middle, lower, upper)
    return np.abs(values - middle) / np.where(spread > 0, spread, np.finfo(float).tiny)


def reproduced(posterior: "Posterior", table: pd.DataFrame) -> Iterator[Finding]:
    """Whether data sets drawn from the posterior look like the data."""
    point = posterior.draws and np.prod(posterior.shape) == 1
    if point or not np.isfinite(table["mean"]).all():
        return
    if lacking := unlooked("predictive checks", posterior, LEAST if posterior.draws else 1):
        yield lacking
        return
    if QUICK * posterior.table.x.numel() > CHEAP:
        yield Finding("predictive checks", "note", "not looked at: rows times columns are many.", "Call posterior.check().")
        return
    try:
        checks = predictive_checks(posterior, draws=QUICK)
    except (TypeError, ValueError) as error:
        yield Finding("predictive checks", "note", f"not looked at: {str(error).splitlines()[0][:LONGEST]}")
        return
    far, count = checks.unlikely, int(checks.table["p_all"].count())
    if checks.unjudged:
        text = f"{', '.join(checks.unjudged[:3])}{', ...' * (len(checks.unjudged) > 3)}: not finite, in the data or in data sets drawn."
        yield Finding("quantities", "note", text, "They were not judged.")
    if not len(far):
        yield Finding("predictive checks", "good", f"{count} quantities of data sets drawn from the posterior are like the data's.")
        return
    seen = far.iloc[0]
    text = f"{far.index[0]} is {seen['observed']:.4g}, and {seen['mean']:.4g} +- {seen['sd']:.2g} in data sets drawn from the posterior"
    advice = "The model does not fit in this respect; posterior.check().picture() shows it."
    yield Finding("predictive checks", "warning", f"{text} ({len(far)} of {count} quantities are so unlikely).", advice)
