"""What a posterior says about rows: their density, and new ones."""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from scipy.special import logsumexp
from torch import Tensor
from torch.distributions import biject_to
from torch.utils._pytree import tree_map

from ..amortised import SAMPLES, log_evidence
from ..covariates import refuse_untold, rows_for
from ..graphs.graph import batched
from ..graphs.lacking import explained
from ..memory import at_once
from ..program import Program, Values, run_unobserved
from ..record import blank_row, columns, frame, names, row_shape
from ..rows.table import Table, in_order
from ..run import at_least, seeded
from ..undirected.gibbs import completed

if TYPE_CHECKING:
    from ..posterior import Posterior

LOGS = 10_000_000
# Draws looked at for being possible at all, and how far from what is, as a fraction.
LOOKED_AT, TOLD = 1000, 1e-3


def over_draws(posterior: "Posterior", program: Program, function: Callable[[Values, Tensor], Any], draws: Values, each: int = 1) -> Any:
    """`function(values, x)` for every draw (first axis), batched as far as memory allows. each: how often it goes through `x`."""
    return batched(_of_one(function), program.missing, max(1, _at_once(program) // each))(_flat(posterior, program, draws), program.x)


def in_chunks(
    posterior: "Posterior", program: Program, function: Callable[[Values, Tensor], Any], draws: Values, each: int = 1
) -> Iterator[Any]:
    """The same, as many draws at a time as memory allows, for what need not be kept of every draw."""
    values, numbers = _flat(posterior, program, draws)
    for some in numbers.split(max(1, _at_once(program) // each)):
        part = {name: value[some] for name, value in values.items()}
        yield batched(_of_one(function), program.missing)((part, some), program.x)


def averaged(posterior: "Posterior", program: Program, function: Callable[[Values, Tensor], Any], draws: Values, each: int = 1) -> Any:
    """The tensors of `function(values, x)` averaged over all draws, in double precision."""
    total = None
    for chunk in in_chunks(posterior, program, function, draws, each):
        sums = tree_map(lambda t: t.sum(0, dtype=torch.double), chunk)
        total = sums if total is None else tree_map(torch.add, total, sums)
    return tree_map(lambda t: t / math.prod(posterior.shape), total)


def _flat(posterior: "Posterior", program: Program, draws: Values) -> tuple[Values, Tensor]:
    """All draws along one axis, and their numbers, which there are even where rows share no latent."""
    flat = {name: draws[name].flatten(0, 1) for name in program.parameters}
    count = len(next(iter(flat.values()))) if flat else math.prod(posterior.shape)
    return flat, torch.arange(count, device=program.x.device)


def _of_one(function: Callable[[Values, Tensor], Any]) -> Callable[[tuple[Values, Tensor], Tensor], Any]:
    return lambda draw, x: function(draw[0], x)


def row_chunks(program: Program, each: int) -> Iterator[Program]:
    """The program on some rows at a time, so many that memory holds each of them `each` times."""
    for rows in program.x.split(at_once(8 * each * program.x[0].numel())):
        yield Program(program.pair, rows)


def _at_once(program: Program) -> int:
    """How many draws. The work of one is about rows x columns x categories; the categories of a pair are few."""
    return at_once(8 * program.x.numel())


def rows_of(posterior: "Posterior") -> Table:
    """The rows that a posterior was given. Raises ValueError where it kept none."""
    if posterior.table is None:
        raise ValueError(f"{posterior.name} kept no rows (they were streamed); fit a sample of the rows that fits into memory")
    return posterior.table


def refuse_foreign(posterior: "Posterior", program: Program) -> None:
    """Refuse draws that are not of the sites that the pair has, or of other shapes. Raises ValueError that names the site."""
    for name, site in program.parameters.items():
        found = posterior.draws.get(name)
        if found is None:
            there = ", ".join(posterior.draws)
            raise ValueError(f"{posterior.name}: there are no draws of {name!r}, a site of the pair; there are draws of {there}")
        if found.shape[2:] != site.shape:
            shapes = f"{list(found.shape[2:])}, and in the pair {list(site.shape)}"
            raise ValueError(f"{posterior.name}: a draw of {name!r} has shape {shapes}; were they drawn by another pair?")


def refuse_impossible(posterior: "Posterior", program: Program) -> None:
    """Refuse draws outside their sites' supports, of which up to a thousand are looked at. Raises ValueError that names the site."""
    for name, site in program.parameters.items():
        draws = posterior.draws[name].flatten(0, 1)
        draws = draws[:: -(-len(draws) // LOOKED_AT)].double()
        draws = draws[draws.reshape(len(draws), -1).isfinite().all(1)]  # those that are not are told elsewhere
        if not len(draws):
            continue
        bijection = biject_to(site.support)
        back = bijection(bijection.inv(draws))
        off = ~torch.isclose(back, draws, rtol=TOLD, atol=TOLD * float(draws.abs().max())).reshape(len(draws), -1).all(1)
        if off.any():
            example = draws[off][0].tolist()
            raise ValueError(f"{posterior.name}: {example} is no draw of {name!r}, whose support is {site.support}")


def program_for(posterior: "Posterior", x: Any) -> tuple[Program, Table]:
    """The posterior's model on rows `x`, checked."""
    any_length, table = posterior.pair.any_length, rows_for(posterior.pair, x)
    fitted = names(posterior)
    if table.frame and frame(posterior) and fitted and (table.variables or not any_length):
        table = in_order(table, fitted)
    posterior.pair.check(table, fitting=False)
    shape = row_shape(posterior)
    if shape is not None and list(table.x.shape[1 + any_length :]) != shape[any_length:]:
        raise ValueError(f"these rows have shape {list(table.x.shape[1:])}, and the rows fitted {shape}")
    return program_of(posterior, table.x.to(posterior.like)), table


def program_of(posterior: "Posterior", x: Tensor) -> Program:
    """The posterior's model on rows `x` of its dtype. Raises ValueError where the draws are not of its sites."""
    program = Program(posterior.pair, x)
    refuse_foreign(posterior, program)
    return program


def some_rows(posterior: "Posterior") -> Tensor:
    """The rows that the posterior was given; zeros in the shape of one where it kept none."""
    return blank_row(posterior) if posterior.table is None else posterior.table.x.to(posterior.like)


def amortised(posterior: "Posterior") -> bool:
    """Whether the guide draws latents of each row."""
    return bool(Program(posterior.pair, some_rows(posterior)[:1]).amortised)


def log_likelihood(posterior: "Posterior", x: Any, samples: int = SAMPLES, seed: int = 0) -> Tensor:
    """See `Posterior.log_likelihood`."""
    posterior.pair.refuse_unsuited("log_likelihood")
    at_least(1, samples=samples)
    at_least(0, seed=seed)
    program, _ = program_for(posterior, x)
    if program.pair.undirected and not program.missing:
        samples = 1  # the guide is exact: every draw has the same weight
    if not program.amortised:
        return over_draws(posterior, program, program.log_rows, posterior.draws).unflatten(0, posterior.shape)

    def estimated(part: Program) -> Tensor:
        return over_draws(posterior, part, lambda values, x: log_evidence(part, values, x, samples), posterior.draws, samples)

    with seeded(seed, posterior.device):
        return torch.cat([estimated(part) for part in row_chunks(program, samples)], -1).unflatten(0, posterior.shape)


def log_likelihood_by_rows(posterior: "Posterior", table: Table, samples: int = SAMPLES, seed: int = 0) -> Iterator[np.ndarray]:
    """log p(row | draw) of the table's rows in order, some at a time so that memory is bounded: (draw, some rows) each."""
    step = max(1, LOGS // math.prod(posterior.shape))
    for first in range(0, len(table), step):
        some = slice(first, first + step)
        logs = log_likelihood(posterior, replace(table, x=table.x[some], index=table.index[some]), samples, seed)
        yield logs.flatten(0, 1).double().cpu().numpy()


def log_prior(posterior: "Posterior") -> dict[str, Tensor]:
    """(chain, draw) log density of each site that the rows share, at each draw: what the model says before it sees a row."""
    program = program_of(posterior, some_rows(posterior)[:1])
    if not program.parameters:
        return {}

    def densities(values: Values, x: Tensor) -> Values:
        nodes = program.trace(values, x).nodes
        return {name: nodes[name]["log_prob_sum"] for name in program.parameters}

    found = over_draws(posterior, program, densities, posterior.draws)
    return {name: logs.double().unflatten(0, posterior.shape) for name, logs in found.items()}


def score(posterior: "Posterior", x: Any, samples: int = SAMPLES, seed: int = 0) -> Tensor:
    """See `Posterior.score`."""
    program, table = program_for(posterior, x)
    parts = [logsumexp(logs, axis=0) for logs in log_likelihood_by_rows(posterior, table, samples, seed)]
    return torch.as_tensor(np.concatenate(parts), device=program.x.device) - math.log(math.prod(posterior.shape))


def new_row(program: Program, values: Values, x: Tensor) -> Tensor:
    """The observed site of one row given the parameters `values`, its latents drawn too; `x` (1, ...) gives its shape."""
    with explained(f"{type(program.pair).__name__}: the distribution of {program.observed[0]!r} cannot be drawn from"):
        return run_unobserved(program.pair.model, values, x).nodes[program.observed[0]]["value"]


def new_rows(program: Program, values: Values, count: int) -> Tensor:
    """(count, ...) the observed site of a row for each of `count` values of the parameters (count, *site)."""
    template = program.x[:1]
    if program.pair.undirected:
        return completed(program, torch.full_like(template, math.nan), count)[:, 0]
    simulate = _of_one(partial(new_row, program))
    numbers = torch.arange(count, device=template.device)
    return batched(simulate, missing=False, chunk=at_once(8 * template.numel()))((values, numbers), template)


def generate(posterior: "Posterior", rows: int, seed: int) -> Any:
    """See `Posterior.generate`."""
    posterior.pair.refuse_unsuited("generate")
    at_least(1, rows=rows)
    refuse_untold(posterior.pair, "hand in rows that hold these, and NaN elsewhere: generate(given=rows)")
    template = blank_row(posterior)
    program = program_of(posterior, template)
    with seeded(seed, posterior.device):
        chosen = torch.randint(math.prod(posterior.shape), (rows,), device=posterior.device)
        new = new_rows(program, {name: posterior.draws[name].flatten(0, 1)[chosen] for name in program.parameters}, rows)
    if new[0].numel() != template.numel():
        raise TypeError(f"{posterior.name}: {program.observed[0]!r} is not the whole of a row, so that whole rows cannot be generated")
    new = new.reshape(rows, *template.shape[1:])
    if posterior.table is not None and posterior.table.steps is not None:
        return replace(posterior.table, steps=posterior.table.steps.new(rows)).dress_like(new)
    return pd.DataFrame(new.cpu().numpy(), columns=columns(posterior)) if frame(posterior) and new.dim() == 2 else new
