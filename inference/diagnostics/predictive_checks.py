"""Posterior predictive checks: do data sets drawn from the posterior look like the data?"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from ..predictive import rows_of
from ..replicate import of_data_sets
from ..run import at_least
from .findings import CHEAP, Finding
from .quantities import Quantity, of_any

if TYPE_CHECKING:
    from ..posterior import Posterior

UNLIKELY, SHOWN, LEAST, QUICK = 0.01, 12, 100, 200


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
        """Histograms of the quantities over the data sets drawn, and the data's as a line: the least likely twelve."""
        order = np.argsort(self.table["p_all"].to_numpy(), kind="stable")[:SHOWN]
        rows = math.ceil(len(order) / 4)
        figure = Figure(figsize=(10, 1.9 * rows), layout="constrained")
        grid = figure.subplots(rows, 4, squeeze=False).ravel()
        for axes, i in zip(grid, order, strict=False):
            quantity = self.table.iloc[i]
            axes.hist(self.replicated[:, i], 30, color="0.8")
            axes.axvline(quantity["observed"], color="C3" if quantity["p_all"] < UNLIKELY else "C0")
            axes.set_title(f"{self.table.index[i]}  p={quantity['p']:.3f}", fontsize=8)
            axes.set_yticks([])
            axes.tick_params(labelsize=7)
            axes.spines[["top", "right", "left"]].set_visible(False)
        for axes in grid[len(order) :]:
            axes.set_axis_off()
        return figure

    def __str__(self) -> str:
        return self.table.to_string(float_format=lambda v: f"{v:.4g}", max_rows=40)

    __repr__ = __str__


def predictive_checks(
    posterior: "Posterior", quantities: Quantity | Mapping[str, Quantity] | None = None, draws: int = 500, seed: int = 0
) -> PredictiveChecks:
    """See `Posterior.check`."""
    at_least(2, draws=draws)
    at_least(0, seed=seed)
    if callable(quantities):
        quantities = {getattr(quantities, "__name__", "quantity"): quantities}
    named = dict(quantities or {**of_any(rows_of(posterior)), **posterior.pair.quantities})
    data, drawn = of_data_sets(posterior, lambda x: {n: torch.as_tensor(q(x)).flatten() for n, q in named.items()}, draws, seed)
    columns = posterior.how["columns"]
    labels = [label for name, value in data.items() for label in _labels(name, len(value), columns)]
    observed = torch.cat(list(data.values())).double().cpu().numpy()
    replicated = torch.cat(list(drawn.values()), 1).double().cpu().numpy()
    return PredictiveChecks(_compared(observed, replicated, labels), replicated)


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
    few = posterior.draws and np.prod(posterior.shape) < LEAST
    if posterior.table is None or few or not np.isfinite(table["mean"]).all():
        return
    if QUICK * posterior.table.x.numel() > CHEAP:
        yield Finding("predictive checks", "note", "not looked at: there are many rows.", "Call posterior.check().")
        return
    try:
        checks = predictive_checks(posterior, draws=QUICK)
    except (TypeError, NotImplementedError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0][:80]
        yield Finding("predictive checks", "note", f"not looked at, because rows cannot be drawn: {reason}")
        return
    far, count = checks.unlikely, int(checks.table["p_all"].count())
    if not len(far):
        yield Finding("predictive checks", "good", f"{count} quantities of data sets drawn from the posterior are like the data's.")
        return
    seen = far.iloc[0]
    text = f"{far.index[0]} is {seen['observed']:.4g}, and {seen['mean']:.4g} +- {seen['sd']:.2g} in data sets drawn from the posterior"
    advice = "The model does not fit in this respect; posterior.check().picture() shows it."
    yield Finding("predictive checks", "warning", f"{text} ({len(far)} of {count} quantities are so unlikely).", advice)
