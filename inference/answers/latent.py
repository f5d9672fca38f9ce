"""What a posterior says about the latents of rows: their probabilities, and what is missing."""

import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd
import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.func import vmap

from ..amortised import SAMPLES, given_rows, log_weight, moments
from ..covariates import hollow, split
from ..graphs.graph import batched
from ..memory import at_once
from ..program import Program, Values
from ..record import variables
from ..rows.table import Table
from ..run import at_least, seeded
from ..undirected.gibbs import completed
from .angles import turned
from .predictive import averaged, new_row, over_draws, program_for, row_chunks
from .refill import drawn, refilled

if TYPE_CHECKING:
    from ..posterior import Posterior


class Encoded(NamedTuple):
    """The mean of a continuous latent of each row, and its standard deviation: that of its law given the row, over all draws."""

    mean: pd.DataFrame | Tensor
    sd: pd.DataFrame | Tensor


class Imputed(NamedTuple):
    """Rows whose holes are filled by the mean of their posterior, and its standard deviation (zero where observed)."""

    mean: pd.DataFrame | Tensor
    sd: pd.DataFrame | Tensor


def encode(posterior: "Posterior", x: Any) -> Any:
    """See `Posterior.encode`."""
    posterior.pair.refuse_unsuited("encode")
    program, table = program_for(posterior, x)
    if not program.knows("latents") and not program.locals:
        raise TypeError(f"{posterior.name}: its rows have no latent to encode")
    each = SAMPLES if program.amortised and len(program.locals) > len(program.amortised) else 1
    parts = row_chunks(program, each) if each > 1 else [program]
    with seeded(0, posterior.device):
        found = [averaged(posterior, part, partial(conditionals, part), posterior.aligned, each) for part in parts]
    averages = {name: [torch.cat(moment) for moment in zip(*(part[name] for part in found), strict=True)] for name in found[0]}
    out = {name: dressed(posterior, table, name, told(*moments, dtype=table.x.dtype)) for name, moments in averages.items()}
    return next(iter(out.values())) if len(out) == 1 else out


def conditionals(program: Program, values: Values, x: Tensor) -> dict[str, tuple[Tensor, ...]]:
    """Of each latent given its row: its probabilities, or its mean and mean square."""
    found: dict[str, tuple[Tensor, ...]] = {}
    if program.amortised:
        found |= moments(program, values, x)
    if len(program.locals) > len(program.amortised):
        found |= {name: (probabilities,) for name, probabilities in _probabilities(program, values, x).items()}
    if program.knows("latents"):
        law, rows = program.observation(values, x)
        for name, latent in law.latents(rows).items():
            found[name] = averages(latent)
    return found


def _probabilities(program: Program, values: Values, x: Tensor) -> Values:
    """(rows, categories) of every discrete latent; over draws of the continuous ones, by their importance, where there are such."""
    if not program.amortised:
        return program.marginals(values, x)

    def one(_: Tensor) -> tuple[Tensor, Values]:
        latents, log_w = log_weight(program, values, x)
        return log_w, program.marginals(values | latents, x)

    log_w, each = vmap(one, randomness="different")(x.new_zeros(SAMPLES))
    shares = log_w.softmax(0)
    return {name: torch.einsum("sn,snk->nk", shares, probabilities) for name, probabilities in each.items()}


def averages(law: TorchDistribution) -> tuple[Tensor, ...]:
    """What is averaged over draws of the law of a latent: its probabilities, or its mean and mean square."""
    return (law.probs,) if law.has_enumerate_support else (law.mean, law.variance + law.mean.square())


def told(mean: Tensor, square: Tensor | None = None, *, dtype: torch.dtype) -> Tensor | Encoded:
    """These averages as they are told: probabilities, or mean and sd."""
    return mean.to(dtype) if square is None else Encoded(mean.to(dtype), (square - mean.square()).clamp(min=0).sqrt().to(dtype))


def dressed(posterior: "Posterior", table: Table, name: str, found: Tensor | Encoded) -> Any:
    """What is told of the latent `name` of rows (rows, *latent), or of their steps (rows, time, *latent), in the form in which the rows
    came, under the labels of its axes."""
    if isinstance(found, Encoded):
        return Encoded(*(dressed(posterior, table, name, moment) for moment in found))
    found = found[:, None] if found.dim() == 1 else found
    by_step = table.steps is not None and found.dim() > 1 + len(axes_of(posterior, name))
    if by_step and found.dim() == 2:
        return table.dress_steps(found, name)
    labels = labels_of(posterior, table, name, found.shape[1 + by_step :])
    return table.dress_steps(found, labels) if by_step else table.dress(found, labels)


def axes_of(posterior: "Posterior", name: str) -> tuple[str, ...]:
    """What the axes of a latent are called; "" that of one whose pair does not say."""
    return posterior.pair.dims.get(name, ("",))


def labels_of(posterior: "Posterior", table: Table, name: str, shape: torch.Size, **before: int) -> pd.Index:
    """What lies along the last axes of a latent, of these sizes, as columns: of several levels if there are several axes.

    before: name and size of other axes, which are numbered and come first.
    """
    known = posterior.pair.coords(variables(posterior) or table.columns)
    axes = axes_of(posterior, name)[-len(shape) :] if shape else ()
    axes = axes if len(axes) == len(shape) else [f"axis{i}" for i in range(len(shape))]
    own = {axis: [str(label) for label in known.get(axis, range(size))] for axis, size in zip(axes, shape, strict=True)}
    levels = {name: range(size) for name, size in before.items()} | own
    return pd.MultiIndex.from_product(levels.values(), names=list(levels)) if len(levels) > 1 else pd.Index(*levels.values())


def reconstruct(posterior: "Posterior", x: Any, samples: int, seed: int) -> Any:
    """See `Posterior.reconstruct`."""
    posterior.pair.refuse_unsuited("encode")
    at_least(1, samples=samples)
    at_least(0, seed=seed)
    program, table = program_for(posterior, x)
    if not program.knows("reconstruct"):
        if not program.locals:
            raise TypeError(f"{posterior.name}: its rows have no latent by which they could be reconstructed")
        if not program.has_mean:
            raise TypeError(f"{posterior.name}: the distribution of {program.observed[0]!r} has no mean to reconstruct a row by")
    each = samples if program.amortised else 1
    with seeded(seed, posterior.device):
        parts = [averaged(posterior, part, partial(_expected, part, each), posterior.draws, each) for part in row_chunks(program, each)]
    return table.dress_like(torch.cat(parts).to(table.x))


def _expected(program: Program, samples: int, values: Values, x: Tensor) -> Tensor:
    """(rows, ...) the mean of a row through its latents, given what rows share."""
    if program.knows("reconstruct"):
        law, rows = program.observation(values, x)
        return law.reconstruct(rows).reshape(x.shape)
    if not program.amortised:
        return program.expected(values, x)
    drawn = vmap(lambda _: program.expected(values | given_rows(program, values, x)[0], x), randomness="different")
    return drawn(x.new_zeros(samples)).mean(0)


def impute(posterior: "Posterior", x: Any, seed: int) -> Imputed:
    """See `Posterior.impute`."""
    posterior.pair.refuse_unsuited("impute")
    program, table = program_for(posterior, x)
    if not program.missing:
        return Imputed(table.dress_like(table.x), table.dress_like(torch.zeros_like(table.x)))
    with seeded(seed, posterior.device):
        holes = program.x.isnan()
        incomplete = holes.flatten(1).any(1)
        sparse = Program(posterior.pair, program.x[incomplete])
        if sparse.amortised:
            found = refilled(posterior, sparse, _fill)
        else:
            filled = over_draws(posterior, sparse, lambda values, x: _fill(sparse, values, x), posterior.draws).double()
            filled = turned(posterior.pair, filled)
            found = filled.mean(0), filled.std(0, correction=0)
    mean, sd = program.x.clone(), torch.zeros_like(program.x)
    mean[incomplete], sd[incomplete] = (moment.to(mean) for moment in found)
    mean, sd = torch.where(holes, mean, program.x), torch.where(holes, sd, 0.0)
    return Imputed(table.dress_like(mean), table.dress_like(sd))


def complete(posterior: "Posterior", x: Any, seed: int) -> Any:
    """See `Posterior.generate`."""
    posterior.pair.refuse_unsuited("generate")
    posterior.pair.refuse_unsuited("impute")
    at_least(0, seed=seed)
    program, table = program_for(posterior, x)
    with seeded(seed, posterior.device):
        if posterior.pair.undirected:
            new = completed(program, program.x)[0]
        elif program.amortised:
            new = _drawn(posterior, program)
        else:
            new = _each_by_a_draw(posterior, program, _fill)
    return table.dress_like(new.to(table.x))


def _drawn(posterior: "Posterior", program: Program) -> Tensor:
    """(rows, ...) the rows with their holes filled; those of which nothing is seen, covariates apart, as the model makes new ones."""
    empty, new = split(program.pair, program.x)[0].isnan().flatten(1).all(1), program.x.clone()
    if empty.any():
        blank = Program(program.pair, hollow(program.pair, program.x[empty], 0.0))
        new[empty] = _each_by_a_draw(posterior, blank, new_row).reshape(blank.x.shape).to(new)
    if not empty.all():
        new[~empty] = drawn(posterior, Program(program.pair, program.x[~empty]), _fill)
    return new


def _each_by_a_draw(posterior: "Posterior", program: Program, make: Callable[[Program, Values, Tensor], Tensor]) -> Tensor:
    """(rows, ...) what `make` makes of each row (1, ...), given a draw of the posterior at random."""
    chosen = torch.randint(math.prod(posterior.shape), (len(program.x),), device=posterior.device)
    values = {name: posterior.draws[name].flatten(0, 1)[chosen] for name in program.parameters}

    def one(draw: tuple[Values, Tensor], _: Tensor) -> Tensor:
        return make(program, draw[0], draw[1][None])[0]

    return batched(one, program.missing, at_once(8 * program.x[0].numel()))((values, program.x), chosen)


def _fill(program: Program, values: Values, x: Tensor) -> Tensor:
    site = program.draw_rows(values, x).nodes[program.observed[0]]
    if hasattr(site["fn"], "fill"):
        return site["fn"].fill(site["value"]).reshape(x.shape)
    return torch.where(x.isnan(), site["fn"].sample().reshape(x.shape), x)
