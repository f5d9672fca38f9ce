"""What is found on the normaliser of an undirected pair, and on whether its rows are where its mass is."""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch

from ..amortised import log_weight
from ..answers.decoding import as_tensor
from ..program import Program
from ..run import seeded
from ..undirected.annealing import Annealing
from ..undirected.gibbs import Coupled
from .findings import Finding

if TYPE_CHECKING:
    from ..posterior import Posterior

ROWS = 500
# Nats that log Z may be unsure by; and how far, in spreads of the drawn rows' densities, those fitted may lie off. The least spread.
WIDE, FAR, OFF, LEAST = 1.0, 3.0, 1.0, 1e-3
# Of what a fit's start says of a row, in nats: what gains less has learnt next to nothing.
LITTLE = 0.01


def normaliser(posterior: "Posterior", table: pd.DataFrame) -> Iterator[Finding]:
    """How well log Z is known, and whether the rows fitted are as likely as those that the model draws; nothing for other pairs."""
    if not posterior.pair.undirected:
        return
    known = posterior.how.get("normaliser")
    if known is None:
        yield Finding("normaliser", "warning", "not known, so that densities are off by a constant.", "Call posterior.normalised().")
    else:
        yield _known(known)
    if posterior.table is not None and len(posterior.table) > 1:
        yield _gap(posterior)
        yield _beside_start(posterior)


def _known(known: dict) -> Finding:
    text = f"log Z = {known['log_z']:.2f}"
    if "effective" not in known:
        return Finding("normaliser", "good", f"{text}, by {known['by']}.")
    text += f" ({known['low']:.2f} to {known['high']:.2f}) by {known['by']} there and back, "
    text += f"{known['effective']:.0f} of {known['chains']} chains' worth."
    if known["high"] - known["low"] > WIDE:
        return Finding("normaliser", "warning", text, f"Densities are no surer: call posterior.normalised(places={10 * known['places']}).")
    return Finding("normaliser", "good", text)


def _gap(posterior: "Posterior") -> Finding:
    """Mean log densities beside each other, in which the normaliser cancels; drawn rows are given the holes of those fitted."""
    rows = posterior.table
    some = rows.some(np.linspace(0, len(rows) - 1, min(ROWS, len(rows))).round().astype(int))
    drawn = as_tensor(posterior.generate(len(some)), some.x).masked_fill(some.x.isnan(), math.nan)
    seen, new = (posterior.score(x).double() for x in (some, replace(some, x=drawn)))
    gap, spread = float(new.mean() - seen.mean()), float(new.std().clamp(min=LEAST))
    text = f"rows fitted have {seen.mean():.2f} nats each, and rows that the model draws {new.mean():.2f} +- {spread:.2g}"
    if abs(gap) > FAR * spread:
        advice = "Contrastive divergence has diverged, its chains left behind: lower lr, more sweeps, more weight decay."
        return Finding("mass", "failure", f"{text}: its mass is where the rows are not.", advice)
    if abs(gap) > OFF * spread:
        return Finding("mass", "warning", f"{text}, which is not much alike.", "Try a lower lr, more sweeps or more steps.")
    return Finding("mass", "good", f"{text}.")


def _beside_start(posterior: "Posterior") -> Finding:
    """Whether the rows fitted are likelier than where the fit set out from, which takes the columns each by itself."""
    x = posterior.table.x.to(posterior.device)
    some = np.linspace(0, len(x) - 1, min(ROWS, len(x))).round().astype(int)
    with torch.no_grad(), seeded(0, x.device):
        pair = type(posterior.pair)(**posterior.pair.hyperparameters).to(x)
        pair.start(x)
        _, mass = Annealing(Program(pair, x[:1].nan_to_num()), 2, 2).independent()
        _, alone = Coupled(pair).at(x.new_zeros(()), log_weight, Program(pair, x[some]), {}, x[some])
    begun = alone.double() - mass
    gained = float((posterior.score(posterior.table.some(some)).double() - begun).mean())
    text = f"rows fitted gain {gained:.2f} nats each on where the fit set out from, which takes columns each by itself"
    if gained < LITTLE * begun.abs().mean():
        advice = "The fit has diverged, or hardly begun, or columns have nothing to do with each other: try a lower lr, then more steps."
        return Finding("beside the start", "warning", f"{text}: next to nothing.", advice)
    return Finding("beside the start", "good", f"{text}.")
