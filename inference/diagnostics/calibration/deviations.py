"""What the ranks of a calibration say, in a table and in words."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from ..findings import Finding
from .ranks import Uniformity, asymmetry, averaged, holm, moments
from .thinning import ENOUGH, Effective

FAILURE, WARNING = 0.01, 0.05
CLEAR, SHOWN = 2.5, 4
# What a deviation of the ranks looks like, and what it means.
MEANING = {
    "overconfident": "pile up at both ends: the draws are too narrow (overconfident)",
    "underconfident": "pile up in the middle: the draws are too wide (underconfident)",
    "low": "pile up at the upper end: the draws are too low",
    "high": "pile up at the lower end: the draws are too high",
    "uneven": "are uneven",
}
REMEDY = {
    "svi": "Do not rely on its uncertainties: use mcmc, more particles, or a richer guide (guide='AutoMultivariateNormal').",
    "elsewhere": "The data sets are not of the pair's own model, which this may show; calibrate without simulator= to tell the two apart.",
    "mcmc": "Run a longer warmup and more draws; if it stays, the sampler does not draw from this model's posterior.",
}


def summary(
    labels: list[str], truth: np.ndarray, draws: np.ndarray, ranks: np.ndarray, method: str, rng: np.random.Generator
) -> pd.DataFrame:
    """One row a quantity; p-values are adjusted for how many quantities there are (Holm).

    p_ranks: of uniform ranks. deviation: what the ranks look like, where they are not uniform. p_prior: of draws pooled over data
    sets that are draws of the prior. p_centre, for "svi": of ranks symmetric about their middle. z_mean, z_sd: of the posterior
    mean's error in posterior standard deviations, about 0 and 1. contraction: by how much the data shrink the prior's variance.
    """
    test = Uniformity(len(ranks), draws.shape[1], rng)
    p = holm(test.p(ranks))
    with np.errstate(all="ignore"):
        mean, variance = draws.mean(1), draws.var(1, ddof=1)
        z = (mean - truth) / np.sqrt(variance)
        contraction = 1 - variance.mean(0) / truth.var(0, ddof=1)
    columns: dict[str, Any] = {"p_ranks": p, "deviation": _deviations(p, *moments(ranks, draws.shape[1]))}
    columns["p_prior"] = holm(averaged(truth, draws))
    if method == "svi":
        columns["p_centre"] = holm(asymmetry(ranks, draws.shape[1], rng))
    columns |= {"z_mean": z.mean(0), "z_sd": z.std(0, ddof=1), "contraction": contraction}
    return pd.DataFrame(columns, index=pd.Index(labels, name="quantity"))


def _deviations(p: np.ndarray, slope: np.ndarray, spread: np.ndarray) -> list[str]:
    named = []
    for each, s, w in zip(p, slope, spread, strict=True):
        if each >= WARNING:
            named.append("")
        elif max(abs(s), abs(w)) < CLEAR:
            named.append("uneven")
        elif abs(w) >= abs(s):
            named.append("overconfident" if w > 0 else "underconfident")
        else:
            named.append("low" if s > 0 else "high")
    return named


def judge(table: pd.DataFrame, method: str, went: dict[str, Any], effective: Effective | None) -> list[Finding]:
    """What is found, in words.

    went: how the fits went; `stopped`, why each batch of `svi` did, `diverging`, how many transitions of each batch of chains, `lost`,
    how many simulations had draws that are not finite, `elsewhere`, whether another pair made the data. effective: of a chain's draws.
    """
    findings = list(_fits(went))
    if effective is not None and not effective.enough:
        text = f"the chains of some simulations have no more than {effective.least:.0f} (at least {ENOUGH}), too few to rank by."
        return [*findings, Finding("effective draws", "failure", text, "Ask for more draws or a longer warmup: the table says little.")]
    if effective is not None:
        findings.append(
            Finding("effective draws", "good", f"at least {effective.least:.0f} in 95% of the chains; ranks use {effective.kept}.")
        )
    remedy = REMEDY["elsewhere" if went.get("elsewhere") else "svi" if method == "svi" else "mcmc"]
    findings += _ranks(table, remedy)
    if "p_centre" in table:
        text = "the truth is on one side of the draws: the guide's centre is off"
        findings.append(_one("bias", table["p_centre"], text, "the guide's centre is where the truth is", remedy))
    text = "draws pooled over all data sets are not draws of the prior"
    findings.append(_one("prior", table["p_prior"], text, "draws pooled over all data sets are draws of the prior", remedy))
    return findings


def _ranks(table: pd.DataFrame, remedy: str) -> Iterator[Finding]:
    for deviation, group in table[table["deviation"] != ""].groupby("deviation", sort=False):
        least = group["p_ranks"].min()
        text = f"those of {_names(group.index)} {MEANING[deviation]}, p = {least:.2g}."
        yield Finding("ranks", "failure" if least < FAILURE else "warning", text, remedy)
    if (table["deviation"] == "").all():
        yield Finding("ranks", "good", f"uniform for all {len(table)} quantities, least p = {table['p_ranks'].min():.2g}.")


def _one(name: str, p: pd.Series, bad: str, good: str, remedy: str) -> Finding:
    off = p[p < WARNING]
    if not len(off):
        return Finding(name, "good", f"{good}, least p = {p.min():.2g}.")
    return Finding(name, "failure" if off.min() < FAILURE else "warning", f"{bad}, for {_names(off.index)}, p = {off.min():.2g}.", remedy)


def _fits(went: dict[str, Any]) -> Iterator[Finding]:
    if went["lost"]:
        text = f"{went['lost']} simulations had draws that are not finite, and were left out."
        yield Finding("fits", "failure", text, "Check the priors, or lower lr.")
    unsettled = [text for text in went.get("stopped", []) if text.startswith("reached")]
    if unsettled:
        yield Finding("fits", "warning", f"{unsettled[0]}.", "Ask for more steps.")
    if sum(went.get("diverging", [])):
        text = f"{sum(went['diverging'])} transitions diverged: some posteriors are too curved for the step size."
        yield Finding("divergences", "warning", text, "Run a longer warmup, or tighten the priors.")


def _names(index: pd.Index) -> str:
    shown = ", ".join(index[:SHOWN])
    return shown if len(index) <= SHOWN else f"{shown} and {len(index) - SHOWN} more"
