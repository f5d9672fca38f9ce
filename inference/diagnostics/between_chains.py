"""What is found on whether chains agree."""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pandas as pd

from .findings import Finding
from .modes import Modes, modes, stuck_chains
from .table import invariants

if TYPE_CHECKING:
    from ..posterior import Posterior

RHAT, APART = 1.01, 1.05
NEGLIGIBLE, ROUGH, SHOWN, LISTED = -10.0, 0.5, 4, 6


def between_chains(posterior: "Posterior", table: pd.DataFrame) -> Iterator[Finding]:
    """What R-hat says, and where it is large, why: several modes, labels that switched, or components that are called differently."""
    worst, still = table["rhat"].idxmax(), stuck_chains(posterior)
    rhat = table["rhat"][worst]
    found = modes(posterior, table, still) if rhat > APART and posterior.shape[0] > len(still) + 1 else None
    if still:
        yield _stuck(posterior, still)
    if rhat > APART:
        text = f"{rhat:.3f} for {worst} (at most {RHAT}): the chains disagree."
        why = "they sit in the modes told next" if found else "the posterior has several modes or the model too many components"
        yield Finding("R-hat", "failure", text, f"Run a longer warmup; if it stays, {why}.")
    elif rhat > RHAT:
        text = f"{rhat:.3f} for {worst} (at most {RHAT}): the chains have not quite mixed."
        yield Finding("R-hat", "warning", text, "Ask for more draws.")
    else:
        yield Finding("R-hat", "good", f"at most {rhat:.3f}: the chains agree.")
    if found:
        yield _modes(found)
    if "rhat_raw" in table and table["rhat_raw"].max() > APART:
        yield from _undone(posterior, table)
    yield from _invariants(posterior, rhat)


def _stuck(posterior: "Posterior", still: list[int]) -> Finding:
    others = [chain for chain in range(posterior.shape[0]) if chain not in still]
    if not others:
        return Finding("stuck", "failure", "every chain stands still.", "Run a longer warmup, or set out from elsewhere.")
    where = _named(still) + (" stand still or hardly move" if len(still) > 1 else " stands still or hardly moves")
    left = others if len(others) <= LISTED else "the others"
    advice = f"Run a longer warmup, or set out from elsewhere; posterior.keep({left}) leaves out what is stuck."
    return Finding("stuck", "failure", f"{where}, unlike the others: no mode of the posterior, but a fault of the run.", advice)


def _modes(found: Modes) -> Finding:
    weights = [f" (weight {_share(w)})" for w in found.log_weights] or [""] * len(found.chains)
    places = [_named(chains) + weight for chains, weight in zip(found.chains, weights, strict=True)]
    if len(places) > SHOWN:
        places = [*places[: SHOWN - 1], f"{len(places) - SHOWN + 1} more"]
    text = f"{len(found.chains)} modes, apart in {found.apart}: {', '.join(places[:-1])} and {places[-1]}."
    if found.draws:
        text += f" Weights by bridge sampling, from {min(found.draws)} draws of each; their logarithms are known to {_known_to(found):.2g}."
    return Finding("modes", "failure", text, _advice(found))


def _advice(found: Modes) -> str:
    if found.unknown:
        return f"Their weights are not known: {found.unknown}. Judge each by posterior.keep(chains)."
    if _known_to(found) > ROUGH:
        return "The weights are rough: ask for more draws."
    if sum(w > NEGLIGIBLE for w in found.log_weights) == 1:
        kept = found.chains[0] if len(found.chains[0]) <= LISTED else "its chains"
        return f"Only the first has weight: posterior.keep({kept}) leaves out the rest."
    return "The draws count modes by their chains, not by these weights: judge each by posterior.keep(chains), and weigh what they say."


def _known_to(found: Modes) -> float:
    """The largest standard error of the logarithms of those weights that count."""
    return max(error for w, error in zip(found.log_weights, found.errors, strict=True) if w > NEGLIGIBLE)


def _share(log_weight: float) -> str:
    return f"{math.exp(log_weight):.2f}" if log_weight > math.log(0.005) else f"e^{log_weight:.0f}"


def _named(chains: list[int]) -> str:
    """Chains in words: "chain 1", "chains 0, 2, 3", and no more of these than can be read."""
    if len(chains) > LISTED:
        return f"{len(chains)} chains, {chains[0]} the first,"
    return f"chain{'s' * (len(chains) > 1)} {', '.join(map(str, chains))}"


def _undone(posterior: "Posterior", table: pd.DataFrame) -> Iterator[Finding]:
    worst = table["rhat_raw"].idxmax()
    raw, rhat = table["rhat_raw"][worst], table["rhat"][worst]
    if rhat < raw:
        what = " and ".join(symmetry.seen_as for symmetry in posterior.pair.symmetries)
        most = "is" if rhat <= RHAT else "is in part"
        text = f"R-hat {raw:.3f} of {worst} as it came {most} {what}; undone, it is {rhat:.3f}."
        yield Finding(what, "note", text)


def _invariants(posterior: "Posterior", rhat: float) -> Iterator[Finding]:
    table = invariants(posterior)
    if not table["rhat"].notna().any():
        return
    worst = table["rhat"].idxmax()
    if rhat <= RHAT and table["rhat"][worst] > APART:
        text = f"R-hat is {table['rhat'][worst]:.3f} for {worst} (at most {APART}), which no relabelling explains."
        yield Finding("invariants", "warning", text, "Ask for more draws.")
    if rhat > APART and table["rhat"][worst] <= RHAT and posterior.pair.symmetries:
        text = f"what no symmetry changes agrees (R-hat at most {table['rhat'][worst]:.3f}): the chains differ in what is called which."
        yield Finding("invariants", "note", text, "Predictions can be believed; components that overlap cannot be told apart.")
