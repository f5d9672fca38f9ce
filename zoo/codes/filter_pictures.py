"""The picture of Boltzmann machines, for the report."""

import math
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from .pictures import LEAST, bare

if TYPE_CHECKING:
    from inference import Posterior

SHOWN, ACROSS, LABELLED = 40, 10, 40


def filters(posterior: "Posterior") -> Figure:
    """What each hidden unit looks for: its weights to the visible units, of the forty with the largest, red for more and blue for less.

    Rows that are images, as `code_pictures.codes` tells, show weights as images; other rows as one map, a column to a line.
    """
    weights = posterior.pair.weights.detach().double().cpu().numpy()
    order = np.argsort(-np.linalg.norm(weights, axis=0))[:SHOWN]
    weights, most = weights[:, order], np.abs(weights).max() or 1.0
    side = math.isqrt(len(weights))
    return _images(weights, order, most, side) if side >= LEAST and side * side == len(weights) else _map(posterior, weights, order, most)


def _images(weights: np.ndarray, order: np.ndarray, most: float, side: int) -> Figure:
    lines = math.ceil(len(order) / ACROSS)
    figure = Figure(figsize=(9, 1.0 * lines + 0.3), layout="constrained")
    grid = figure.subplots(lines, ACROSS, squeeze=False).ravel()
    for axes, filter, unit in zip(grid, weights.T, order, strict=False):
        axes.imshow(filter.reshape(side, side), cmap="RdBu_r", vmin=-most, vmax=most)
        axes.set_title(f"unit {unit}", fontsize=7, pad=2)
    for axes in grid:
        bare(axes)
    return figure


def _map(posterior: "Posterior", weights: np.ndarray, order: np.ndarray, most: float) -> Figure:
    figure = Figure(figsize=(7, min(8.0, 1.2 + 0.2 * len(weights))), layout="constrained")
    axes = figure.subplots()
    drawn = axes.imshow(weights, cmap="RdBu_r", vmin=-most, vmax=most, aspect="auto")
    axes.set_xticks(range(len(order)), order, fontsize=7)
    if len(weights) <= LABELLED:
        axes.set_yticks(range(len(weights)), posterior.how["columns"], fontsize=7)
    axes.set(xlabel="hidden unit")
    figure.colorbar(drawn, label="weight")
    return figure
