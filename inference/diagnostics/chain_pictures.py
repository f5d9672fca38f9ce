"""Pictures of draws: traces, ranks, energy, and where trajectories diverged."""

from typing import TYPE_CHECKING

import arviz_stats
import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from scipy.special import kolmogi
from scipy.stats import rankdata

from .convergence import ess_mean
from .convert import drawn
from .panels import bare, panels

if TYPE_CHECKING:
    from ..posterior import Posterior

POINTS, GRID, PAIRED, WIDE, RED = 20_000, 100, 3, 9.5, "#d62728"
DRAWS = (
    "A line a chain. Left, the distribution of its draws; middle, the draws in order, with a red tick where a trajectory diverged; "
    "right, how its ranks among all chains' draws depart from even: chains that agree stay in the grey band, 95 times in 100."
)
ENERGY = "Where a transition changes the energy (blue) much less than it varies in all (grey), the tails are explored slowly."
PLACES = "Draws at which a trajectory diverged, in red: where they crowd, the posterior is too curved for the step size."


def draws(posterior: "Posterior", labels: list[str]) -> Figure:
    """For each of the parameters `labels`: each chain's distribution, trace and ranks."""
    values = np.moveaxis(drawn(posterior, labels).numpy(), 2, 0)
    ranked = values.shape[2] >= 4
    height, beside = 0.5 + 1.05 * len(labels), min(0.3, (0.1 + 0.068 * max(map(len, labels))) / WIDE)
    figure = Figure(figsize=(WIDE, height))
    # By hand: matplotlib would measure every label of every axis, which takes longer than to draw them.
    margins = {"left": beside, "right": 0.99, "bottom": 0.25 / height, "top": 1 - 0.25 / height, "hspace": 0.45, "wspace": 0.22}
    widths = (1, 2, 1.2) if ranked else (1, 2.4)
    grid = figure.subplots(len(labels), len(widths), squeeze=False, width_ratios=widths, gridspec_kw=margins)
    colors = _colors(values.shape[1])
    bad = posterior.stats["diverging"].bool().any(0).nonzero().flatten().cpu().numpy() if "diverging" in posterior.by_draw else []
    for label, chains, axes in zip(labels, values, grid, strict=True):
        _marginals(axes[0], chains, colors)
        axes[0].set_ylabel(label, rotation=0, ha="right", va="center", fontsize=8)
        _trace(axes[1], chains, colors, bad)
        if ranked:
            _ranks(axes[2], chains, colors)
    for axes, title in zip(grid[0], ("distribution", "draws in order", "ranks"), strict=False):
        axes.set_title(title, fontsize=8, color="0.4")
    for axes in grid[:-1, 1:].ravel():
        axes.set_xticks([])
    return figure


def energy(posterior: "Posterior") -> Figure:
    """The energy's marginal distribution and that of its change in a transition, about their means."""
    values = posterior.stats["energy"].double().cpu().numpy()
    values = values[:, np.isfinite(values).all(0)]
    figure, (axes,) = panels(1, 1, 5.5, 2.6)
    change, around = np.diff(values, axis=1).ravel(), (values - values.mean()).ravel()
    edges = np.histogram_bin_edges(np.concatenate([around, change]), bins=60)
    axes.hist(around, edges, density=True, color="0.75", label="energy")
    axes.hist(change, edges, density=True, histtype="step", color="C0", linewidth=1.6, label="change in a transition")
    with np.errstate(all="ignore"):  # chains that stand still have no energy to compare; the findings say that they do
        axes.set_title(f"E-BFMI {np.min(arviz_stats.bfmi(values)):.2f}, the least of the chains", fontsize=9)
    axes.legend(frameon=False, fontsize=8)
    return figure


def divergences(posterior: "Posterior", labels: list[str]) -> Figure:
    """Pairs of the parameters among `labels` in which diverging draws stand furthest from the others."""
    values = drawn(posterior, labels).flatten(0, 1).numpy()
    bad = posterior.stats["diverging"].bool().flatten().cpu().numpy()
    apart = np.abs(values[bad].mean(0) - values.mean(0)) / np.maximum(values.std(0), np.finfo(float).tiny)
    chosen = np.argsort(-apart)[:PAIRED]
    some = np.flatnonzero(~bad)[:: max(1, len(bad) // 2000)]
    pairs = [(i, j) for n, i in enumerate(chosen) for j in chosen[:n]]
    figure, grid = panels(len(pairs), len(pairs), 3.1, 2.8)
    for axes, (i, j) in zip(grid, pairs, strict=True):
        axes.scatter(values[some, j], values[some, i], s=4, color="0.7", linewidths=0)
        axes.scatter(values[bad, j], values[bad, i], s=10, color=RED, linewidths=0)
        axes.set_xlabel(labels[j], fontsize=8)
        axes.set_ylabel(labels[i], fontsize=8)
    return figure


def _marginals(axes: Axes, chains: np.ndarray, colors: np.ndarray) -> None:
    edges = np.histogram_bin_edges(chains, bins=40)
    heights = np.stack([np.histogram(chain, edges, density=True)[0] for chain in chains])
    steps = np.stack([np.repeat(edges, 2)[1:-1][None].repeat(len(chains), 0), np.repeat(heights, 2, axis=1)], -1)
    axes.add_collection(LineCollection(steps, colors=colors, linewidths=0.9, alpha=_alpha(len(chains))))
    axes.set(xlim=(edges[0], edges[-1]), ylim=(0, 1.05 * heights.max()), yticks=[])
    bare(axes)


def _trace(axes: Axes, chains: np.ndarray, colors: np.ndarray, diverging: np.ndarray) -> None:
    step = max(1, chains.size // POINTS)
    at = np.arange(0, chains.shape[1], step)
    lines = np.stack([np.broadcast_to(at, (len(chains), len(at))), chains[:, ::step]], -1)
    axes.add_collection(LineCollection(lines, colors=colors, linewidths=0.45, alpha=_alpha(len(chains))))
    low, high = chains.min(), chains.max()
    room = 0.05 * (high - low) or 1.0
    axes.set(xlim=(0, chains.shape[1] - 1), ylim=(low - 2 * room, high + room))
    axes.plot(diverging, np.full(len(diverging), low - 1.2 * room), "|", color=RED, markersize=6, markeredgewidth=1.2)
    bare(axes)


def _ranks(axes: Axes, chains: np.ndarray, colors: np.ndarray) -> None:
    """Each chain's distribution function of its ranks, less the even one. One chain is held against itself, half by half.

    The band is Kolmogorov's for as many effective draws as a chain by itself has, with Bonferroni's correction for the number of
    chains. Source of the picture: Saeilynoja, Buerkner & Vehtari 2022, "Graphical test for discrete uniformity and its
    applications in goodness-of-fit evaluation and multiple sample comparison", Statistics and Computing 32.
    """
    if len(chains) == 1:
        half = chains.shape[1] // 2
        chains, colors = chains[0, : 2 * half].reshape(2, half), _colors(2)
    count, length = chains.shape
    place = np.minimum((rankdata(chains).reshape(chains.shape) - 0.5) / chains.size * GRID, GRID - 1).astype(int)
    cells = np.bincount((place + GRID * np.arange(count)[:, None]).ravel(), minlength=count * GRID).reshape(count, GRID)
    at = np.arange(1, GRID + 1) / GRID
    lines = np.stack([np.broadcast_to(at, (count, GRID)), cells.cumsum(1) / length - at], -1)
    with np.errstate(all="ignore"):  # a chain that stands still has no effective draws to count
        within = ess_mean(chains.T[None])
    effective = np.clip(np.nan_to_num(within, nan=1.0), 1.0, length).mean()
    width = kolmogi(0.05 / count) * np.sqrt((1 - 1 / count) / effective)
    axes.axhspan(-width, width, color="0.9")
    axes.add_collection(LineCollection(lines, colors=colors, linewidths=0.8, alpha=_alpha(count)))
    most = max(1.6 * width, 1.1 * np.abs(lines[..., 1]).max())
    axes.set(xlim=(0, 1), ylim=(-most, most))
    bare(axes)


def _colors(count: int) -> np.ndarray:
    """A colour for each chain: matplotlib's own while they can be told apart."""
    if count <= 10:
        return matplotlib.colormaps["tab10"](np.arange(count))
    return matplotlib.colormaps["viridis"](np.linspace(0, 0.95, count))


def _alpha(count: int) -> float:
    return 1.0 if count <= 10 else 0.5
