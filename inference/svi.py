"""Stochastic variational inference: fit the guide to the posterior by minimising the objective."""

import math
import time
from numbers import Real
from typing import Any, NamedTuple

import pyro
import torch
from torch import Tensor, nn
from torch.func import grad_and_value

from .graph import batched, traced
from .guides import check_name, choose_guide
from .objectives import NegativeELBO, check_guide, run_guide
from .pair import Pair
from .posterior import Posterior
from .program import Program, Values
from .progress import Tell, progress_line
from .run import at_least, open_door, seeded
from .schedule import WINDOW, Average, Settling
from .unconstrained import fixed


class Fit(NamedTuple):
    """One optimisation: what was minimised, the fitted parameters, the loss at every step (step,), and why it stopped."""

    objective: NegativeELBO
    parameters: dict[str, Tensor]
    loss: Tensor
    stopped: str

    @property
    def final(self) -> float:
        return float(self.loss[-WINDOW:].mean())


def svi(
    pair: Pair,
    x: Any,
    *,
    steps: int = 5000,
    batch: int | None = None,
    lr: float = 0.05,
    particles: int = 1,
    guide: str | None = None,
    restarts: int = 1,
    draws: int = 1000,
    seed: int = 0,
    device: str = "auto",
    progress: bool | None = None,
) -> Posterior:
    """Fit `pair` to the rows `x` by variational inference; the pair that is handed in stays as it is.

    Adam runs until the loss has stopped falling and a lower learning rate no longer lowers it, or for `steps` steps; the fit is
    the average of the parameters over the last rate's steps (`schedule`).

    Arguments:
        x: rows, as `as_table` reads them.
        steps: at most so many. batch: rows a step (default all), drawn anew each epoch. lr: Adam's first rate.
        particles: draws from the guide a step. draws: posterior draws to take from the fitted guide.
        guide: None (the pair's own), "map" (a point), or one of `inference.guides.AUTOMATIC`, Pyro's.
        restarts: independent starts; the one with the least final loss is kept and all are reported.
        seed: fixes every random number. device: "auto", "cpu" or "cuda". progress: True, False, or None: on a terminal.

    Returns: a Posterior of one chain (a single draw for "map"); stats: `loss` (step,), `lp` and `log_q` (1, draw).

    Raises:
        ValueError: bad rows, an argument out of range, a guide that does not match its model, or a loss that is not finite.
    """
    settings = {"steps": steps, "batch": batch, "lr": lr, "particles": particles, "restarts": restarts, "draws": draws}
    _check_settings(**settings)
    at_least(0, seed=seed)
    check_name(guide)
    pair, table, rows = open_door(pair, x, device)
    if batch is not None and batch > len(rows):
        raise ValueError(f"batch={batch} is more than the {len(rows)} rows; leave it out to use all rows in every step")
    begin = time.perf_counter()
    with seeded(seed, rows.device), progress_line(f"svi {type(pair).__name__}", steps * restarts, progress) as tell:
        program = Program(pair, rows)
        program.refuse_continuous_locals()
        fits = []
        for i in range(restarts):
            objective = _objective(program, guide, particles, rows)
            fits.append(_fit(objective, rows, batch, steps, lr, lambda n, note, i=i: tell(i * steps + n, note)))
        fit = min(fits, key=lambda fit: fit.final)
        fit.objective.load_state_dict(fit.parameters, strict=False)
        values, derived, stats = _draw(fit.objective, rows, 1 if guide == "map" else draws)
        known = fixed(program, rows)
    how = {
        "method": "map" if guide == "map" else "svi",
        "guide": guide or "its own",
        "steps": len(fit.loss),
        "stopped": fit.stopped,
        "restarts": [f.final for f in fits],
        "settings": settings,
        "fixed": known,
        "seed": seed,
        "device": str(rows.device),
        "seconds": time.perf_counter() - begin,
    }
    return Posterior.of(pair, {**values, **derived}, {"loss": fit.loss, **stats}, how, table)


def _check_settings(lr: float, **counts: int | None) -> None:
    at_least(1, **counts)
    if not isinstance(lr, Real) or not 0 < lr < math.inf:
        raise ValueError(f"lr={lr!r} must be a positive number")


def _objective(program: Program, guide: str | None, particles: int, x: Tensor) -> NegativeELBO:
    with torch.no_grad(), pyro.settings.context(module_local_params=True):
        program.pair.start(x)
        start, _ = run_guide(program, program.pair.guide, x) if guide else ({}, None)
        chosen = choose_guide(guide, program, x, start)
    check_guide(program, chosen, x)
    return NegativeELBO(program, chosen, particles)


def _fit(objective: NegativeELBO, x: Tensor, batch: int | None, steps: int, lr: float, tell: Tell) -> Fit:
    values = {n: p.detach().clone() for n, p in objective.named_parameters()}
    rows = batch or len(x)
    step = traced(grad_and_value(objective.loss), values, x[:rows], missing=objective.program.missing)
    optimiser = torch.optim.Adam([nn.Parameter(v) for v in values.values()], lr)
    leaves = optimiser.param_groups[0]["params"]
    settling, average, last = Settling(optimiser), Average(leaves), leaves
    losses, order, stopped = x.new_empty(steps), None, f"reached the limit of {steps} steps with the loss still settling"
    for i in range(steps):
        at = i * rows % (len(x) // rows * rows)
        if rows < len(x) and at == 0:
            order = torch.randperm(len(x), device=x.device)
        chunk = x if order is None else x[order[at : at + rows]]
        grads, losses[i] = step({n: p.detach() for n, p in zip(values, leaves, strict=True)}, chunk)
        for parameter, name in zip(leaves, values, strict=True):
            parameter.grad = grads[name]
        optimiser.step()
        average.take(settling.fresh)
        if (i + 1) % WINDOW == 0 and _settled(losses[: i + 1], settling, tell):
            stopped, last = f"converged after {i + 1} steps: a lower learning rate no longer lowers the loss", average.values
            break
    losses = losses[: i + 1]
    if not losses[-1].isfinite():
        _explain_divergence(losses)
    return Fit(objective, {n: p.detach() for n, p in zip(values, last, strict=True)}, losses.detach(), stopped)


def _settled(losses: Tensor, settling: Settling, tell: Tell) -> bool:
    window = losses[-WINDOW:]
    if not window[-1].isfinite():
        _explain_divergence(losses)
    tell(len(losses), f"loss {float(window.mean()):.4g}")
    return settling.done(window)


def _explain_divergence(losses: Tensor) -> None:
    first = int((~losses.isfinite()).nonzero()[0])
    raise ValueError(
        f"the loss became {float(losses[first])} at step {first + 1} of {len(losses)}. "
        "Lower lr, or put the columns on a common scale; priors scaled to the data (zoo.create with x) help too."
    )


def _draw(objective: NegativeELBO, x: Tensor, count: int) -> tuple[Values, Values, Values]:
    program = objective.program

    def one(_: Tensor) -> tuple[Values, Values, Tensor, Tensor]:
        values, log_q = run_guide(program, objective.guide, x)
        shared = {n: v for n, v in values.items() if n in program.parameters}
        return shared, program.derive(values, x), program.log_joint(values, x), log_q

    chunk = max(1, 20_000_000 // max(1, x.numel()))
    shared, derived, log_p, log_q = batched(one, program.missing, chunk)(x.new_zeros(count))
    single = {n: v[None] for n, v in shared.items()}, {n: v[None] for n, v in derived.items()}
    return *single, {"lp": log_p[None], "log_q": log_q[None]}
