"""What is found on draws of several chains."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import arviz_stats
import numpy as np
import pandas as pd

from .between_chains import between_chains
from .findings import Finding, not_finite, stuck

if TYPE_CHECKING:
    from ..posterior import Posterior

EFFECTIVE, ENERGY, DEPTH = 100, 0.3, 10
CURVED = "Call mcmc with target_acceptance=0.95; if some stay, write what is scaled apart from its scale (non-centred)."


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
    still = stuck(table)
    if still:
        yield still
    if count < 4:
        text = f"{count} chain{'s' * (count > 1)} can hide that others would settle elsewhere."
        yield Finding("chains", "warning", text, "Run at least 4.")
    if table["rhat"].notna().any():
        yield from between_chains(posterior, table)
    yield from _effective(count, table)
    yield from _trajectories(posterior)
    yield from _course(posterior)


def _effective(chains: int, table: pd.DataFrame) -> Iterator[Finding]:
    # What stands still is told by itself; ArviZ counts all of its draws as effective.
    least, needed = table.loc[table["sd"] > 0, ["ess_bulk", "ess_tail"]].min(axis=1), EFFECTIVE * min(chains, 4)
    if least.notna().any() and least.min() < needed:
        text = f"{least.min():.0f} for {least.idxmin()} (at least {needed})."
        yield Finding("effective draws", "failure", text, f"Ask for about {np.ceil(needed / max(least.min(), 1)):.0f} times the draws.")
    elif least.notna().any():
        yield Finding("effective draws", "good", f"at least {least.min():.0f} of each parameter.")


def _trajectories(posterior: "Posterior") -> Iterator[Finding]:
    stats, total = posterior.by_draw, int(np.prod(posterior.shape))
    if "diverging" not in stats:
        text = "divergences and energies were not looked at: there are no statistics of the trajectories."
        yield Finding("trajectories", "note", text)
    else:
        count = int(stats["diverging"].sum())
        if count:
            text = f"{count} of {total} transitions: a region of the posterior is too curved for the step size."
            yield Finding("divergences", "failure" if count > 0.001 * total else "warning", text, CURVED)
        else:
            yield Finding("divergences", "good", "none.")
    # The energies of transitions far apart say nothing of how far one transition goes.
    if "energy" in stats and posterior.how.get("settings", {}).get("thin", 1) == 1:
        with np.errstate(all="ignore"):  # a constant energy belongs to chains that stand still, which is told above
            lowest = float(np.min(arviz_stats.bfmi(stats["energy"].double().cpu().numpy())))
        if lowest < ENERGY:
            yield Finding("energy", "warning", f"E-BFMI is {lowest:.2f} (at least {ENERGY}): the tails are explored slowly.", "Run longer.")
    if "tree_depth" in stats:
        deep = int((stats["tree_depth"] >= DEPTH).sum())
        if deep:
            yield Finding(
                "tree depth",
                "warning",
                f"{deep} of {total} trajectories were cut short at depth {DEPTH}.",
                "Rescale the model, or tighten its priors.",
            )


def _course(posterior: "Posterior") -> Iterator[Finding]:
    moved, stopped = posterior.how.get("restarted", 0), posterior.how.get("stopped", "")
    if moved:
        text = f"{moved} chain{'s' * (moved > 1)} began in a mode of no weight beside the others', and went on from where they were."
        yield Finding("restarted", "note", text, "Judged in warm-up, by log density and spread.")
    if stopped.startswith("interrupted"):
        yield Finding("draws", "warning", f"{stopped}.", "The same call with checkpoint=, if it had one, goes on.")
