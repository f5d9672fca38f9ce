"""Whole data sets as the model would draw them: given a posterior's draws, or from the prior alone."""

import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from pyro import poutine
from torch import Tensor
from torch.utils._pytree import tree_map

from ..graphs.graph import batched
from ..graphs.lacking import Lacking, explained
from ..memory import at_once
from ..program import Program, Values, run_eagerly, run_unobserved
from ..run import at_least, seeded
from ..undirected.gibbs import completed
from .predictive import new_row, program_of, some_rows
from .seen import as_seen

if TYPE_CHECKING:
    from ..posterior import Posterior

# Numbers in all replicated data sets together, unless so many draws are asked for.
LIMIT = 10_000_000
PRIOR = 1000


class Replicates(NamedTuple):
    """rows: (chain, draw, rows, ...) data sets. draws: (draw,) the number of the draw in its chain that each was drawn from."""

    rows: Tensor
    draws: Tensor


def posterior_predictive(posterior: "Posterior", draws: int | None, seed: int) -> Replicates:
    """Data sets of as many rows as were fitted, one for each of `draws` draws evenly spread over each chain (None: what LIMIT holds).

    Raises: as `refuse_no_whole_rows`.
    """
    chains, available = posterior.shape
    x = refuse_no_whole_rows(posterior)
    draws = max(1, LIMIT // (chains * x.numel())) if draws is None else draws
    chosen = torch.linspace(0, available - 1, min(draws, available), device=x.device).round().long()
    program = program_of(posterior, x)
    values = {name: posterior.draws[name][:, chosen].flatten(0, 1) for name in program.parameters}
    with seeded(seed, x.device):
        return Replicates(_rows(program, values, chains * len(chosen)).unflatten(0, (chains, len(chosen))), chosen)


def of_data_sets(posterior: "Posterior", function: Callable[[Tensor], Any], draws: int, seed: int) -> tuple[Any, Any]:
    """`function` of the data, and of each of `draws` data sets like it (first axis), from draws of the posterior at random.

    The data are the values of the model's observed site: (rows, ...), as the rows are shaped where it is the whole of them, and as a step
    of the fit sees them.

    function: of one data set, in torch's operations, to tensors; data sets are taken together as far as memory allows.

    Raises ValueError where no rows were kept, TypeError for a model with several observed sites.
    """
    x = as_seen(posterior, _kept(posterior), seed)
    program, total = program_of(posterior, x), math.prod(posterior.shape)
    found = []
    with seeded(seed, x.device), torch.no_grad():
        chosen = torch.randperm(total, device=x.device)[torch.arange(draws, device=x.device) % total]
        for some in chosen.split(at_once(8 * x.numel())):
            values = {name: posterior.draws[name].flatten(0, 1)[some] for name in program.parameters}
            found.append(torch.vmap(function)(_rows(program, values, len(some))))
        return function(_data(program)), tree_map(lambda *parts: torch.cat(parts), *found)


def prior(posterior: "Posterior", draws: int | None, seed: int) -> Values:
    """(1, draw, *site) draws from the prior of the sites that the rows share, derived ones too; 1000 unless told otherwise."""
    program = Program(posterior.pair, some_rows(posterior)[:1])
    with seeded(seed, posterior.device):
        return {name: value[None] for name, value in _prior(program, PRIOR if draws is None else draws).items()}


def prior_predictive(posterior: "Posterior", draws: int | None, seed: int) -> Tensor:
    """(1, draw, rows, ...) data sets, each drawn given a draw from the prior: the same draws as `prior` has, if they are as many.

    Raises: as `refuse_no_whole_rows`.
    """
    x = refuse_no_whole_rows(posterior)
    program = Program(posterior.pair, x)
    draws = max(1, min(PRIOR, LIMIT // x.numel())) if draws is None else draws
    with seeded(seed, x.device):
        values = _prior(program, draws)
        return _rows(program, {name: values[name] for name in program.parameters}, draws)[None]


def refuse_no_whole_rows(posterior: "Posterior") -> Tensor:
    """The rows fitted.

    Raises ValueError where none were kept, TypeError where the model draws a part of each row only, or in several sites.
    """
    x, site = _kept(posterior), observed_site(posterior)
    if site["value"].numel() != x[:1].numel():
        raise TypeError(f"{posterior.name}: {site['name']!r} is not the whole of a row, so that whole data sets cannot be drawn")
    return x


def _kept(posterior: "Posterior") -> Tensor:
    posterior.pair.refuse_unsuited("generate")
    if posterior.table is None:
        raise ValueError(f"{posterior.name} kept no rows to replicate (they were streamed, or left out of what was saved)")
    x = some_rows(posterior)
    observed = Program(posterior.pair, x[:1]).observed
    if len(observed) != 1:
        raise TypeError(f"{posterior.name}: its rows have several observed sites, which are not drawn together: {observed}")
    return x


def counts(posterior: "Posterior") -> bool:
    """Whether the rows are whole numbers by their distribution. One that does not tell its support is taken to be continuous."""
    try:
        with explained("there is no support"):
            return observed_site(posterior)["fn"].support.is_discrete
    except Lacking:
        return False


def observed_site(posterior: "Posterior") -> dict[str, Any]:
    """The site that holds the data, in a trace of the model on the first row."""
    program = Program(posterior.pair, some_rows(posterior)[:1])
    return run_eagerly(posterior.pair.model, type(posterior.pair).__name__, program.x, 1).nodes[program.observed[0]]


def _rows(program: Program, values: Values, count: int) -> Tensor:
    """(count, rows, ...) data sets given parameters (count, *site), with the holes of the rows that were fitted."""
    x, data = program.x, _data(program)
    if program.pair.undirected:
        drawn = completed(program, torch.full_like(x[:1], math.nan), count * len(x))
        return drawn.reshape(count, *x.shape).masked_fill_(x.isnan(), math.nan)
    new, numbers = data.new_empty(count, *data.shape), torch.arange(count, device=x.device)

    def rows(draw: tuple[Values, Tensor], x: Tensor) -> Tensor:
        return torch.func.vmap(partial(new_row, program, draw[0]), randomness="different")(x[:, None])

    step = at_once(8 * x[:1].numel())
    for first in range(0, len(x), step):
        some = x[first : first + step]
        drawn = _together(batched(rows, program.missing, at_once(8 * some.numel())), (values, numbers), some)
        new[:, first : first + step] = drawn.reshape(count, len(some), *data.shape[1:])
    return new.masked_fill_(data.isnan(), math.nan)


def _together(rows: Callable, *given: Any) -> Tensor:
    """`rows` of what is given. Raises TypeError where torch cannot draw from a distribution for many data sets at once."""
    try:
        return rows(*given)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[0]
        raise TypeError(f"rows cannot be drawn for many data sets at once: {reason}") from error


def _data(program: Program) -> Tensor:
    """(rows, ...) the values of the observed site in each row: the rows themselves where it is the whole of them."""
    model, site, x = program.pair.model, program.observed[0], program.x
    nodes = run_eagerly(model, type(program.pair).__name__, x[:1], 1).nodes
    if nodes[site]["value"].numel() == x[:1].numel():
        return x
    shared = {name: nodes[name]["value"] for name in program.parameters}

    def seen(row: Tensor) -> Tensor:
        return poutine.trace(poutine.condition(model, data=shared)).get_trace(row[None]).nodes[site]["value"].flatten()

    return batched(seen, program.missing)(x)


def _prior(program: Program, count: int) -> Values:
    at_least(1, draws=count)
    shared = [name for name, site in (program.sites | program.derived).items() if not site.local]

    def one(_: Tensor, x: Tensor) -> Values:
        nodes = run_unobserved(program.pair.model, {}, x).nodes
        return {name: nodes[name]["value"] for name in shared}

    return batched(one, program.missing)(program.x.new_zeros(count), program.x[:1])
