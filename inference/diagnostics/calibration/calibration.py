"""Whether a pair is calibrated under a method: whether its posteriors cover the truth as often as they say."""

import math
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from ...covariates import hollow
from ...fitting.guides import check_name
from ...graphs.compiling import Compile
from ...mcmc import KERNELS
from ...pair import Pair
from ...posterior import Posterior
from ...program import Program, Values
from ...progress import progress_line
from ...recipe import Recipe, check_recipe
from ...record import variables
from ...rows.table import Table
from ...run import at_least, choose_device, seeded
from ...suggest import unknown
from ...svi import maker
from ..findings import Finding
from ..verdict import Judged
from . import ecdf
from .deviations import judge, summary
from .quantities import DENSITIES, finite, quantities
from .ranks import Uniformity, ranks
from .refit import Method, fit_each
from .simulate import Simulated, check_each, simulate, template
from .thinning import thinned

FEWEST, LEVEL = 20, 0.95


@dataclass(frozen=True, eq=False, repr=False)
class Calibration(Judged):
    """What `calibrate` found.

    name: what was judged. ranks: quantity -> (simulation,) how many of `draws` draws lie below the truth. table: one row a quantity
    (`deviations.summary` tells its columns). findings: what was looked at and what it says. ok: nothing found speaks against it.
    """

    name: str
    ranks: Mapping[str, np.ndarray]
    draws: int
    table: pd.DataFrame
    findings: list[Finding]
    counted: ClassVar[str] = "quantities"

    @cached_property
    def uniformity(self) -> Uniformity:
        """What uniform ranks, of as many simulations and draws, look like."""
        return Uniformity(len(next(iter(self.ranks.values()))), self.draws, np.random.default_rng(0))

    @property
    def title(self) -> str:
        """What was run, in a line."""
        simulations = len(next(iter(self.ranks.values())))
        return f"{self.name}: {simulations} simulations, ranks among {self.draws} draws"

    @property
    def verdict(self) -> str:
        """The answer, in a line."""
        if not self.ok:
            return f"Not calibrated, or not known to be: {', '.join(self.named('failure'))}."
        doubts = ", ".join(self.named("warning"))
        return f"Calibrated, with care: {doubts}." if doubts else "Calibrated, as far as so many simulations can tell."

    def picture(self) -> Figure:
        """How far the ranks of each quantity are from uniform, with bands that all lines stay in, of 95%, if they are calibrated."""
        return ecdf.differences(self, LEVEL)


def calibrate(
    subject: Pair | Posterior,
    *,
    rows: Any = None,
    simulations: int = 200,
    method: str | None = None,
    draws: int | None = None,
    simulator: Pair | None = None,
    warmup: int = 500,
    steps: int = 5000,
    lr: float = 0.05,
    particles: int = 8,
    objective: str | None = None,
    guide: str | None = None,
    seed: int = 0,
    device: str = "auto",
    compile: Compile = "auto",
    progress: bool | None = None,
) -> Calibration:
    """Judge a pair under a method by data sets that its own model makes, of which the truth is known; all are fitted as one batch.

    For a pair, parameters are drawn from the prior and rows from the model; then the rank of the true value among draws of the
    posterior is uniform, for every parameter and every function of parameters and data. For a `Posterior`, parameters are drawn
    from it and new rows from the model, and the pair is fitted to the rows observed and the new ones together: that tells of the
    region of parameters that matters for these data, and also whether the posterior itself is right.

    What is ranked: every number in a posterior's table, after the pair's symmetries are undone in truth and draws alike, and the
    log density of the rows, alone and jointly with the parameters, which tells of faults that no parameter shows. Latents of rows that are
    not summed out count in these densities, as they were drawn. Draws of a chain
    are thinned until they are nearly independent. A fit by "svi" takes all its rows in every step.

    Arguments:
        subject: a pair; or a Posterior that has kept its rows, of the prior and the method which are to be judged.
        rows: how many rows to simulate each time (20, or as many as were observed), or rows whose shape and holes to take; a pair
            whose rows are not a table needs them.
        simulations: how many data sets. method: "svi" (the default for a pair), "nuts", "chees", "hmc" or "mams".
        draws: of each posterior (100 by "svi"; by a chain 400, which are thinned).
        simulator: a pair to make the data sets, in place of the pair itself, with the same parameters: the faults that differ show.
        warmup: of each chain. steps, lr, particles, objective, guide: as `svi` has them.
        seed: fixes every random number. device: "auto", "cpu" or "cuda". progress: True, False, or None: on a terminal.
        compile: as in `svi` and `mcmc`.

    Raises:
        ValueError: fewer than 20 simulations or draws, an argument out of range, a model that cannot be simulated (an improper
            prior), simulated rows that the pair's `check` refuses (which is said), a posterior that has kept no rows.
        TypeError: what is handed in is neither a pair nor a posterior, the model's rows are not whole, what rows share is a point; or a
            posterior's rows have latents that are not summed out, of which the truth is not known.

    References: Talts, Betancourt, Simpson, Vehtari & Gelman 2018, arXiv:1804.06788; Saeilynoja, Schmitt, Buerkner & Vehtari 2025,
    "Posterior SBC: simulation-based calibration checking conditional on data", arXiv:2502.03279; and those of `ranks`.
    """
    pair = _pair_of(subject)
    at_least(FEWEST, simulations=simulations)
    at_least(0, seed=seed)
    how = _method(subject, method, guide, draws, Recipe(steps, lr=lr, compile=compile), particles, objective, warmup)
    where = choose_device(device)
    elsewhere = simulator is not None
    pair, simulator = (deepcopy(p).to(device=where, dtype=torch.get_default_dtype()) for p in (pair, simulator or pair))
    with seeded(seed, where), progress_line(f"calibrate {how.name} {type(pair).__name__}", how.steps, progress) as tell:
        made = _simulated(subject, simulator, rows, simulations, where)
        table = _named(subject, check_each(pair, made.rows))
        program = Program(pair, made.rows[0])
        if isinstance(subject, Posterior) or not program.parameters:
            program.refuse_amortised("calibrating a posterior" if program.parameters else "calibrate")
        program.missing = bool(made.rows.isnan().any())
        _same_sites(program, made.truth)
        fits, went = fit_each(program, made.rows, how, tell)
        made, fits = finite(made, fits, FEWEST)
        truth, drawn, labels = quantities(program, made, fits, table)
    went |= {"lost": simulations - len(made.rows), "elsewhere": elsewhere}
    return _judged(f"{type(pair).__name__} by {how.name}", how.name, truth, drawn, labels, went, np.random.default_rng(seed))


def _pair_of(subject: Any) -> Pair:
    if isinstance(subject, Pair):
        return subject
    if not isinstance(subject, Posterior):
        raise TypeError(f"the first argument must be a pair, such as zoo.create makes, or a posterior, not {type(subject).__name__}")
    if subject.table is None:
        raise ValueError(f"{subject.name} has not kept its rows, to which new ones are added; calibrate its pair instead")
    subject.refuse_foreign()
    return subject.pair


def _method(
    subject: Pair | Posterior,
    method: str | None,
    guide: str | None,
    draws: int | None,
    recipe: Recipe,
    particles: int,
    objective: str | None,
    warmup: int,
) -> Method:
    """How to fit: as a posterior was, unless told otherwise. Raises ValueError for what cannot be calibrated."""
    pair = _pair_of(subject)
    before = subject.how if isinstance(subject, Posterior) else {"method": "svi"}
    method = method or before.get("method")
    if method is None:
        raise ValueError(f"{subject.name} does not know by which method it was made; say method='nuts', or whichever is to be judged")
    if guide is None and method == before.get("method") == "svi" and before.get("guide", "its own") != "its own":
        guide = before["guide"]
    if method == "map" or guide == "map":
        raise ValueError("a point has no uncertainty to calibrate; use method='svi' with a guide, or 'nuts'")
    if method not in ("svi", *KERNELS):
        raise ValueError(unknown("method", method, ("svi", *KERNELS)))
    check_name(guide)
    draws = draws if draws is not None else 100 if method == "svi" else 400
    at_least(FEWEST, draws=draws)
    check_recipe(recipe, particles=particles, warmup=warmup)
    make = maker(objective or getattr(pair, "objective", "elbo"), particles)
    return Method(method, draws, recipe.compile, guide, make, recipe, warmup)


def _simulated(subject: Pair | Posterior, simulator: Pair, rows: Any, count: int, device: torch.device) -> Simulated:
    """The data sets, with the parameters behind them."""
    if isinstance(subject, Pair):
        return simulate(simulator, template(simulator, 20 if rows is None else rows, device), count)
    seen = subject.table.x.to(device, torch.get_default_dtype())
    like = hollow(simulator, seen, 0.0) if rows is None else template(simulator, rows, device)
    wanted, total = Program(simulator, seen).parameters, math.prod(subject.shape)
    chosen = torch.randperm(total, device=device)[:count] if count <= total else torch.randint(total, (count,), device=device)
    given = {n: d.to(seen).flatten(0, 1)[chosen] for n, d in subject.draws.items() if n in wanted}
    made = simulate(simulator, like, count, given)
    return Simulated(made.truth, torch.cat([seen.expand(count, *seen.shape), made.rows], 1))


def _named(subject: Pair | Posterior, table: Table) -> Table:
    """Simulated rows under the names of the columns that the pair was made for, or the posterior was fitted to."""
    names = variables(subject) if isinstance(subject, Posterior) else subject.columns
    return replace(table, **{"variables" if _pair_of(subject).any_length else "columns": names}) if names else table


def _same_sites(program: Program, truth: Values) -> None:
    wanted = {n: tuple(s.shape) for n, s in program.continuous.items()}
    made = {n: tuple(v.shape[1:]) for n, v in truth.items()}
    if wanted != made:
        raise ValueError(f"the simulator draws the latents {made}, and the pair that is fitted has {wanted}; they must agree")


def _judged(
    name: str, method: str, truth: np.ndarray, drawn: np.ndarray, labels: list[str], went: dict[str, Any], rng: np.random.Generator
) -> Calibration:
    effective = None
    if method != "svi":
        drawn, effective = thinned(drawn)
    found = ranks(truth, drawn, rng)
    table = summary(labels, truth, drawn, found, method, rng)
    table.loc[list(DENSITIES), "contraction"] = np.nan  # they depend on the data, and have no prior that data could shrink
    findings = judge(table, method, went, effective)
    return Calibration(name, dict(zip(labels, found.T, strict=True)), drawn.shape[1], table, findings)
