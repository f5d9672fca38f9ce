"""Predictive check: the rows that were seen, beside rows that the posterior would have drawn in their place."""

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import ks_2samp
from torch import Tensor

from ..answers.angles import onto_turn
from .panels import bare, panels

if TYPE_CHECKING:
    from ..posterior import Posterior

REPLICATES, COLUMNS, ACROSS, ROWS, FEW = 40, 8, 4, 5000, 30
READING = (
    "Black, the rows that were seen; blue, data sets drawn from the posterior. Where black leaves the blue, the model is unlikely "
    "to have made the data."
)


def overlay(posterior: "Posterior") -> Figure:
    """The distribution of each column, seen and replicated; of many columns, those that differ most; of series, over all steps.

    Of many rows, 5000 evenly spread are looked at. Raises TypeError where whole rows cannot be drawn from the model.
    """
    from ..answers import replicate
    from ..answers.predictive import some_rows
    from ..answers.seen import as_seen

    table = posterior.table
    some = np.linspace(0, len(table) - 1, min(len(table), ROWS)).round().astype(int)
    # A point, and few draws, are replicated several times each.
    times = -(-REPLICATES // math.prod(posterior.shape))
    draws = {name: values.repeat_interleave(times, 1) if times > 1 else values for name, values in posterior.draws.items()}
    fewer = replace(posterior, draws=draws, table=replace(table, x=table.x[some], index=table.index[some]))
    new = replicate.posterior_predictive(fewer, max(1, REPLICATES // posterior.shape[0]), 0).rows
    seen = as_seen(posterior, some_rows(fewer))
    seen, new = (_told(posterior, part) for part in (seen, new.flatten(0, 1)[:REPLICATES]))
    columns = [j for j in range(seen.shape[1]) if np.isfinite(seen[:, j]).any()]
    if len(columns) > COLUMNS:
        columns = sorted(columns, key=lambda j: -_apart(seen[:, j], new[..., j]))[:COLUMNS]
    across = min(ACROSS, len(columns))
    figure, grid = panels(len(columns), ACROSS, 9 / across if across > 2 else 4.5, 2.3)
    named = table.x.dim() == 2 and not posterior.pair.any_length
    names = (
        [f"column {name}" if name.isdigit() else name for name in table.columns]
        if named
        else [f"column {j}" if seen.shape[1] > 1 else "each step" for j in range(seen.shape[1])]
    )
    for axes, j in zip(grid, columns, strict=True):
        _column(axes, seen[:, j], new[..., j], names[j])
    return figure


def _told(posterior: "Posterior", x: Tensor) -> np.ndarray:
    """(..., row, column) of rows (..., row, *row): of series all steps, and angles within the turn that the pair tells them on."""
    pair, ahead = posterior.pair, x.dim() - posterior.table.x.dim()
    x = x.flatten(ahead, ahead + 1) if pair.any_length else x
    x = x.reshape(*x.shape[: ahead + 1], -1).double().cpu()
    for i, turn in enumerate(pair.angles):
        if turn is not None:
            x[..., i] = onto_turn(x[..., i], turn)
    return x.numpy()


def _apart(seen: np.ndarray, new: np.ndarray) -> float:
    # Only the distance is asked for, so that its probability may be the quick one.
    return float(ks_2samp(seen[np.isfinite(seen)], new[np.isfinite(new)], method="asymp").statistic)


def _column(axes: Axes, seen: np.ndarray, new: np.ndarray, name: str) -> None:
    """Histograms of (row,) and (replicate, row); of few whole numbers a bar each, and of many as many to every bar."""
    seen, new = seen[np.isfinite(seen)], [r[np.isfinite(r)] for r in new]
    pooled = np.concatenate([seen, *new])
    low, high = np.quantile(pooled, [0.002, 0.998])
    low, high = min(low, seen.min()), max(high, seen.max())
    few = high - low < FEW
    if ((pooled if few else seen) == (pooled if few else seen).round()).all():
        step = max(1, math.ceil((high - low) / FEW))
        edges = np.arange(math.floor(low) - 0.5, high + step, step)
    else:
        edges = np.linspace(low, high if high > low else low + 1, 31)
    for replicated in new:
        axes.stairs(np.histogram(replicated, edges)[0] / len(replicated), edges, color="C0", alpha=0.3, linewidth=0.7)
    axes.stairs(np.histogram(seen, edges)[0] / len(seen), edges, color="black", linewidth=1.5)
    axes.set_xlabel(name, fontsize=8)
    bare(axes, heights=False)
