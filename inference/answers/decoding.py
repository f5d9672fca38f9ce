"""Rows made of latents that are chosen, and not found in a row: their mean, and draws of them."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions.constraints import Constraint

from ..covariates import hollow, refuse_untold
from ..graphs.graph import batched
from ..program import Program, Values, run_unobserved
from ..run import at_least, seeded
from .latent import Encoded, encode
from .predictive import averaged, new_row, program_for

if TYPE_CHECKING:
    from ..posterior import Posterior

Decoder = Callable[[Tensor], Tensor]


class Latent(NamedTuple):
    """What a latent of a row may be."""

    shape: torch.Size
    support: Constraint
    discrete: bool


def expected(posterior: "Posterior", latents: Any, given: Any = None) -> Any:
    """See `Posterior.expected`."""
    program, chosen = _chosen(posterior, latents, given)
    refuse_no_mean(posterior, program)
    mean = averaged(posterior, program, lambda values, x: law_given(program, values | chosen, x).mean.reshape(x.shape), posterior.aligned)
    return dressed(posterior, mean.to(program.x))


def drawn(posterior: "Posterior", latents: Any, seed: int, given: Any = None) -> Any:
    """See `Posterior.generate`."""
    at_least(0, seed=seed)
    program, chosen = _chosen(posterior, latents, given, some=True)
    names, count = [*program.parameters], len(program.x)
    with seeded(seed, posterior.device):
        which = torch.randint(posterior.shape[0] * posterior.shape[1], (count,), device=posterior.device)
        values = {name: posterior.aligned[name].flatten(0, 1)[which] for name in names}

        def one(drawn: tuple[Values, Values, Tensor, Tensor]) -> Tensor:
            shared, row, x = drawn[0], {name: value[None] for name, value in drawn[1].items()}, drawn[2][None]
            if program.knows("given"):
                return law_given(program, shared | row, x).sample()
            return new_row(program, shared | row, x)

        new = batched(one, missing=False)((values, chosen, program.x, which))
    return dressed(posterior, new.reshape(program.x.shape))


def law_given(program: Program, values: Values, x: Tensor) -> TorchDistribution:
    """The distribution of rows given what they share and their latents, all in `values`; `x` has their shape."""
    law, _ = program.observation(values, x)
    return law.given(values) if program.knows("given") else law


def refuse_no_mean(posterior: "Posterior", program: Program) -> None:
    """Raise TypeError where the rows of the pair have no mean."""
    if not program.knows("given") and not program.has_mean:
        raise TypeError(f"{posterior.name}: the distribution of {program.observed[0]!r} has no mean, such as categories have none")


def _chosen(posterior: "Posterior", latents: Any, rows: Any = None, some: bool = False) -> tuple[Program, Values]:
    """The model on as many rows as there are chosen latents, and these, checked, by name.

    rows: that hold the covariates of a pair which has some. some: whether others may be left to chance.
    """
    like, shape = posterior.like, posterior.how["row_shape"]
    program = Program(posterior.pair, like.new_zeros(1, *shape))
    sites = _latents(posterior, program)
    given = latents.mean if isinstance(latents, Encoded) else latents
    given = dict(given) if isinstance(given, Mapping) and not isinstance(given, pd.DataFrame) else {next(iter(sites)): given}
    if not (set(given) <= set(sites) and given if some and not program.knows("given") else set(given) == set(sites)):
        raise ValueError(f"{posterior.name}: give all the latents of a row, {', '.join(map(repr, sites))}, and not {', '.join(given)}")
    values = {name: _checked(posterior, name, as_tensor(given[name], like), sites[name]) for name in sites if name in given}
    counts = {len(value) for value in values.values()}
    if len(counts) > 1:
        raise ValueError(f"{posterior.name}: the latents are of different numbers of rows: {sorted(counts)}")
    return Program(posterior.pair, _blank(posterior, counts.pop(), rows)), values


def _blank(posterior: "Posterior", count: int, rows: Any) -> Tensor:
    """(count, ...) rows of zeros but for the covariates, which are those of `rows`. Raises ValueError for rows that are not as many."""
    if rows is None:
        refuse_untold(posterior.pair, "hand in rows that hold these: given=rows")
        return posterior.like.new_zeros(count, *posterior.how["row_shape"])
    known = program_for(posterior, rows)[0].x
    if len(known) not in (1, count):
        raise ValueError(f"{posterior.name}: there are {count} latents, and {len(known)} rows are given; give as many, or one for all")
    return hollow(posterior.pair, known, 0.0).expand(count, *known.shape[1:])


def _checked(posterior: "Posterior", name: str, value: Tensor, latent: Latent) -> Tensor:
    """Chosen values of a latent. Raises ValueError for another shape, and for what lies outside its support."""
    if value.dim() == 0 or value.shape[1:] != latent.shape or not len(value):
        wanted = ", ".join(["rows", *map(str, latent.shape)])
        raise ValueError(f"{posterior.name}: the latents {name!r} must have shape ({wanted}), not {tuple(value.shape)}")
    fits = value.reshape(len(value), -1).isfinite().all(1) & latent.support.check(value.nan_to_num()).reshape(len(value), -1).all(1)
    if not fits.all():
        row = int((~fits).nonzero()[0])
        raise ValueError(f"{posterior.name}: row {row} of the latents {name!r} is {value[row].tolist()}, which it cannot be")
    return value.long() if latent.discrete else value


def _latents(posterior: "Posterior", program: Program) -> dict[str, Latent]:
    """Each latent of a row. Raises TypeError where rows have none that could be chosen."""
    if program.knows("given"):
        values = {name: draws[0, 0] for name, draws in posterior.draws.items() if name in program.parameters}
        law, rows = program.observation(values, program.x)
        return {name: Latent(found.event_shape, found.support, found.has_enumerate_support) for name, found in law.latents(rows).items()}
    if not program.locals:
        raise TypeError(f"{posterior.name}: its rows have no latents to choose")
    return {name: Latent(site.shape[1:], site.support, site.discrete) for name, site in program.locals.items()}


def dressed(posterior: "Posterior", rows: Tensor) -> Any:
    """Rows in the form of those fitted."""
    named = posterior.how["frame"] and rows.dim() == 2
    return pd.DataFrame(rows.cpu().numpy(), columns=posterior.how["columns"]) if named else rows


def as_tensor(values: Any, like: Tensor) -> Tensor:
    """Numbers of any kind as a tensor of their own."""
    return values.to(like).detach() if isinstance(values, Tensor) else torch.tensor(np.asarray(values).tolist()).to(like)


def codes(posterior: "Posterior", x: Any) -> Tensor:
    """(rows, Q) the mean of each row's latent. Raises TypeError where rows have several latents, or none that is a vector."""
    found = encode(posterior, program_for(posterior, x)[1].x)
    if not isinstance(found, Encoded) or np.asarray(found.mean).ndim != 2:
        raise TypeError(f"{posterior.name}: its rows have no single latent of several numbers to move in")
    return as_tensor(found.mean, posterior.like)


def prior_codes(posterior: "Posterior", count: int) -> Tensor:
    """(count, Q) draws of the latent of rows from its prior, at the posterior's first draw. Raises TypeError as `codes` does."""
    program = Program(posterior.pair, posterior.like.new_zeros(1, *posterior.how["row_shape"]))
    latents = _latents(posterior, program)
    if len(latents) != 1 or program.knows("given") or len(next(iter(latents.values())).shape) != 1:
        raise TypeError(f"{posterior.name}: its rows have no single latent of several numbers to move in")
    shared = {name: posterior.aligned[name][0, 0] for name in program.parameters}
    with seeded(0, posterior.device):
        drawn = run_unobserved(posterior.pair.model, shared, program.x.expand(count, *program.x.shape[1:]))
    return drawn.nodes[next(iter(latents))]["value"].detach()


def decoder(posterior: "Posterior", draws: int) -> tuple[Program, Decoder]:
    """A function, for torch's transforms, from latents (rows, Q) to the mean of their rows (rows, numbers), over so many draws."""
    refuse_untold(posterior.pair, "ask for rows of chosen latents: posterior.expected(latents, given=rows)")
    program = Program(posterior.pair, posterior.like.new_zeros(1, *posterior.how["row_shape"]))
    refuse_no_mean(posterior, program)
    (name,) = _latents(posterior, program)
    total = posterior.shape[0] * posterior.shape[1]
    which = torch.linspace(0, total - 1, min(draws, total), device=posterior.device).round().long()
    shared = {n: posterior.aligned[n].flatten(0, 1)[which] for n in program.parameters}

    def one(given: Values, latents: Tensor) -> Tensor:
        x = latents.new_zeros(len(latents), *program.x.shape[1:])
        return law_given(program, given | {name: latents}, x).mean.flatten(1)

    def decode(latents: Tensor) -> Tensor:
        return torch.func.vmap(partial(one, latents=latents))(shared).mean(0) if shared else one({}, latents)

    return program, decode
