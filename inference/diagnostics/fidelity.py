"""Rows that a posterior makes, held against rows: what there is to judge a model by whose densities tell nothing."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ..answers.decoding import as_tensor
from ..answers.predictive import program_for, rows_of
from ..answers.seen import as_seen
from ..covariates import new_like
from ..run import at_least
from .findings import Finding
from .manifolds import copied, missed, overlap
from .two_samples import Told, classified, discrepancy

if TYPE_CHECKING:
    from ..posterior import Posterior

LEAST, MOST = 50, 5000
# What p-values are unlikely; accuracies that are a doubt and a fault; how far shares may lie below the rows' own; shares of copies.
UNLIKELY, TOLD, PLAIN, LESS, LITTLE, SOME, MANY = 0.01, 0.75, 0.95, 0.8, 0.5, 0.25, 0.5
# Nats of the critic's log 2 that are a doubt and a fault.
AHEAD, WON = 0.35, 0.6


@dataclass(frozen=True)
class Fidelity:
    """accuracy, discrepancy: two-sample tests (`two_samples.py`). table: precision, recall, density and coverage (`manifolds.py`), of
    rows `made` and, for what could be reached, of one half of the rows beside the other (`rows`). copies: the share of rows made that lie
    as near to a row fitted as the nearest twentieth of these do to each other. missed: clusters of rows that hardly a row made is in, of
    so many `clusters`. rows: how many were made."""

    accuracy: Told
    discrepancy: Told
    table: pd.DataFrame
    copies: float
    missed: int
    clusters: int
    rows: int


def fidelity(posterior: "Posterior", x: Any, rows: int, seed: int) -> Fidelity:
    """See `Posterior.fidelity`."""
    at_least(LEAST, rows=rows)
    at_least(0, seed=seed)
    program, _ = program_for(posterior, rows_of(posterior) if x is None else x)
    x = as_seen(posterior, program.x, seed)
    if len(x) < LEAST:
        raise ValueError(f"{len(x)} rows are too few to hold rows against that are made; give {LEAST} at least")
    rng = np.random.default_rng(seed)
    some = x[torch.as_tensor(rng.permutation(len(x))[: 2 * rows], device=x.device)]
    one, other = some.tensor_split(2)
    new = as_tensor(new_like(posterior, one, seed), one)
    first, second, made = (_features(posterior, part) for part in (one, other, torch.where(one.isnan(), one, new)))
    shares = {"made": overlap(first.numpy(), made.numpy()), "rows": overlap(first.numpy(), second.numpy())}
    lost, clusters = missed(torch.cat([first, second]).numpy(), made.numpy(), seed)
    tests = (test(first, made, rng) for test in (classified, discrepancy))
    return Fidelity(*tests, pd.DataFrame(shares), _copies(posterior, made), lost, clusters, len(made))


def _copies(posterior: "Posterior", made: Tensor) -> float:
    if posterior.table is None:
        return math.nan
    fitted = posterior.table.x[np.linspace(0, len(posterior.table) - 1, min(MOST, len(posterior.table))).round().astype(int)]
    return copied(_features(posterior, as_seen(posterior, fitted.to(posterior.device))).numpy(), made.numpy())


def _features(posterior: "Posterior", x: Tensor) -> Tensor:
    """(rows, F) in double precision on the CPU, as the pair has them; by default columns in units of their spread, zero in holes."""
    with torch.no_grad():
        if posterior.pair.features is not None:
            return posterior.pair.features(x).flatten(1).double().cpu()
        known = posterior.table.x.to(x).flatten(1)
        center = known.nanmean(0)
        spread = (known - center).square().nanmean(0).sqrt()
        return ((x.flatten(1) - center) / torch.where(spread > 0, spread, 1.0)).nan_to_num().double().cpu()


def likeness(posterior: "Posterior", table: pd.DataFrame) -> Iterator[Finding]:
    """What is found on rows made, where a pair makes some and no density judges it; nothing for other pairs."""
    unsuited = posterior.pair.unsuited
    if "log_likelihood" not in unsuited or "generate" in unsuited:
        return
    if posterior.how.get("settings", {}).get("objective") == "adversarial":
        yield _critic(posterior.stats["loss"])
    if posterior.table is None or len(posterior.table) < LEAST:
        text = "not looked at: there are too few rows, or none were kept."
        yield Finding("rows made", "note", text, f"Call posterior.fidelity(x) with {LEAST} rows or more.")
        return
    found = posterior.fidelity()
    yield _tests(found)
    yield _modes(found)
    yield _precision(found)
    yield _memory(found)


def _critic(loss: Tensor) -> Finding:
    late, early = (float(loss[part].mean()) for part in (slice(-max(1, len(loss) // 10), None), slice(len(loss) // 10, len(loss) // 5)))
    text = f"tells rows made from the data by {late:.3f} of at most {math.log(2):.3f} nats"
    if late > WON:
        when = ", and was far ahead at once" if early > AHEAD else ""
        advice = "It has won, so that nothing more is learnt: raise penalty, lower lr, or use fewer hidden units; and see whether columns "
        return Finding("critic", "failure", f"{text}{when}.", f"{advice}take so few values that these alone tell.")
    if late > AHEAD:
        return Finding("critic", "warning", f"{text}.", "It is far ahead: more steps, a higher penalty, or more hidden units may help.")
    return Finding("critic", "good", f"{text}.")


def _tests(found: Fidelity) -> Finding:
    (accuracy, p), (distance, p_distance) = found.accuracy, found.discrepancy
    text = f"a classifier names {100 * accuracy:.0f}% rightly (50% is chance, p = {p:.2g}); "
    text += f"squared mean discrepancy {distance:.2g} (p = {p_distance:.2g}); of {found.rows} rows made."
    if accuracy > PLAIN:
        return Finding("two samples", "failure", text, "Rows made are not like the data: more steps, another lr, more hidden units.")
    if accuracy > TOLD:
        return Finding("two samples", "warning", text, "Rows made can be told from the data: more steps or hidden units.")
    return Finding("two samples", "good" if min(p, p_distance) > UNLIKELY else "note", text)


def _modes(found: Fidelity) -> Finding:
    made, own = found.table["made"], found.table["rows"]
    text = f"rows made are near {100 * made['coverage']:.0f}% of rows (other rows are near {100 * own['coverage']:.0f}%), "
    text += f"and missing from {found.missed} of {found.clusters} clusters."
    # Rows whose balls hold no row made may still be among these: then it is their places that are wrong.
    narrow = max(made[name] / own[name] for name in ("coverage", "recall")) < LITTLE
    if narrow or found.missed > found.clusters / 10:
        advice = "Modes have collapsed: raise penalty, lower lr, larger batches, more steps; compare seeds."
        return Finding("modes", "failure", text, advice)
    if made["coverage"] < LESS * own["coverage"] or found.missed:
        return Finding("modes", "warning", text, "Some of the variety is lost, or off: more steps or hidden units, larger batches.")
    return Finding("modes", "good", text)


def _precision(found: Fidelity) -> Finding:
    made, own = found.table["made"], found.table["rows"]
    parts = [f"{name} {made[name]:.2f} ({own[name]:.2f})" for name in ("precision", "recall", "density")]
    text = f"{', '.join(parts)}; in brackets, of one half of the rows beside the other."
    if made["precision"] < LITTLE * own["precision"]:
        return Finding("precision", "failure", text, "Most rows made lie where no rows do: more steps, more hidden units.")
    if min(made["precision"] / own["precision"], made["recall"] / own["recall"]) < LESS:
        return Finding("precision", "warning", text, "Some rows made lie where no rows do, or rows where none are made.")
    return Finding("precision", "good", text)


def _memory(found: Fidelity) -> Finding:
    text = f"{100 * found.copies:.0f}% of rows made lie as near to a row fitted as the nearest 5% of these do to each other."
    if found.copies > SOME:
        advice = "It knows rows by heart: fewer hidden units, more rows; hold rows out and see posterior.fidelity of them."
        return Finding("copies", "failure" if found.copies > MANY else "warning", text, advice)
    return Finding("copies", "good", text)
