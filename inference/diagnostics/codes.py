"""What is found on latents that the guide draws for each row: whether they are used, and how near the guide is to their law."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from scipy.special import logsumexp

from ..amortised import log_weights, moments
from ..answers.predictive import amortised, averaged, over_draws, program_for, row_chunks
from ..answers.seen import as_seen
from ..rows.table import Table
from ..run import seeded
from .findings import Finding
from .khat import smoothed, trusted_up_to

if TYPE_CHECKING:
    from ..posterior import Posterior

ROWS, SAMPLES, USED, MANY = 200, 1000, 0.01, 0.05


class ByRow(NamedTuple):
    """Of each row: k-hat of the guide's draws of its latents; the log density of the row, and the ELBO; all (row,)."""

    khat: np.ndarray
    log_density: np.ndarray
    elbo: np.ndarray


def by_row(posterior: "Posterior", table: Table, samples: int = SAMPLES) -> ByRow:
    """How the guide's draws of the latents of each of the rows stand beside their law given the row, at the posterior's first draw.

    Source: Yao, Vehtari, Simpson & Gelman 2018, "Yes, but did it work?: Evaluating variational inference", ICML.
    """
    program, _ = program_for(posterior, table)
    first = {name: value[:1, :1] for name, value in posterior.draws.items()}
    with seeded(0, posterior.device):
        parts = [
            over_draws(posterior, part, lambda values, x, part=part: log_weights(part, values, x, samples), first, samples)[0]
            for part in row_chunks(program, samples)
        ]
    ratios = torch.cat(parts, 1).double().cpu().numpy()
    return ByRow(smoothed(ratios)[1], logsumexp(ratios, axis=0) - np.log(samples), ratios.mean(0))


def used(posterior: "Posterior", table: Table) -> dict[str, np.ndarray]:
    """Which coordinates of each latent tell rows apart: name -> (*latent) whether more than a hundredth of its variance is between rows.

    Source: Burda, Grosse & Salakhutdinov 2016, "Importance weighted autoencoders", ICLR, who count those whose mean has a variance
    above 0.01 under a prior of variance one; this is the same in units of the latent's own variance.
    """
    program, _ = program_for(posterior, table)
    with seeded(0, posterior.device):
        found = averaged(posterior, program, lambda values, x: moments(program, values, x), posterior.draws)
    between = {name: (mean.var(0, correction=0), (square - mean.square()).mean(0)) for name, (mean, square) in found.items()}
    return {name: (spread > USED * (spread + within)).cpu().numpy() for name, (spread, within) in between.items()}


def codes(posterior: "Posterior") -> Iterator[Finding]:
    """Whether the latents of rows are used, and whether the guide may be relied on for them; nothing where rows have none."""
    if posterior.table is None or "encode" in posterior.pair.unsuited or not amortised(posterior):
        return
    table = replace(posterior.table, x=as_seen(posterior, posterior.table.x))
    if len(table) > 1:
        yield _used(_each(posterior, used(posterior, table)))
    if "log_likelihood" in posterior.pair.unsuited:
        advice = "Judge it by posterior.reconstruct on rows that it was not given."
        yield Finding("codes", "note", "each row's is a point: nothing tells how sure it is, and a row has no density.", advice)
    else:
        yield from _guide(posterior, _some(table))


def _each(posterior: "Posterior", found: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The same, where rows are series and a latent has one axis more than `dims` names, the steps: whether it is used at any of them."""
    pair, steps = posterior.pair, posterior.table.x.shape[1:2]

    def by_step(name: str, u: np.ndarray) -> bool:
        return pair.any_length and u.shape[:1] == steps and u.ndim > len(pair.dims.get(name, ("",)))

    return {name: u.any(0) if by_step(name, u) else u for name, u in found.items()}


def _used(found: dict[str, np.ndarray]) -> Finding:
    active, total = sum(int(u.sum()) for u in found.values()), sum(u.size for u in found.values())
    text = f"{active} of {total} latents of a row tell rows apart"
    if not active:
        advice = "The model ignores its latents: try fewer of them, a simpler decoder, another lr, or more steps."
        return Finding("active latents", "failure", f"{text}: the guide has collapsed to the prior.", advice)
    if active < total:
        return Finding("active latents", "note", f"{text}; the others are at their prior.", f"{active} would do.")
    return Finding("active latents", "good", f"{text}.", "")


def _guide(posterior: "Posterior", table: Table) -> Iterator[Finding]:
    found, limit, count = by_row(posterior, table), trusted_up_to(SAMPLES), len(table)
    bad = int((~(found.khat <= limit)).sum())
    gap = float((found.log_density - found.elbo).mean())
    text = f"above {limit:.2f} for {bad} of {count} rows, from {SAMPLES} draws of the guide for each"
    if bad > MANY * count:
        advice = "Their scores are too low, and their codes too sure: try a richer guide (more hidden units in an encoder), or more steps."
        yield Finding("k-hat by row", "warning", text + ".", advice)
    else:
        yield Finding("k-hat by row", "good", text + ".")
    density = f"{found.log_density.mean():.2f} nats a row by {SAMPLES} draws, {found.elbo.mean():.2f} by single ones (the ELBO)"
    yield Finding("density", "note", f"{density}: {gap:.2f} nats a row from the guide to the latents' law.")


def _some(table: Table) -> Table:
    """At most `ROWS` of the rows, evenly spread."""
    return table.some(np.linspace(0, len(table) - 1, min(ROWS, len(table))).round().astype(int))
