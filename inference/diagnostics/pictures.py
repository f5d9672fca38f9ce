"""Pictures that every posterior has."""

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from .convert import labelled

if TYPE_CHECKING:
    from ..posterior import Posterior

SHOWN = 12


def loss_curve(posterior: "Posterior") -> Figure:
    """The loss at every step, and its running mean over 50 steps; the axis shows where it settled, not where it began."""
    loss = posterior.stats["loss"].double().cpu().numpy()
    figure = Figure(figsize=(9, 2.8))
    axes = figure.subplots()
    axes.plot(loss, color="0.8", linewidth=0.6)
    if len(loss) >= 50:
        axes.plot(np.arange(49, len(loss)), np.convolve(loss, np.ones(50) / 50, "valid"), color="C0")
    low, high = np.quantile(loss[len(loss) // 10 :], [0.0, 0.98])
    axes.set(xlabel="step", ylabel="loss", ylim=(low - 0.1 * (high - low + 1e-9), high + 0.5 * (high - low + 1e-9)))
    return figure


def traces(posterior: "Posterior") -> Figure:
    """For the first parameters: the distribution of each chain's draws, and the draws in order."""
    labels, draws = labelled(posterior)
    array = draws.numpy()[..., :SHOWN]
    figure = Figure(figsize=(9, 1.15 * array.shape[2]), layout="constrained")
    grid = figure.subplots(array.shape[2], 2, squeeze=False, width_ratios=(1, 2.4))
    for label, values, (left, right) in zip(labels, np.moveaxis(array, 2, 0), grid, strict=False):
        edges = np.histogram_bin_edges(values, bins=40)
        for chain in values:
            left.hist(chain, edges, histtype="step", density=True, linewidth=0.9)
            right.plot(chain, linewidth=0.4)
        left.set_yticks([])
        left.set_ylabel(label, rotation=0, ha="right", va="center", fontsize=8)
        for axes in (left, right):
            axes.tick_params(labelsize=7)
            axes.spines[["top", "right"]].set_visible(False)
    return figure
