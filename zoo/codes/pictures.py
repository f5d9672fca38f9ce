"""The picture of autoencoders, for the report."""

import math
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from inference import Posterior

SHOWN, LEAST, SCATTERED = 10, 4, 2000


def codes(posterior: "Posterior") -> Figure:
    """Rows that are images: some as they are, the same through their codes, and new ones if any. Other rows: by their first two codes.

    Ten rows, evenly spread over the data; a row is an image where it has as many columns as a square of at least 4 x 4 has pixels,
    and its columns are no codes of categories.
    """
    side = math.isqrt(posterior.pair.dim)
    images = side >= LEAST and side * side == posterior.pair.dim
    return _images(posterior, side) if images and posterior.pair.has_shades else _scatter(posterior)


def _images(posterior: "Posterior", side: int) -> Figure:
    from inference.covariates import new_like

    x = posterior.table.x
    some = x[np.linspace(0, len(x) - 1, min(SHOWN, len(x))).round().astype(int)]
    lines = {"seen": some, "through its code": posterior.reconstruct(some)}
    if "generate" not in posterior.pair.unsuited:
        lines["new"] = new_like(posterior, some)
    figure = Figure(figsize=(0.9 * len(some) + 1.2, 1.0 * len(lines)), layout="constrained")
    grid = figure.subplots(len(lines), len(some), squeeze=False)
    for axes, (name, rows) in zip(grid, lines.items(), strict=True):
        for panel, row in zip(axes, np.asarray(rows, dtype=float), strict=True):
            panel.imshow(row[: side * side].reshape(side, side), cmap="gray_r", vmin=np.nanmin(x), vmax=np.nanmax(x[:, : side * side]))
            bare(panel)
        axes[0].set_ylabel(name, fontsize=8)
    return figure


def _scatter(posterior: "Posterior") -> Figure:
    x = posterior.table.x
    found = posterior.encode(x[np.linspace(0, len(x) - 1, min(SCATTERED, len(x))).round().astype(int)])
    mean, _ = found["z"] if isinstance(found, dict) else found
    z = mean.double().cpu().numpy()
    second = z[:, 1] if z.shape[1] > 1 else np.arange(len(z))
    figure = Figure(figsize=(5, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.scatter(z[:, 0], second, s=8, alpha=0.6, linewidth=0)
    axes.set(xlabel="code 0", ylabel="code 1" if z.shape[1] > 1 else "row")
    return figure


def bare(axes: Axes) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
