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
    from inference.covariates import split

    x = posterior.table.x[:SERIES, :STEPS]
    probabilities = posterior.encode(as_table(x)).cpu().numpy()
    values = split(posterior.pair, x)[0].reshape(*x.shape[:2], -1).double().cpu().numpy()
    figure = Figure(figsize=(9, 2.6 * len(values)), layout="constrained")
    grid = figure.subplots(2 * len(values), 1, squeeze=False, sharex=True, height_ratios=(3, 1) * len(values))[:, 0]
    for n, (series, bands) in enumerate(zip(values, probabilities, strict=True)):
        _series(grid[2 * n], series, bands.argmax(1), _name(posterior, n))
        _bands(grid[2 * n + 1], bands)
    _steps(grid[-1], posterior.table.columns[: x.shape[1]])
    return figure


def chains(posterior: "Posterior") -> Figure:
    """The first series, their steps coloured by the likeliest state of the first chain; below each, the states of every chain as bands.

    Of four series the first 2000 steps are shown.
    """
    from inference import as_table

    x = posterior.table.x[:SERIES, :STEPS]
    probabilities = posterior.encode(as_table(x)).cpu().numpy()
    values, count = x.reshape(*x.shape[:2], -1).double().cpu().numpy(), probabilities.shape[2]
    figure = Figure(figsize=(9, (2 + 0.7 * count) * len(values)), layout="constrained")
    ratios = (3, *[1] * count) * len(values)
    grid = figure.subplots(len(ratios), 1, squeeze=False, sharex=True, height_ratios=ratios)[:, 0].reshape(len(values), 1 + count)
    for n, (first, *others) in enumerate(grid):
        _series(first, values[n], probabilities[n, :, 0].argmax(1), _name(posterior, n))
        for m, axes in enumerate(others):
            _bands(axes, probabilities[n, :, m])
            axes.set_ylabel(f"chain {m}")
    _steps(grid[-1, -1], posterior.table.columns[: x.shape[1]])
    return figure


def _name(posterior: "Posterior", series: int) -> str:
    """What a series is called beside others."""
    return str(posterior.table.index[series]) if len(posterior.table) > 1 else ""


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


def numbers(posterior: "Posterior") -> Figure:
    """The first series and, as lines, what their states make of them; below each, the means of the states with a band of two sds.

    Of four series the first 2000 steps are shown.
    """
    from inference import as_table

    x = posterior.table.x[:SERIES, :STEPS]
    found, signal = posterior.encode(as_table(x)), posterior.reconstruct(as_table(x))
    figure = Figure(figsize=(9, 3.2 * len(x)), layout="constrained")
    grid = figure.subplots(2 * len(x), 1, squeeze=False, sharex=True, height_ratios=(3, 2) * len(x))[:, 0]
    for n, axes in enumerate(grid[::2]):
        _signal(axes, *(v[n].reshape(x.shape[1], -1).cpu().numpy() for v in (x, signal)), _name(posterior, n))
        _states(grid[2 * n + 1], *(moment[n].cpu().numpy() for moment in found))
    _steps(grid[-1], posterior.table.columns[: x.shape[1]])
    return figure


def _signal(axes: Axes, series: np.ndarray, signal: np.ndarray, name: str) -> None:
    for column in range(series.shape[1]):
        axes.scatter(np.arange(len(series)), series[:, column], color=f"C{column}", s=9, linewidths=0)
        axes.plot(signal[:, column], color=f"C{column}", linewidth=1)
    axes.set_ylabel(name, rotation=0, ha="right")
    axes.spines[["top", "right"]].set_visible(False)


def _states(axes: Axes, mean: np.ndarray, sd: np.ndarray) -> None:
    for k in range(mean.shape[1]):
        axes.plot(mean[:, k], color=f"C{k}", linewidth=1)
        axes.fill_between(np.arange(len(mean)), mean[:, k] - 2 * sd[:, k], mean[:, k] + 2 * sd[:, k], color=f"C{k}", alpha=0.2, linewidth=0)
    axes.set(ylabel="states")
    axes.spines[["top", "right"]].set_visible(False)


def _steps(axes: Axes, names: list[str]) -> None:
    marked = np.linspace(0, len(names) - 1, min(8, len(names))).astype(int)
    axes.set_xticks(marked, [names[t] for t in marked])
