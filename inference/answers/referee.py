"""What judges a score by importance sampling: the same by annealing, which owes nothing to the guide, and bounds on both sides."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd
import torch
from torch import Tensor

from ..amortised import log_evidence
from ..covariates import refuse_untold
from ..graphs.graph import batched
from ..memory import at_once
from ..places import log_mean, relative_error
from ..program import Program, Values, run_unobserved
from ..record import blank_row
from ..run import at_least, seeded
from .predictive import over_draws, program_for, program_of
from .row_annealing import RowAnnealing

if TYPE_CHECKING:
    from ..posterior import Posterior


class Annealed(NamedTuple):
    """score: (rows,) log density of each row. error: (rows,) its standard error, as far as the chains can tell."""

    score: Tensor
    error: Tensor


def annealed(posterior: "Posterior", x: Any, chains: int, places: int, seed: int) -> Annealed:
    """See `Posterior.annealed`."""
    _check(posterior, chains, places, seed)
    program, _ = program_for(posterior, x)
    chosen = torch.linspace(0, posterior.shape[0] * posterior.shape[1] - 1, chains, device=program.x.device).round().long()
    shared = {name: posterior.draws[name].flatten(0, 1)[chosen, None] for name in _annealable(program).parameters}
    with seeded(seed, posterior.device):
        logs = torch.cat([_annealing(program.x[some], shared, program, chains, places).forth() for some in _chunks(program, chains)], 1)
    return Annealed(log_mean(logs), relative_error(logs))


def bracketed(posterior: "Posterior", rows: int, samples: int, chains: int, places: int, seed: int) -> pd.DataFrame:
    """See `Posterior.bracketed`."""
    at_least(1, rows=rows, samples=samples)
    _check(posterior, chains, places, seed)
    refuse_untold(posterior.pair, "ask of rows that there are: posterior.score(x) and posterior.annealed(x)")
    template = _annealable(program_of(posterior, blank_row(posterior)))
    first = {name: posterior.draws[name][:1, :1] for name in template.parameters}
    shared = {name: value.reshape(1, 1, *value.shape[2:]) for name, value in first.items()}
    with seeded(seed, posterior.device):
        latents, x = _simulated(template, {name: value[0, 0] for name, value in first.items()}, rows)
        program = Program(posterior.pair, x)
        found = []
        for some in _chunks(program, max(chains, samples)):
            part = Program(posterior.pair, x[some])
            by_guide = over_draws(posterior, part, lambda values, x, part=part: log_evidence(part, values, x, samples), first, samples)[0]
            way = _annealing(part.x, shared, program, chains, places)
            back = way.back({name: value[some] for name, value in latents.items()})
            found.append(torch.stack([by_guide.double(), log_mean(way.forth()), -log_mean(back)], 1))
    return pd.DataFrame(torch.cat(found).cpu().numpy(), columns=["importance", "low", "high"])


def _check(posterior: "Posterior", chains: int, places: int, seed: int) -> None:
    posterior.pair.refuse_unsuited("log_likelihood")
    at_least(2, chains=chains, places=places)
    at_least(0, seed=seed)


def _annealable(program: Program) -> Program:
    """The program itself. Raises TypeError where no latent of a row is left to be integrated out."""
    name = type(program.pair).__name__
    program.refuse_undirected("annealing of rows", "posterior.normalised, after which posterior.score is exact")
    if not program.amortised:
        raise TypeError(f"{name}: the latents of its rows are summed or integrated out exactly, so that posterior.score needs no referee")
    return program


def _annealing(x: Tensor, shared: Values, program: Program, chains: int, places: int) -> RowAnnealing:
    """For the rows `x`; shared: (chains or 1, 1, *site)."""
    each = {name: value.expand(chains, len(x), *value.shape[2:]) for name, value in shared.items()}
    return RowAnnealing(program.pair, x, each, chains, places)


def _chunks(program: Program, each: int) -> Iterator[Tensor]:
    """Numbers of rows that memory holds each of `each` times."""
    yield from torch.arange(len(program.x), device=program.x.device).split(at_once(8 * each * program.x[0].numel()))


def _simulated(program: Program, shared: Values, count: int) -> tuple[Values, Tensor]:
    """The latents (count, 1, ...) of new rows, and these (count, ...)."""

    def one(_: Tensor) -> tuple[Values, Tensor]:
        nodes = run_unobserved(program.pair.model, shared, program.x).nodes
        latents = {name: nodes[name]["value"] for name in program.amortised}
        return latents, nodes[program.observed[0]]["value"].reshape(program.x.shape[1:])

    return batched(one, missing=False)(program.x.new_zeros(count))
