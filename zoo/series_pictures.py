"""The picture of series with hidden states, for the report."""

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from inference import Posterior

SERIES, STEPS = 4, 2000


def states(posterior: "Posterior") -> Figure:
    """The first series, their steps coloured by the likeliest state; below each, the probabilities of the states as bands.

    Of four series the first 2000 steps are shown.
    """
    from inference import as_table

    x = posterior.table.x[:SERIES, :STEPS]
    probabilities = posterior.encode(as_table(x)).cpu().numpy()
    values = x.reshape(*x.shape[:2], -1).double().cpu().numpy()
    figure = Figure(figsize=(9, 2.6 * len(values)), layout="constrained")
    grid = figure.subplots(2 * len(values), 1, squeeze=False, sharex=True, height_ratios=(3, 1) * len(values))[:, 0]
    for n, (series, bands) in enumerate(zip(values, probabilities, strict=True)):
        _series(grid[2 * n], series, bands.argmax(1), str(posterior.table.index[n]))
        _bands(grid[2 * n + 1], bands)
    marked = np.linspace(0, x.shape[1] - 1, min(8, x.shape[1])).astype(int)
    grid[-1].set_xticks(marked, [posterior.table.columns[t] for t in marked])
    return figure


def _series(axes: Axes, series: np.ndarray, states: np.ndarray, name: str) -> None:
    steps = np.arange(len(series))
    for column in series.T:
        axes.plot(steps, column, color="0.8", linewidth=0.8, zorder=1)
        axes.scatter(steps, column, c=[f"C{k}" for k in states], s=9, linewidths=0, zorder=2)
    axes.set_ylabel(name, rotation=0, ha="right")
    axes.spines[["top", "right"]].set_visible(False)


def _bands(axes: Axes, bands: np.ndarray) -> None:
    colours = [f"C{k}" for k in range(bands.shape[1])]
    axes.stackplot(np.arange(len(bands)), bands.T, colors=colours, linewidth=0, step="mid")
    axes.set(ylim=(0, 1), yticks=[0, 1], ylabel="state")
    axes.spines[["top", "right"]].set_visible(False)
