"""The picture of rows that are made, beside those that were seen."""

import math
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from .pictures import LEAST, SHOWN, bare

if TYPE_CHECKING:
    from inference import Posterior

POINTS = 1000


def made(posterior: "Posterior") -> Figure:
    """Rows as they were seen, and new ones: twenty of each where they are images, or else by their first two columns.

    Those seen are evenly spread over the data; a row is an image where it has as many columns as a square of at least 4 x 4 has pixels.
    """
    x, side = posterior.table.x, math.isqrt(len(posterior.table.columns))
    images = side >= LEAST and side * side == len(posterior.table.columns)
    count = min(len(x), 2 * SHOWN if images else POINTS)
    parts = {"seen": x[np.linspace(0, len(x) - 1, count).round().astype(int)], "new": posterior.generate(count)}
    rows = {name: np.asarray(part, dtype=float) for name, part in parts.items()}
    return _images(rows, side) if images else _scatter(rows, posterior.table.columns)


def _images(rows: dict[str, np.ndarray], side: int) -> Figure:
    across, seen = min(SHOWN, len(rows["seen"])), rows["seen"]
    lines = [(name, part[first : first + across]) for name, part in rows.items() for first in range(0, len(part), across)]
    figure = Figure(figsize=(0.9 * across + 1.2, 1.0 * len(lines)), layout="constrained")
    grid = figure.subplots(len(lines), across, squeeze=False)
    for axes, (name, some) in zip(grid, lines, strict=True):
        for panel in axes:
            bare(panel)
        for panel, row in zip(axes, some, strict=False):
            panel.imshow(row.reshape(side, side), cmap="gray_r", vmin=np.nanmin(seen), vmax=np.nanmax(seen))
        axes[0].set_ylabel(name, fontsize=8)
    return figure


def _scatter(rows: dict[str, np.ndarray], columns: list[str]) -> Figure:
    figure = Figure(figsize=(5, 4.5), layout="constrained")
    axes = figure.subplots()
    for name, part in rows.items():
        second = part[:, 1] if part.shape[1] > 1 else np.linspace(0, 1, len(part))
        axes.scatter(part[:, 0], second, s=8, alpha=0.5, linewidth=0, label=name)
    axes.set(xlabel=columns[0], ylabel=columns[1] if len(columns) > 1 else "place among the rows")
    axes.legend(frameon=False, fontsize=8)
    return figure
