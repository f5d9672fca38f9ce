"""What is found on draws from a guide, and on a point."""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from .codes import codes
from .findings import Finding, not_finite, stuck
from .khat import GROUP, bound, gap, has_ratios, in_words, khat, trusted_up_to
from .reweigh import worth
from .rows import LEAST

if TYPE_CHECKING:
    from ..posterior import Posterior

FAR, FAR_EACH = 1.0, 0.05
UNSEEN = "A mode that no draw came near it cannot see; diagnose(posterior, against=mcmc(pair, x, start=posterior)) may."
UNLIKE = "Do not rely on its uncertainties. Use mcmc, more particles or another lr, or a richer guide (guide='AutoMultivariateNormal')."


def point(posterior: "Posterior", table: pd.DataFrame) -> Iterator[Finding]:
    """Whether the fit settled; a point has nothing else to judge."""
    broken = not_finite(table)
    if broken:
        yield broken
        return
    yield _stopped(posterior)
    yield from _restarts(posterior)
    yield Finding(
        "uncertainty",
        "note",
        "this is a single point, a mode of the posterior in the model's parameters.",
        "It says nothing of uncertainty: use svi or mcmc.",
    )


def variational(posterior: "Posterior", table: pd.DataFrame) -> Iterator[Finding]:
    """Whether the fit settled, and how far the guide is from the posterior."""
    broken = not_finite(table) or stuck(table)
    if broken:
        yield broken
        return
    yield _stopped(posterior)
    yield from _restarts(posterior)
    of_rows = list(codes(posterior))
    yield from of_rows
    # With latents of every row among them, draws have no k-hat of the whole that would mean anything.
    if of_rows or not posterior.draws:
        return
    if "resampled" in posterior.how:
        yield _resampled(posterior)
        return
    unknown = _unknown(posterior)
    if unknown:
        yield unknown
        return
    yield from _importance(posterior, len(table))


def _resampled(posterior: "Posterior") -> Finding:
    source, draws = posterior.how["resampled"], math.prod(posterior.shape)
    text = f"{draws} of {source['draws']} draws from the guide, taken by their importance: {worth(posterior):.0f} draws' worth."
    if worth(posterior) < LEAST:
        return Finding("resampled", "warning", text, "Draw more from the guide first.")
    return Finding("resampled", "good", text)


def _unknown(posterior: "Posterior") -> Finding | None:
    """Why the guide cannot be judged by its draws, if it cannot."""
    draws = math.prod(posterior.shape)
    if draws < LEAST:
        text = f"{draws} draw{'s are' if draws > 1 else ' is'} too few to judge the guide."
        return Finding("k-hat", "warning", text, "Ask for draws=1000.")
    if not has_ratios(posterior):
        text = "not judged: the densities of the draws, the posterior's and the guide's, are not known, as where rows were streamed."
        return Finding("k-hat", "warning", text, "Fit a sample of the rows that fits into memory, and compare.")
    return None


def _importance(posterior: "Posterior", parameters: int) -> Iterator[Finding]:
    """What the importance of the guide's draws says: of tails it misses, of its distance, and of the evidence."""
    k, limit, nats = khat(posterior), trusted_up_to(math.prod(posterior.shape)), gap(posterior)
    seen = in_words(k, limit)
    if np.isnan(k):
        yield Finding("k-hat", "failure", f"{seen}.", "Use mcmc, or a different guide.")
        return
    if k > limit:
        yield Finding("k-hat", "failure", f"{seen}: the guide misses a tail of the posterior.", UNLIKE)
    else:
        yield Finding("k-hat", "good" if k <= 0.5 else "note", f"{seen}: the guide misses no tail near its draws.", UNSEEN)
    most = min(FAR, FAR_EACH * parameters)
    said = f"{max(nats, 0):.2f} nats from the guide to the posterior where its draws reach (at most {most:.2f})."
    yield Finding("gap", "failure", said, UNLIKE) if nats > most else Finding("gap", "good", said)
    single, grouped = bound(posterior), bound(posterior, GROUP)
    text = f"log evidence at least {single.value:.2f} +- {single.error:.2f} by single draws (the ELBO), "
    yield Finding("evidence", "note", text + f"{grouped.value:.2f} +- {grouped.error:.2f} by groups of {GROUP}.")


def _stopped(posterior: "Posterior") -> Finding:
    stopped = posterior.how.get("stopped")
    if stopped is None:
        return Finding("loss", "note", "how the fit ended is not known.")
    if stopped.startswith("converged"):
        return Finding("loss", "good", stopped + ".")
    if stopped.startswith("took all"):
        return Finding("loss", "note", stopped + ".", "More steps or larger batches tell more; compare two seeds.")
    if stopped.startswith("interrupted"):
        return Finding("loss", "failure", stopped + ".", "The same call goes on, if it had a checkpoint.")
    return Finding("loss", "failure", stopped + ".", "Ask for more steps.")


def _restarts(posterior: "Posterior") -> Iterator[Finding]:
    losses = sorted(posterior.how.get("restarts", []))
    if len(losses) > 1:
        agree = sum(loss - losses[0] < 0.5 for loss in losses)
        evidence = f"{agree} of {len(losses)} reached the best loss, {losses[0]:.2f}; the worst {losses[-1]:.2f}."
        yield Finding("restarts", "good" if agree > 1 else "warning", evidence, "" if agree > 1 else "Ask for more restarts.")
