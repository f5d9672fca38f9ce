"""The picture of factor models, for the report."""

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from inference import Posterior

COLUMNS = 30


def loadings(posterior: "Posterior") -> Figure:
    """What each factor adds to each column, with its 90% interval; and the rows by their first two factors.

    Of more than thirty columns, the thirty with the largest loadings.
    """
    draws = posterior.aligned["loadings"].flatten(0, 1).double().cpu().numpy()
    labels = np.array(posterior.table.columns)
    shown = np.sort(np.abs(draws).mean(0).max(1).argsort()[::-1][:COLUMNS])
    figure = Figure(figsize=(10, 1.2 + 0.22 * max(12, len(shown))), layout="constrained")
    left, right = figure.subplots(1, 2)
    _intervals(left, draws[:, shown], labels[shown])
    _rows(right, posterior)
    return figure


def _intervals(axes: Axes, draws: np.ndarray, labels: np.ndarray) -> None:
    columns, factors = draws.shape[1:]
    mean, (low, high) = draws.mean(0), np.quantile(draws, [0.05, 0.95], axis=0)
    for factor in range(factors):
        place = np.arange(columns) + 0.6 * ((factor + 0.5) / factors - 0.5)
        bars = np.stack([mean - low, high - mean])[:, :, factor].clip(min=0)
        axes.errorbar(mean[:, factor], place, xerr=bars, fmt="o", markersize=3, linewidth=1, label=f"factor {factor}")
    axes.axvline(0, color="0.7", linewidth=0.8, zorder=0)
    axes.set_yticks(np.arange(columns), labels, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel("loading")
    if factors <= 8:
        axes.legend(fontsize=8, frameon=False)


def _rows(axes: Axes, posterior: "Posterior") -> None:
    mean, _ = posterior.encode(posterior.table.x)
    z = mean.double().cpu().numpy()
    second = z[:, 1] if z.shape[1] > 1 else np.arange(len(z))
    axes.scatter(z[:, 0], second, s=8, alpha=0.6, linewidth=0)
    axes.set(xlabel="factor 0", ylabel="factor 1" if z.shape[1] > 1 else "row")
