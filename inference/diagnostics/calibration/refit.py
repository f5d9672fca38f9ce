"""Fits of one pair to many data sets, all at once on the device, by the method that is to be judged."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call, vmap

from ...fitting.guides import starts
from ...fitting.restarts import fit_batch
from ...graphs.compiling import Compile
from ...graphs.graph import batched
from ...mcmc.run import draw_each
from ...memory import at_once
from ...objectives import RenyiBound, run_guide
from ...program import Program, Values
from ...progress import Tell
from ...recipe import Recipe


@dataclass(frozen=True)
class Method:
    """How to fit. name: "svi" or a kernel. draws: of each posterior. settings: of `svi` and `mcmc`, what each calls its own."""

    name: str
    draws: int
    compile: Compile
    guide: str | None
    make: Callable[[Program, Callable], RenyiBound]
    recipe: Recipe
    warmup: int

    @property
    def steps(self) -> int:
        """How many steps or transitions a fit takes at most."""
        return self.recipe.steps if self.name == "svi" else self.warmup + self.draws


def fit_each(program: Program, rows: Tensor, method: Method, tell: Tell) -> tuple[Values, dict[str, Any]]:
    """Draws (simulation, draw, *site) from the posterior given each data set of `rows` (simulation, rows, ...), and how it went.

    They are of what rows share, and of latents of rows that are not summed out.
    As many data sets are fitted in one batch as memory is sure to hold.

    Raises: what the method raises; KeyboardInterrupt where it was cut short.
    """
    fit = _by_guide if method.name == "svi" else _by_chains
    parts = [fit(program, part, method, tell) for part in rows.split(at_once(64 * rows[0].numel()))]
    draws = {name: torch.cat([values[name] for values, _ in parts]) for name in program.continuous}
    return draws, {name: [how[name] for _, how in parts] for name in parts[0][1]}


def _by_guide(program: Program, rows: Tensor, method: Method, tell: Tell) -> tuple[Values, dict[str, Any]]:
    objective, begins = starts(program, method.guide, rows, method.make)
    if begins:
        fits = fit_batch(objective, begins, rows, method.recipe, tell=tell)
        if fits.stopped.startswith("interrupted"):
            raise KeyboardInterrupt
        begins, stopped = fits.parameters, fits.stopped
    else:
        stopped = "took all 0 steps: the guide has no parameters"

    def one(given: tuple[Values, Tensor]) -> Values:
        guide, x = given

        def draw(_: Tensor) -> Values:
            values, _ = functional_call(objective, guide, (run_guide, program, objective.guide, x))
            return {name: values[name] for name in program.continuous}

        return vmap(draw, randomness="different")(x.new_zeros(method.draws))

    return batched(one, program.missing, _at_once(rows, method.draws))((begins, rows)), {"stopped": stopped}


def _by_chains(program: Program, rows: Tensor, method: Method, tell: Tell) -> tuple[Values, dict[str, Any]]:
    settings = {"kernel": method.name, "warmup": method.warmup, "draws": method.draws, "thin": 1}
    # A seed for each batch: chains of the same number in two batches would share their noise.
    values, stats = draw_each(program, rows, settings, int(torch.randint(2**31, ())), method.compile, tell)
    return values, {"diverging": int(stats["diverging"].sum())}


def densities(program: Program, draws: Values, rows: Tensor) -> Values:
    """Of each draw (simulation, draw, *site) and its data set: the log density of both, of the rows alone, and what is derived."""

    def one(values: Values, x: Tensor) -> Values:
        joint, likelihood = program.log_joint(values, x), program.log_rows(values, x).sum(dtype=torch.double)
        shared = {name: values[name] for name in program.parameters}
        return {"log joint": joint, "log likelihood": likelihood, **program.derive(shared, x)}

    def each(given: tuple[Values, Tensor]) -> Values:
        values, x = given
        return vmap(one, (0, None), randomness="different")(values, x)

    count = next(iter(draws.values())).shape[1]
    return batched(each, program.missing, _at_once(rows, count))((draws, rows))


def _at_once(rows: Tensor, draws: int) -> int:
    return at_once(8 * draws * rows[0].numel())
