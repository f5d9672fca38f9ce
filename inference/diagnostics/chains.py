"""What is found on draws of several chains."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import arviz_stats
import numpy as np
import pandas as pd

from .findings import Finding, not_finite, stuck

if TYPE_CHECKING:
    from ..posterior import Posterior

RHAT, APART, EFFECTIVE, ENERGY, DEPTH = 1.01, 1.05, 100, 0.3, 10


def chains(posterior: "Posterior", table: pd.DataFrame) -> Iterator[Finding]:
    """Whether the chains agree, have drawn enough, and went where they should."""
    count, draws = posterior.shape
    broken = not_finite(table)
    if broken:
        yield broken
        return
    if "rhat" not in table:
        yield Finding(
            "R-hat",
            "failure",
            f"{draws} draw{'s' * (draws > 1)} a chain {'are' if draws > 1 else 'is'} too few to judge convergence.",
            "Ask for draws=1000.",
        )
        return
    yield from _convergence(count, table)
    yield from _trajectories(posterior)
    yield from _course(posterior)


def _convergence(chains: int, table: pd.DataFrame) -> Iterator[Finding]:
    still = stuck(table)
    if still:
        yield still
    if chains < 4:
        text = f"{chains} chain{'s' * (chains > 1)} can hide that others would settle elsewhere."
        yield Finding("chains", "warning", text, "Run at least 4.")
    worst = table["rhat"].idxmax() if table["rhat"].notna().any() else None
    if worst is not None and table["rhat"][worst] > APART:
        text = f"{table['rhat'][worst]:.3f} for {worst} (at most {RHAT}): the chains disagree."
        advice = "Run a longer warmup; if it stays, the posterior has several modes or the model too many components."
        yield Finding("R-hat", "failure", text, advice)
    elif worst is not None and table["rhat"][worst] > RHAT:
        text = f"{table['rhat'][worst]:.3f} for {worst} (at most {RHAT}): the chains have not quite mixed."
        yield Finding("R-hat", "warning", text, "Ask for more draws.")
    elif worst is not None:
        yield Finding("R-hat", "good", f"at most {table['rhat'][worst]:.3f}: the chains agree.")
    least = table[["ess_bulk", "ess_tail"]].min(axis=1)
    needed = EFFECTIVE * chains
    if least.notna().any() and least.min() < needed:
        text = f"{least.min():.0f} for {least.idxmin()} (at least {needed})."
        yield Finding("effective draws", "failure", text, f"Ask for about {np.ceil(needed / max(least.min(), 1)):.0f} times the draws.")
    elif least.notna().any():
        yield Finding("effective draws", "good", f"at least {least.min():.0f} of each parameter.")


def _trajectories(posterior: "Posterior") -> Iterator[Finding]:
    stats, total = posterior.stats, int(np.prod(posterior.shape))
    if "diverging" in stats:
        count = int(stats["diverging"].sum())
        if count:
            text = f"{count} of {total} transitions: a region of the posterior is too curved for the step size."
            yield Finding(
                "divergences", "failure" if count > 0.001 * total else "warning", text, "Run a longer warmup, or tighten the priors."
            )
        else:
            yield Finding("divergences", "good", "none.")
    if "energy" in stats:
        with np.errstate(all="ignore"):  # a constant energy belongs to chains that stand still, which is told above
            lowest = float(np.min(arviz_stats.bfmi(stats["energy"].double().cpu().numpy())))
        if lowest < ENERGY:
            yield Finding("energy", "warning", f"E-BFMI is {lowest:.2f} (at least {ENERGY}): the tails are explored slowly.", "Run longer.")
    if "tree_depth" in stats:
        deep = int((stats["tree_depth"] >= DEPTH).sum())
        if deep:
            yield Finding(
                "tree depth", "warning", f"{deep} of {total} trajectories were cut short at depth {DEPTH}.", "Run a longer warmup."
            )


def _course(posterior: "Posterior") -> Iterator[Finding]:
    moved, stopped = posterior.how.get("restarted", 0), posterior.how.get("stopped", "")
    if moved:
        text = f"{moved} chain{'s' * (moved > 1)} began in a mode of no weight beside the others', and went on from where they were."
        yield Finding("restarted", "note", text, "Judged in warm-up, by log density and spread.")
    if stopped.startswith("interrupted"):
        yield Finding("draws", "warning", f"{stopped}.", "The same call with checkpoint=, if it had one, goes on.")
