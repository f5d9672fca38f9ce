"""Pictures of a fit by steps: its loss, and how its guide stands beside the posterior."""

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from .convert import drawn
from .khat import in_words, khat, log_ratios
from .panels import panels

if TYPE_CHECKING:
    from ..posterior import Posterior

LOSS = "The loss of every step, and its mean over 50 steps."
RATIOS = (
    "Left, by how much a draw's density under the posterior differs from that under the guide: one narrow peak is a good guide. "
    "Right, the share of the whole importance that the most important draws have: where a few have most of it, the guide misses a tail."
)
MARGINALS = "The distribution of the guide's draws."
ACROSS = 4


def loss_curve(posterior: "Posterior") -> Figure:
    """The loss at every step, and its running mean over 50 steps; the axis shows where it settled, not where it began."""
    loss = posterior.stats["loss"].double().cpu().numpy()
    figure, (axes,) = panels(1, 1, 9, 2.6)
    axes.plot(loss, color="0.8", linewidth=0.6)
    if len(loss) >= 50:
        axes.plot(np.arange(49, len(loss)), np.convolve(loss, np.ones(50) / 50, "valid"), color="C0")
    axes.set(xlabel="step", ylabel="loss")
    settled = loss[len(loss) // 10 :][np.isfinite(loss[len(loss) // 10 :])]
    if len(settled):
        low, high = np.quantile(settled, [0.0, 0.98])
        axes.set_ylim(low - 0.1 * (high - low + 1e-9), high + 0.5 * (high - low + 1e-9))
    return figure


def ratios(posterior: "Posterior") -> Figure:
    """The log importance ratios of the guide's draws, and the share of all importance that the largest have."""
    logs = log_ratios(posterior)
    logs = logs[np.isfinite(logs)]
    figure, (left, right) = panels(2, 2, 4.5, 2.6)
    left.hist(logs - np.median(logs), bins=50, color="C0")
    left.set(xlabel="log posterior - log guide, about its median (nats)", ylabel="draws")
    weights = np.sort(np.exp(logs - logs.max()))[::-1]
    rank = np.arange(1, len(logs) + 1)
    right.semilogx(rank, weights.cumsum() / weights.sum(), color="C0", linewidth=1.6, label=f"k-hat {in_words(khat(posterior))}")
    right.semilogx(rank, rank / len(logs), "k:", linewidth=1.0, label="all of equal importance")
    right.set(xlabel="the most important draws", ylabel="share of the whole")
    right.legend(frameon=False, fontsize=8)
    return figure


def marginals(posterior: "Posterior", labels: list[str]) -> Figure:
    """The distribution of the draws of each of the parameters `labels`."""
    values = drawn(posterior, labels).flatten(0, 1).numpy()
    figure, grid = panels(len(labels), ACROSS, 9 / min(ACROSS, len(labels)), 1.5)
    for axes, label, column in zip(grid, labels, values.T, strict=True):
        axes.hist(column, bins=40, histtype="stepfilled", color="C0")
        axes.set_xlabel(label, fontsize=8)
        axes.set_yticks([])
    return figure
