"""The families' own pictures, for the report."""

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse

if TYPE_CHECKING:
    from inference import Posterior

COLUMNS = 4
DRAWS = 20


def components(posterior: "Posterior") -> Figure:
    """A mixture: the rows, coloured by their likeliest component, and the components' ellipses.

    The bold ellipse is at the posterior mean and holds 95% of its component; the faint ones are twenty draws. One column: a
    histogram and the predictive density. More than four columns: the first four.
    """
    x = posterior.table.x.double().cpu().numpy()
    labels = np.asarray(posterior.encode(posterior.table)).argmax(1)
    names, shown = posterior.table.columns, min(x.shape[1], COLUMNS)
    if x.shape[1] == 1:
        return _density(posterior, x[:, 0], names[0])
    figure = Figure(figsize=(3.2 + 1.8 * shown, 2.4 + 1.8 * shown), layout="constrained")
    grid = figure.subplots(shown - 1, shown - 1, squeeze=False)
    for i in range(1, shown):
        for j in range(shown - 1):
            axes = grid[i - 1, j]
            if j >= i:
                axes.set_axis_off()
                continue
            axes.scatter(x[:, j], x[:, i], c=[f"C{k}" for k in labels], s=9, alpha=0.6, linewidths=0)
            _ellipses(axes, posterior, j, i)
            axes.set(xlabel=names[j] if i == shown - 1 else "", ylabel=names[i] if j == 0 else "")
            axes.spines[["top", "right"]].set_visible(False)
    return figure


def _ellipses(axes: Axes, posterior: "Posterior", j: int, i: int) -> None:
    locs = posterior.aligned["locs"].flatten(0, 1).double().cpu().numpy()
    scales = _over_components(posterior, "scales", locs.shape[:2])
    scales = np.broadcast_to(scales[..., None], locs.shape) if scales.ndim == 2 else scales
    correlation = np.zeros(locs.shape[:2])
    if "correlations" in posterior.aligned:
        correlation = _over_components(posterior, "correlations", locs.shape[:2])[..., i * (i - 1) // 2 + j]
    chosen = np.linspace(0, len(locs) - 1, min(DRAWS, len(locs))).astype(int)
    for k in range(locs.shape[1]):
        for draw in [*chosen, None]:
            at = locs[:, k].mean(0) if draw is None else locs[draw, k]
            sd = scales[:, k].mean(0) if draw is None else scales[draw, k]
            r = correlation[:, k].mean() if draw is None else correlation[draw, k]
            width = {"linewidth": 2.0, "alpha": 1.0} if draw is None else {"linewidth": 0.6, "alpha": 0.35}
            axes.add_patch(_ellipse(at[[j, i]], sd[[j, i]], r, edgecolor=f"C{k}", facecolor="none", **width))


def _over_components(posterior: "Posterior", site: str, shape: tuple[int, int]) -> np.ndarray:
    """(draw, component, ...): a site that all components share is repeated."""
    values = posterior.aligned[site].flatten(0, 1).double().cpu().numpy()
    shared = 0 not in [s.axes.get(site) for s in posterior.pair.symmetries]
    return np.broadcast_to(values[:, None], (*shape, *values.shape[1:])) if shared else values


def _ellipse(center: np.ndarray, sd: np.ndarray, r: float, **style: object) -> Ellipse:
    values, vectors = np.linalg.eigh(np.array([[sd[0] ** 2, r * sd[0] * sd[1]], [r * sd[0] * sd[1], sd[1] ** 2]]))
    radius = 2 * np.sqrt(5.991 * values)  # the 95% point of chi-squared with two degrees of freedom
    return Ellipse(center, radius[1], radius[0], angle=np.degrees(np.arctan2(vectors[1, 1], vectors[0, 1])), **style)


def _density(posterior: "Posterior", x: np.ndarray, name: str) -> Figure:
    seen = x[~np.isnan(x)]
    margin = 0.1 * (seen.max() - seen.min())
    grid = np.linspace(seen.min() - margin, seen.max() + margin, 300)
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    axes = figure.subplots()
    axes.hist(seen, bins=40, density=True, color="0.85")
    axes.plot(grid, posterior.score(grid[:, None]).exp().cpu().numpy(), linewidth=2)
    axes.set(xlabel=name, ylabel="density")
    axes.spines[["top", "right"]].set_visible(False)
    return figure
