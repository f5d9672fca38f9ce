"""`make front`: the picture that the README opens with, three families' own pictures of posteriors that come with the zoo."""

from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import zoo

FILE = Path(__file__).parent.parent / "notebooks" / "front.png"
# Where each stands in a grid of two by two.
PLACES = {"gmm/faithful": np.s_[:, 0], "hmm/earthquakes": np.s_[0, 1], "vae/digits": np.s_[1, 1]}


def main() -> None:
    """Draw each, and put them side by side."""
    whole = Figure(figsize=(13, 5), layout="constrained")
    grid = whole.add_gridspec(2, 2, width_ratios=(5, 8))
    for name, place in PLACES.items():
        axes = whole.add_subplot(grid[place])
        axes.imshow(_drawn(name))
        axes.set_title(f'zoo.load_pretrained("{name}")', family="monospace", fontsize=11)
        axes.set_axis_off()
    whole.savefig(FILE, dpi=110, metadata={"Software": None})


def _drawn(name: str) -> np.ndarray:
    """(height, width, 4) the family's picture of a posterior."""
    posterior = zoo.load_pretrained(name)
    canvas = FigureCanvasAgg(posterior.pair.picture(posterior))
    canvas.figure.set_dpi(160)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())


if __name__ == "__main__":
    main()
