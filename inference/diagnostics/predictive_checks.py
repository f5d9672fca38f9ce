"""Posterior predictive checks: do data sets drawn from the posterior look like the data?"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor

from ..predictive import replicate, rows_of
from ..run import at_least
from .findings import CHEAP, Finding

if TYPE_CHECKING:
    from ..posterior import Posterior

Quantity = Callable[[Tensor], Tensor]
UNLIKELY, SHOWN, COLUMNS = 0.01, 12, 20


def quantile(x: Tensor, share: float) -> Tensor:
    """(...) of data (rows, ...), over the rows that are not missing; by linear interpolation."""
    ordered, last = x.sort(0).values, (~x.isnan()).sum(0) - 1
    at = share * last
    low = at.floor().long().clamp(min=0)
    values = (ordered.gather(0, i[None])[0] for i in (low, torch.minimum(low + 1, last.clamp(min=0))))
    return torch.lerp(*values, (at - low).to(x.dtype))


def sd(x: Tensor) -> Tensor:
    """(...) of data (rows, ...), over the rows that are not missing."""
    return (x - x.nanmean(0)).square().nanmean(0).sqrt()


QUANTITIES: dict[str, Quantity] = {
    "mean": lambda x: x.nanmean(0),
    "sd": sd,
    "min": partial(quantile, share=0.0),
    "q25": partial(quantile, share=0.25),
    "median": partial(quantile, share=0.5),
    "q75": partial(quantile, share=0.75),
    "max": partial(quantile, share=1.0),
}


@dataclass(frozen=True, eq=False)
class PredictiveChecks:
    """What is computed of the data, and of data sets drawn from the posterior.

    table: one row a quantity: `observed`; `mean` and `sd` over the data sets drawn; `p`, how often one of them lies as far
    out as the data do, on the nearer side, twice; `p_all`, how often any of its quantities lies as far out, in its sd.
    replicated: (data set, quantity).
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
        grid = figure.subplots(rows, 4, squeeze=False).flat
        for axes, i in zip(grid, order, strict=False):
            quantity = self.table.iloc[i]
            axes.hist(self.replicated[:, i], 30, color="0.8")
            axes.axvline(quantity["observed"], color="C3" if quantity["p_all"] < UNLIKELY else "C0")
            axes.set_title(f"{self.table.index[i]}  p={quantity['p']:.3f}", fontsize=8)
            axes.set_yticks([])
            axes.tick_params(labelsize=7)
            axes.spines[["top", "right", "left"]].set_visible(False)
        for axes in list(grid)[len(order) :]:
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
    named = dict(quantities or {**_of_columns(posterior), **posterior.pair.quantities})
    data, drawn = replicate(posterior, lambda x: {n: torch.as_tensor(q(x)).flatten() for n, q in named.items()}, draws, seed)
    columns = posterior.how["columns"]
    labels = [label for name, value in data.items() for label in _labels(name, len(value), columns)]
    observed = torch.cat(list(data.values())).double().cpu().numpy()
    replicated = torch.cat(list(drawn.values()), 1).double().cpu().numpy()
    return PredictiveChecks(_compared(observed, replicated, labels), replicated)


def _of_columns(posterior: "Posterior") -> dict[str, Quantity]:
    """What any data have, column by column; of many columns, or rows that are no table, all values are taken together."""
    table = rows_of(posterior)
    if table.x.dim() == 2 and table.x.shape[1] <= COLUMNS:
        return QUANTITIES
    return {name: lambda x, q=q: q(x.flatten()) for name, q in QUANTITIES.items()}


def _labels(name: str, count: int, columns: list[str]) -> list[str]:
    if count == 1:
        return [name]
    return [f"{name}[{column}]" for column in (columns if len(columns) == count else range(count))]


def _compared(observed: np.ndarray, replicated: np.ndarray, labels: list[str]) -> pd.DataFrame:
    mean, spread = replicated.mean(0), replicated.std(0, ddof=1)
    above, below = (replicated >= observed).sum(0), (replicated <= observed).sum(0)
    count = len(replicated) + 1
    p = np.minimum(1.0, 2 * (np.minimum(above, below) + 1) / count)
    # Westfall & Young 1993: how far the farthest quantity of each data set lies out, whatever hangs together among them.
    scale = np.where(spread > 0, spread, np.finfo(float).tiny)
    farthest = (np.abs(replicated - mean) / scale).max(1)
    p_all = ((farthest[:, None] >= np.abs(observed - mean) / scale).sum(0) + 1) / count
    columns = {"observed": observed, "mean": mean, "sd": spread, "p": p, "p_all": p_all}
    return pd.DataFrame(columns, index=pd.Index(labels, name="quantity"))


def reproduced(posterior: "Posterior", table: pd.DataFrame) -> Iterator[Finding]:
    """Whether data sets drawn from the posterior look like the data."""
    if posterior.table is None or np.prod(posterior.shape) < 100 or not np.isfinite(table["mean"]).all():
        return
    draws = 200
    if draws * posterior.table.x.numel() > CHEAP:
        yield Finding("predictive checks", "note", "not looked at: there are many rows.", "Call posterior.check().")
        return
    checks = predictive_checks(posterior, draws=draws)
    far = checks.unlikely
    if not len(far):
        yield Finding(
            "predictive checks", "good", f"{len(checks.table)} quantities of data sets drawn from the posterior are like the data's."
        )
        return
    worst = far.iloc[0]
    text = f"{len(far)} of {len(checks.table)} quantities are unlike the data's: {far.index[0]} is {worst['observed']:.4g}, "
    text += f"and {worst['mean']:.4g} +- {worst['sd']:.2g} in data sets drawn from the posterior."
    yield Finding("predictive checks", "warning", text, "The model does not fit in this respect; posterior.check().picture() shows it.")
