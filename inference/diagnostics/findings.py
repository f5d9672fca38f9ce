"""What is the matter with a posterior, in plain words, and what to do about it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import arviz_stats
import numpy as np
import pandas as pd

from .khat import gap, khat, trusted_up_to

if TYPE_CHECKING:
    from ..posterior import Posterior

WIDTH = 130
FAR, FAR_EACH = 1.0, 0.05
UNLIKE = "Do not rely on its uncertainties. Use mcmc, more particles or another lr, or a richer guide (guide='AutoMultivariateNormal')."
RHAT, APART, EFFECTIVE, ENERGY, DEPTH = 1.01, 1.05, 100, 0.3, 10


@dataclass(frozen=True)
class Finding:
    """name: what was looked at. severity: how bad. evidence: what was seen. advice: what to do, if anything."""

    name: str
    severity: Literal["good", "note", "warning", "failure"]
    evidence: str
    advice: str = ""

    def __str__(self) -> str:
        mark = {"good": "ok", "note": "--", "warning": "!!", "failure": "XX"}[self.severity]
        said = f"{mark} {self.name}: {self.evidence}"
        room = " " if len(said) + len(self.advice) < WIDTH else "\n     "
        return said + room + self.advice if self.advice else said


def find(posterior: "Posterior", table: pd.DataFrame) -> list[Finding]:
    """All findings on a posterior, given its summary table."""
    look = {"map": _point, "svi": _variational}.get(posterior.how["method"], _chains)
    return list(look(posterior, table))


def _point(posterior: "Posterior", table: pd.DataFrame) -> Iterator[Finding]:
    yield _stopped(posterior)
    yield from _restarts(posterior)
    yield Finding(
        "uncertainty",
        "note",
        "this is a single point, a mode of the posterior in the model's parameters.",
        "It says nothing of uncertainty: use svi or mcmc.",
    )


def _variational(posterior: "Posterior", table: pd.DataFrame) -> Iterator[Finding]:
    broken = _not_finite(table) or _stuck(table)
    if broken:
        yield broken
        return
    yield _stopped(posterior)
    yield from _restarts(posterior)
    draws = posterior.shape[1]
    if draws < 100:
        yield Finding(
            "k-hat", "warning", f"{draws} draw{'s are' if draws > 1 else ' is'} too few to judge the guide.", "Ask for draws=1000."
        )
        return
    if "lp" not in posterior.stats:
        text = "not judged: the rows were streamed, and the density of all of them at each draw was not computed."
        yield Finding("k-hat", "warning", text, "Fit a sample of the rows that fits into memory, and compare.")
        return
    k, limit, nats = khat(posterior), trusted_up_to(draws), gap(posterior)
    if np.isnan(k):
        yield Finding("k-hat", "failure", "the importance ratios are not finite.", "Use mcmc, or a different guide.")
        return
    seen = f"{k:.2f} (at most {limit:.2f})" if np.isfinite(k) else "every draw has the same importance"
    if k > limit:
        yield Finding("k-hat", "failure", f"{seen}: the guide misses a tail of the posterior.", UNLIKE)
    else:
        yield Finding("k-hat", "good" if k <= 0.5 else "note", f"{seen}: the guide misses no tail near its draws.")
    most = min(FAR, FAR_EACH * len(table))
    said = f"{max(nats, 0):.2f} nats from the guide to the posterior (at most {most:.2f})."
    yield Finding("gap", "failure", said, UNLIKE) if nats > most else Finding("gap", "good", said)


def _chains(posterior: "Posterior", table: pd.DataFrame) -> Iterator[Finding]:
    chains, draws = posterior.shape
    broken = _not_finite(table)
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
    yield from _convergence(chains, table)
    yield from _trajectories(posterior)
    yield from _course(posterior)


def _convergence(chains: int, table: pd.DataFrame) -> Iterator[Finding]:
    stuck = _stuck(table)
    if stuck:
        yield stuck
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


def _stopped(posterior: "Posterior") -> Finding:
    stopped = posterior.how["stopped"]
    if stopped.startswith("converged"):
        return Finding("loss", "good", stopped + ".")
    if stopped.startswith("took all"):
        return Finding("loss", "note", stopped + ".", "More steps or larger batches tell more; compare two seeds.")
    if stopped.startswith("interrupted"):
        return Finding("loss", "failure", stopped + ".", "The same call goes on, if it had a checkpoint.")
    return Finding("loss", "failure", stopped + ".", "Ask for more steps.")


def _restarts(posterior: "Posterior") -> Iterator[Finding]:
    losses = sorted(posterior.how["restarts"])
    if len(losses) > 1:
        agree = sum(loss - losses[0] < 0.5 for loss in losses)
        evidence = f"{agree} of {len(losses)} reached the best loss, {losses[0]:.2f}; the worst {losses[-1]:.2f}."
        yield Finding("restarts", "good" if agree > 1 else "warning", evidence, "" if agree > 1 else "Ask for more restarts.")


def _stuck(table: pd.DataFrame) -> Finding | None:
    still = table.index[table["sd"] == 0] if "sd" in table else []
    if len(still):
        return Finding("draws", "failure", f"{still[0]} has the same value in every draw.", "Check the priors and the start.")
    return None


def _not_finite(table: pd.DataFrame) -> Finding | None:
    bad = table.index[~np.isfinite(table["mean"])]
    if len(bad):
        return Finding("draws", "failure", f"{bad[0]} has draws that are not finite.", "The run failed: check the data and the priors.")
    return None
