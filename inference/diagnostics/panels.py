"""What all pictures have in common: panels side by side, with small print and no frame."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure


def panels(count: int, across: int, width: float, height: float, **shared: Any) -> tuple[Figure, list[Axes]]:
    """A figure of `count` panels, at most `across` in a row, each of this width and height in inches."""
    across = min(across, count)
    down = -(-count // across)
    figure = Figure(figsize=(width * across, height * down), layout="constrained")
    places = list(figure.subplots(down, across, squeeze=False, **shared).ravel())
    for axes in places[count:]:
        axes.remove()
    for axes in places[:count]:
        bare(axes)
    return figure, places[:count]


def bare(axes: Axes, heights: bool = True) -> None:
    """Small print, and no frame but the axes; none on the left where `heights` mean nothing."""
    axes.tick_params(labelsize=7)
    axes.xaxis.label.set_size(8)
    axes.yaxis.label.set_size(8)
    axes.spines[["top", "right"]].set_visible(False)
    if not heights:
        axes.spines["left"].set_visible(False)
        axes.set_yticks([])
