"""The picture of a calibration: how far the ranks' distribution function is from that of uniform ranks."""

from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from ..panels import panels

if TYPE_CHECKING:
    from .calibration import Calibration

ACROSS = 4


def differences(calibration: "Calibration", confidence: float) -> Figure:
    """For each quantity the share of ranks below each place, less what is expected; calibrated, the line stays in its band.

    The bands hold for all lines at once with the probability `confidence`. A line that rises and then falls: too many low ranks,
    the draws are too high. One that falls first: they are too low. Up and then down through zero: too narrow. The reverse: too wide.
    """
    test, labels = calibration.uniformity, list(calibration.ranks)
    low, high = test.band(1 - (1 - confidence) / len(labels))
    figure, grid = panels(len(labels), ACROSS, 2.6, 1.9, sharex=True, sharey=True)
    for label, axes in zip(labels, grid, strict=True):
        share = test.below(calibration.ranks[label][:, None])[0] / test.simulations
        outside = bool(((share < low - 1e-9) | (share > high + 1e-9)).any())
        axes.fill_between(test.points, low - test.points, high - test.points, color="0.88", linewidth=0)
        axes.plot(test.points, share - test.points, color="C3" if outside else "C0", linewidth=1.2)
        axes.set_title(label, fontsize=8)
    figure.supxlabel("rank of the truth among the draws", fontsize=8)
    figure.supylabel("share below, less expected", fontsize=8)
    return figure
