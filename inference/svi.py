"""Stochastic variational inference: fit the guide to the posterior by minimising the objective."""

import math
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from numbers import Real
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from .adversarial import Adversarial
from .fitting.guides import check_name, starts
from .fitting.restarts import Fits, fit_batch
from .fitting.validation import hold_out
from .graphs.compiling import Compile
from .graphs.graph import batched
from .graphs.unconstrained import fixed
from .memory import at_once
from .objective import Objective
from .objectives import OBJECTIVES, run_guide
from .pair import Pair
from .posterior import Posterior
from .program import Program, Values
from .progress import progress_line
from .recipe import Recipe, check_recipe, chosen
from .rows.stream import Rows, glance, streamed
from .run import at_least, open_door, seeded
from .saving.checkpoint import Checkpoint, fingerprint
from .suggest import unknown
from .undirected.contrastive import ContrastiveDivergence
from .weighted import WeightedELBO

KNOWN: dict[str, type[Objective]] = {**OBJECTIVES, "beta": WeightedELBO, "contrastive": ContrastiveDivergence, "adversarial": Adversarial}
# Which objective an option is of.
OPTIONS = {
    "alpha": "renyi",
    **dict.fromkeys(("beta", "warmup", "free_bits"), "beta"),
    **dict.fromkeys(("sweeps", "temperatures"), "contrastive"),
    **dict.fromkeys(("penalty", "cooling", "haste"), "adversarial"),
}


def svi(
    pair: Pair,
    x: Any,
    *,
    steps: int | None = None,
    batch: int | None = None,
    lr: float | None = None,
    particles: int | None = None,
    objective: str | None = None,
    alpha: float | None = None,
    guide: str | None = None,
    restarts: int = 1,
    sweeps: int | None = None,
    temperatures: int | None = None,
    beta: float | None = None,
    warmup: int | None = None,
    free_bits: float | None = None,
    penalty: float | None = None,
    cooling: int | None = None,
    haste: float | None = None,
    optimiser: str | None = None,
    schedule: Literal["settle", "constant", "cosine", "cycles"] | None = None,
    clip: float | None = None,
    validation: Any = None,
    patience: int = 10,
    draws: int | None = None,
    seed: int = 0,
    device: str = "auto",
    compile: Compile = "auto",
    progress: bool | None = None,
    checkpoint: str | Path | None = None,
) -> Posterior:
    """Fit `pair` to the rows `x` by variational inference; the pair that is handed in stays as it is.

    The optimiser runs until the loss has stopped falling and a lower learning rate no longer lowers it, or for `steps` steps;
    the fit is the average of the parameters over the last rate's steps (`schedule`). What is not given is as in the pair's `recipe`,
    or else as in `recipe.USUAL`.

    Arguments:
        x: rows, as `as_table` reads them; with `batch`, also rows that are streamed (`stream.as_stream`): a memory map, a large
            file, a torch Dataset, a sparse matrix. Then the pair's start sees 10,000 of them at most, and `lp` is left out.
        steps: at most so many (5000). batch: rows a step (default all), drawn anew each epoch.
        lr: the first learning rate (0.05). particles: draws from the guide a step (8).
        objective: "elbo", "iwae", "renyi" (of order `alpha`, 0.5 unless given), "mean_field"; "beta", with a weight `beta` on the
            divergence of rows' latents from their prior, that rises over `warmup` steps, and `free_bits` of it for nothing (1, 1 and
            0 unless given; `weighted.py`); "contrastive", for undirected pairs (`particles` chains that make `sweeps` a step, by
            parallel tempering at so many `temperatures`; 1 and 1 unless given); or "adversarial", for pairs that bring a critic, whose
            slope costs `penalty` (1 unless given), less and less over `cooling` steps, and which moves by `haste` times the learning rate
            (1 unless given; `adversarial.py`); by default the pair's own.
        guide: None (the pair's own), "map" (a point), or one of `inference.fitting.guides.AUTOMATIC`, Pyro's.
        restarts: independent starts, run as one batch; the one with the least final loss is kept and all are reported.
        optimiser: one of `inference.fitting.optimiser.NAMES`, torch's ("Adam"). clip: the largest norm of a gradient, if any.
        schedule: "settle" (the default), or all `steps` at a "constant" rate, along a "cosine", or along two, in
            "cycles" that tell what twice the steps gain.
        validation: rows to hold out, a fraction or a table. The fit stops when they have gained nothing for `patience` times 50
            steps, and what was best for them is kept.
        draws: posterior draws to take from the fitted guide (1000).
        seed: fixes every random number. device: "auto", "cpu" or "cuda". progress: True, False, or None: on a terminal.
        compile: whether to compile the step; "auto" does so where that is likely to save time.
        checkpoint: a folder to save the run to every ten seconds; the same call made again goes on from there.

    Returns: a Posterior of one chain (a single draw for "map"; none where rows share no latent, and what the pair's networks have
        learnt is a point); stats: `loss` (step,), `lp` and `log_q` (1, draw), left out where the guide draws latents of rows, and
        `validation` (step,) if rows were held out, `NaN` at the steps between.

    Raises:
        ValueError: bad rows, an argument out of range, a guide that does not match its model, or a loss that is not finite.
        TypeError: an automatic guide, or "map", for a pair whose rows have continuous latents of their own.
    """
    given = {"lr": lr, "particles": particles, "steps": steps, "draws": draws, "schedule": schedule, "optimiser": optimiser}
    lr, particles, steps, draws, schedule, optimiser = chosen(pair, given).values()
    recipe = Recipe(steps, batch, lr, optimiser, schedule, clip, patience, compile)
    check_recipe(recipe, particles=particles, restarts=restarts, draws=draws)
    at_least(0, seed=seed)
    check_name(guide)
    objective = objective or getattr(pair, "objective", "elbo")
    # A point needs no second draw: they are all the same.
    options = {"alpha": alpha, "sweeps": sweeps, "temperatures": temperatures, "beta": beta, "warmup": warmup}
    options |= {"free_bits": free_bits, "penalty": penalty, "cooling": cooling, "haste": haste}
    make = maker(objective, 1 if guide == "map" else particles, **options)
    _refuse_unranked(objective, restarts, validation)
    stream = streamed(x, batch)
    pair, table, rows = open_door(pair, x if stream is None else glance(stream), device)
    stream = stream and stream.in_order(table)
    settings = asdict(recipe) | {"particles": particles, "objective": objective, **options, "restarts": restarts, "draws": draws}
    begin = time.perf_counter()
    with seeded(seed, rows.device), progress_line(f"svi {type(pair).__name__}", steps, progress) as tell:
        table, held = hold_out(pair, table, validation, stream is not None)
        rows, held = table.x.to(rows.device), held and held.x.to(rows.device)
        settings["validation"] = validation if held is None or isinstance(validation, Real) else f"{len(held)} rows of their own"
        source = rows if stream is None else stream
        _check_batch(batch, len(source))
        how = {"method": "map" if guide == "map" else "svi", "guide": guide or "its own", "settings": settings, "seed": seed}
        program = Program(pair, rows)
        if guide is not None:
            program.refuse_amortised(f"guide={guide!r}")
        saved = checkpoint and Checkpoint(checkpoint, _identity(pair, rows, len(source), held, how))
        fits, best, fitted = _fit(program, source, guide, restarts, make, recipe, held=held, tell=tell, checkpoint=saved)
        count = 1 if guide == "map" or not program.parameters else draws
        values, derived, stats = _draw(fitted, rows, count, whole=stream is None and not program.amortised)
        how |= {"steps": len(fits.loss), "stopped": fits.stopped, "restarts": fits.final.tolist(), "fixed": fixed(program, rows)}
    how |= {"device": str(rows.device), "seconds": time.perf_counter() - begin}
    posterior = Posterior.of(pair, {**values, **derived}, {**fits.curves(best), **stats}, how, table, len(source))
    posterior = posterior.normalised(seed=seed) if pair.undirected else posterior
    return posterior if stream is None else replace(posterior, table=None)


def _check_batch(batch: int | None, rows: int) -> None:
    if batch is not None and batch > rows:
        raise ValueError(f"batch={batch} is more than the {rows} rows; leave it out to use all rows in every step")


def maker(objective: str, particles: int, **options: Any) -> Callable[[Program, Callable], Objective]:
    """What makes the objective of a program and its guide. options: `OPTIONS`, None where they were not given.

    Raises ValueError for an objective that there is not, an option that is not its own, or one out of range.
    """
    if objective not in KNOWN:
        raise ValueError(unknown("objective", objective, KNOWN))
    given = {name: value for name, value in options.items() if value is not None}
    for name, value in given.items():
        if OPTIONS[name] != objective:
            raise ValueError(f"{name}={value!r} is an option of objective={OPTIONS[name]!r}; {objective!r} has none of that name")
    alpha = given.get("alpha", 1.0)
    if not isinstance(alpha, Real) or not math.isfinite(alpha):
        raise ValueError(f"alpha={alpha!r} must be a number: 1 is the ELBO, 0 the importance weighted bound")
    for name in ("beta", "free_bits", "penalty"):
        if not isinstance(given.get(name, 1.0), Real) or not 0 <= given.get(name, 1.0) < math.inf:
            raise ValueError(f"{name}={given[name]!r} must be a number of at least 0")
    if not isinstance(given.get("haste", 1.0), Real) or not 0 < given.get("haste", 1.0) < math.inf:
        raise ValueError(f"haste={given['haste']!r} must be a number above 0: how many times the learning rate the critic moves by")
    at_least(1, **{name: given.get(name) for name in ("sweeps", "temperatures", "warmup", "cooling")})
    return partial(KNOWN[objective], particles=particles, **given)


def _refuse_unranked(objective: str, restarts: int, validation: Any) -> None:
    if KNOWN[objective].ranks:
        return
    for name, given in {"restarts": restarts > 1, "validation": validation is not None}.items():
        if given:
            raise ValueError(
                f"{name}: the loss of objective={objective!r} does not tell which of two fits is the better; leave it out, fit with "
                "several seeds, and compare what they say of rows that were held out"
            )


def _fit(
    program: Program,
    source: Tensor | Rows,
    guide: str | None,
    restarts: int,
    make: Callable[[Program, Callable], Objective],
    recipe: Recipe,
    **watching: Any,
) -> tuple[Fits, int, Objective]:
    """All fits, the number of the best, and the objective at its parameters. watching: what else `fit_batch` takes.

    Raises MemoryError where the GPU has too little.
    """
    objective, begins = starts(program, guide, [program.x] * restarts, make)
    try:
        fits = fit_batch(objective, begins, source, recipe, **watching)
    except torch.OutOfMemoryError as error:
        raise MemoryError("the GPU's memory does not hold a step; give batch=, fewer particles or restarts, or device='cpu'") from error
    best = int(fits.final.argmin())
    objective.load_state_dict(fits.one(best), strict=False)
    return fits, best, objective


def _identity(pair: Pair, rows: Tensor, size: int, held: Tensor | None, how: dict[str, Any]) -> dict[str, Any]:
    """What makes a run the same run, for its checkpoint."""
    named = {"pair": f"{type(pair).__module__}:{type(pair).__qualname__}", "hyperparameters": pair.hyperparameters}
    return {**how, **named, "rows": fingerprint(rows), "size": size, "held": None if held is None else fingerprint(held)}


def _draw(objective: Objective, x: Tensor, count: int, whole: bool) -> tuple[Values, Values, Values]:
    """`count` draws from the guide: (1, count, ...) of the sites, of the derived ones, and their statistics.

    whole: whether `x` is all rows, and all that they have of their own is summed out. The log density of a sample of them is no
    substitute: it has another posterior.
    """
    program = objective.program

    def one(_: Tensor) -> tuple[Values, Values, Values]:
        values, log_q = run_guide(program, objective.guide, x)
        shared = {name: values[name] for name in program.parameters}
        densities = {"lp": program.log_joint(values, x), "log_q": log_q} if whole else {}
        return shared, program.derive(shared, x), densities

    chunk = at_once(x.numel())
    parts = batched(one, program.missing, chunk)(x.new_zeros(count))
    return tuple({name: value[None] for name, value in part.items()} for part in parts)
