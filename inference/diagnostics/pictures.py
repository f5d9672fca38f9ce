"""The pictures of a report: which there are for which posterior."""

import inspect
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from ..answers.predictive import some_rows
from ..program import Program
from . import chain_pictures, guide_pictures, predictive_picture
from .khat import has_ratios
from .rows import LEAST
from .table import SHOWN, worst

if TYPE_CHECKING:
    from ..posterior import Posterior
    from .report import Report


class Picture(NamedTuple):
    """caption: its heading. reading: how to read it, in a sentence, or why it is not there."""

    caption: str
    reading: str
    figure: Figure | None


def pictures(report: "Report") -> Iterator[Picture]:
    """The pictures of a report in order. Where draws are not finite there is nothing to draw."""
    posterior = report.posterior
    sound = bool(np.isfinite(report.table["mean"]).all())
    if sound and posterior.table is not None:
        if posterior.pair.picture is not None:
            yield _family(posterior)
        yield _predictive(posterior)
    if "loss" in posterior.stats and posterior.stats["loss"].dim() == 1:
        yield Picture("Loss", guide_pictures.LOSS, guide_pictures.loss_curve(posterior))
    if sound and has_ratios(posterior) and math.prod(posterior.shape) >= LEAST:
        yield Picture("The guide beside the posterior", guide_pictures.RATIOS, guide_pictures.ratios(posterior))
    if sound and posterior.shape[1] > 1 and len(report.table):
        yield from _of_draws(report)


def _family(posterior: "Posterior") -> Picture:
    """The pair's own picture, which may ask for any site of the model, those that it derives too."""
    caption = "The data and the model"
    lacking = [name for name, site in Program(posterior.pair, some_rows(posterior)[:1]).derived.items() if not site.local]
    lacking = [name for name in lacking if name not in posterior.draws]
    if lacking:
        return Picture(caption, f"Not drawn: there are no draws of {lacking[0]!r}, which the model derives from others.", None)
    reading = " ".join((inspect.getdoc(posterior.pair.picture) or "").partition("\n\n")[0].split())
    return Picture(caption, reading, posterior.pair.picture(posterior))


def _predictive(posterior: "Posterior") -> Picture:
    try:
        return Picture("Predictive check", predictive_picture.READING, predictive_picture.overlay(posterior))
    except TypeError as error:
        return Picture("Predictive check", f"Not drawn. {error}", None)


def _of_draws(report: "Report") -> Iterator[Picture]:
    posterior, labels = report.posterior, worst(report.table)[:SHOWN]
    shown = f" {len(labels)} of {len(report.table)} parameters" if len(report.table) > SHOWN else ""
    if "rhat" not in report.table and posterior.how.get("method") == "svi":
        yield Picture("Draws", guide_pictures.MARGINALS + (shown and f"{shown}."), guide_pictures.marginals(posterior, labels))
        return
    yield Picture("Draws", chain_pictures.DRAWS + (shown and f"{shown}, by R-hat."), chain_pictures.draws(posterior, labels))
    stats = posterior.by_draw
    if "energy" in stats:
        yield Picture("Energy", chain_pictures.ENERGY, chain_pictures.energy(posterior))
    if "diverging" in stats and stats["diverging"].any() and len(labels) > 1:
        yield Picture("Divergences", chain_pictures.PLACES, chain_pictures.divergences(posterior, labels))
