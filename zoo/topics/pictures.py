"""The picture of topic models, for the report."""

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from scipy.spatial.distance import pdist, squareform

if TYPE_CHECKING:
    from inference import Posterior

SHOWN, WORDS, ACROSS = 11, 8, 4


def topics(posterior: "Posterior") -> Figure:
    """Topics on a map, near where they use like words, as large as their share of the texts; then the first words of the largest.

    The map is that of classical scaling of Jensen-Shannon distances; bars are mean probabilities, with a line of one sd to each side.
    """
    mean = posterior.mean("topics")
    share = _shares(posterior, len(mean))
    first = np.argsort(-share, kind="stable")[:SHOWN]
    rows = -(-(len(first) + 1) // ACROSS)
    figure = Figure(figsize=(11, 2.3 * rows), layout="constrained")
    panels = figure.subplots(rows, ACROSS, squeeze=False).ravel()
    _map(panels[0], mean, share)
    table = posterior.topics(WORDS)
    for panel, topic in zip(panels[1:], first, strict=False):
        words = table.loc[topic].iloc[::-1]
        panel.barh(words["word"], words["probability"], xerr=words["sd"], color=f"C{topic % 10}", error_kw={"elinewidth": 0.8})
        panel.set_title(f"topic {topic}: {share[topic]:.1%}", fontsize=8)
        panel.tick_params(labelsize=7)
        panel.xaxis.set_major_locator(MaxNLocator(4))
        panel.spines[["top", "right"]].set_visible(False)
    for panel in panels[len(first) + 1 :]:
        panel.set_axis_off()
    return figure


def _shares(posterior: "Posterior", count: int) -> np.ndarray:
    """(topic,) the mean mixture of the texts fitted."""
    mean, _ = posterior.encode(posterior.table)
    return np.asarray(mean, dtype=float).mean(0)


def _map(axes: Axes, mean: np.ndarray, share: np.ndarray) -> None:
    """Topics at their places by classical scaling."""
    squares = squareform(pdist(mean, "jensenshannon")) ** 2
    inner = -0.5 * (squares - squares.mean(0) - squares.mean(1)[:, None] + squares.mean())
    values, vectors = np.linalg.eigh(inner)
    places = (vectors * np.sqrt(np.clip(values, 0, None)))[:, ::-1]
    x, y = places[:, 0], places[:, 1] if len(mean) > 2 else np.zeros(len(mean))
    axes.scatter(x, y, s=1500 * share, c=[f"C{k % 10}" for k in range(len(mean))], alpha=0.5, linewidth=0)
    for topic, place in enumerate(zip(x, y, strict=True)):
        axes.annotate(str(topic), place, ha="center", va="center", fontsize=7)
    axes.set(xticks=[], yticks=[])
    axes.set_title("topics", fontsize=8)
    axes.margins(0.2)
