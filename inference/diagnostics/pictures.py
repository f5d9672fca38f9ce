"""The pictures of a report: which there are for which posterior."""

import inspect
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from . import chain_pictures, guide_pictures, predictive_picture

if TYPE_CHECKING:
    from ..posterior import Posterior
    from .report import Report

SHOWN = 12


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
            reading = " ".join((inspect.getdoc(posterior.pair.picture) or "").partition("\n\n")[0].split())
            yield Picture("The data and the model", reading, posterior.pair.picture(posterior))
        yield _predictive(posterior)
    if "loss" in posterior.stats:
        yield Picture("Loss", guide_pictures.LOSS, guide_pictures.loss_curve(posterior))
    if sound and {"lp", "log_q"} <= set(posterior.stats) and posterior.shape[1] >= 100:
        yield Picture("The guide beside the posterior", guide_pictures.RATIOS, guide_pictures.ratios(posterior))
    if sound and posterior.shape[1] > 1:
        yield from _of_draws(report)


def _predictive(posterior: "Posterior") -> Picture:
    try:
        return Picture("Predictive check", predictive_picture.READING, predictive_picture.overlay(posterior))
    except (TypeError, NotImplementedError) as error:
        return Picture("Predictive check", f"Not drawn. {error}", None)


def _of_draws(report: "Report") -> Iterator[Picture]:
    posterior, labels = report.posterior, worst(report.table)[:SHOWN]
    shown = f" {len(labels)} of {len(report.table)} parameters" if len(report.table) > SHOWN else ""
    if "rhat" not in report.table and posterior.how["method"] == "svi":
        yield Picture("Draws", guide_pictures.MARGINALS + (shown and f"{shown}."), guide_pictures.marginals(posterior, labels))
        return
    yield Picture("Draws", chain_pictures.DRAWS + (shown and f"{shown}, by R-hat."), chain_pictures.draws(posterior, labels))
    if "energy" in posterior.stats:
        yield Picture("Energy", chain_pictures.ENERGY, chain_pictures.energy(posterior))
    if "diverging" in posterior.stats and posterior.stats["diverging"].any() and len(labels) > 1:
        yield Picture("Divergences", chain_pictures.PLACES, chain_pictures.divergences(posterior, labels))


def worst(table: pd.DataFrame) -> list[str]:
    """The parameters by R-hat, the largest first (none at all is worse still), or as they come where it was not computed."""
    return list(table["rhat"].fillna(np.inf).sort_values(ascending=False, kind="stable").index if "rhat" in table else table.index)
