"""Where chains set out from: draws from the guide at several starts from the data, chosen by their importance."""

import logging
from functools import partial

import torch
from torch import Tensor
from torch.func import functional_call

from ..amortised import given_rows
from ..fitting.guides import starts
from ..fitting.restarts import fit_batch
from ..graphs.graph import batched
from ..graphs.unconstrained import Flat
from ..memory import at_once
from ..objectives import NegativeELBO, run_guide
from ..posterior import Posterior
from ..program import Program, Values
from ..recipe import Recipe

log = logging.getLogger("inference")

STARTS = 8
DRAWS = 50
FAR = 10.0
STEPS, PARTICLES = 200, 4
# How much further from the middle than a draw chains set out: only those that were apart can tell by meeting that they have mixed.
APART = 1.5


def from_posterior(program: Program, flat: Flat, chains: int, start: Posterior) -> Tensor:
    """(draw, chain, dim) unconstrained draws of `start`, at random. Raises ValueError where it is of another pair."""
    if not isinstance(start, Posterior):
        raise TypeError(f"start must be a posterior, such as svi or mcmc return, not {type(start).__name__}")
    for name, site in program.parameters.items():
        found = tuple(start.draws[name].shape[2:]) if name in start.draws else None
        if found != tuple(site.shape):
            has = "no draws" if found is None else f"draws of shape {found}"
            raise ValueError(
                f"start has {has} of {name!r}, which has shape {tuple(site.shape)} here; it must be a posterior of the same pair, "
                f"and is of {start.name}"
            )
    values = {n: start.draws[n].flatten(0, 1).to(program.x) for n in program.parameters}
    chosen = torch.randint(len(next(iter(values.values()))), (DRAWS * chains,), device=program.x.device)

    def flattened(shared: Values) -> Tensor:
        return flat.flatten(shared | given_rows(program, shared, program.x)[0] if program.amortised else shared)

    drawn = batched(flattened, program.missing, at_once(program.x.numel()))({n: v[chosen] for n, v in values.items()})
    return drawn.unflatten(0, (DRAWS, chains))


def from_guide(program: Program, flat: Flat, chains: int, rows: Tensor) -> Tensor:
    """(draw, chain, dim) unconstrained draws from the guide, given `rows` that the chains share, or (chain, rows, ...) of their own.

    The pair makes its own start from the data as often as there are chains, eight times at most, and the chains share these out;
    from rows of their own, it makes one for each.
    A guide whose draws lie far from the posterior is fitted first, a little, from all starts at once. The first draw of each
    chain, where it sets out, is drawn by importance, without replacement: no two begin at the same place. It is moved outwards, half
    as far again from the middle of its start's draws, wherever the density there is finite.

    Reference: Gelman & Rubin 1992, "Inference from iterative simulation using multiple sequences", Statistical Science 7.
    """
    data = rows if program.batch_axis(rows) is not None else [rows] * min(chains, STARTS)
    each = -(-chains // len(data))
    objective, guides = starts(program, None, data, partial(NegativeELBO, particles=PARTICLES))
    draw = partial(_draw, objective, flat, rows=rows, starts=len(data), count=max(DRAWS, 4 * each))
    drawn, log_weights = draw(guides)
    if guides and _far(log_weights, flat.size):
        guides = _fitted(objective, guides, rows)
        drawn, log_weights = draw(guides)
    found = [_by_importance(draws, weights, each) for draws, weights in zip(drawn, log_weights, strict=True)]
    # (draw, chain of the start, start, dim): chains in turn from each start, so that any number of them spreads over all.
    begin_at = torch.stack(found, 2)
    begin_at[0] += (APART - 1) * _outwards(program, flat, begin_at[0], drawn.mean(1), rows)
    return begin_at.flatten(1, 2)[:, :chains]


def _far(log_weights: Tensor, dim: int) -> bool:
    """Whether draws (start, draw) of a guide lie far from the posterior of `dim` numbers, by the spread of those it can have."""
    possible = torch.where(log_weights.isfinite(), log_weights, torch.nan)
    spread = torch.nanquantile(possible, possible.new_tensor([0.1, 0.9]), dim=1).diff(dim=0)
    return not spread.nanmedian() < FAR + dim


def _fitted(objective: NegativeELBO, guides: Values, rows: Tensor) -> Values:
    """The guides after a short fit; as they were where it failed, since chains may do without."""
    try:
        return fit_batch(objective, guides, rows, Recipe(STEPS, schedule="constant", compile=False)).parameters
    except ValueError as error:
        log.info("the chains set out from the guide as it is: a short fit failed: %s", error)
        return guides


def _draw(objective: NegativeELBO, flat: Flat, guides: Values, rows: Tensor, starts: int, count: int) -> tuple[Tensor, Tensor]:
    """Unconstrained draws (start, draw, dim) from the guide at each start's parameters, and their log importance (start, draw)."""
    program = objective.program

    def one(given: tuple[Values, Tensor]) -> tuple[Tensor, Tensor]:
        guide, start = given
        x = rows if program.batch_axis(rows) is None else rows[start]
        values, log_q = functional_call(objective, guide, (run_guide, program, objective.guide, x))
        return flat.flatten(values), program.log_joint(values, x) - log_q

    repeated = {name: value.repeat_interleave(count, 0) for name, value in guides.items()}
    numbers = torch.arange(starts, device=rows.device).repeat_interleave(count)
    drawn, log_weights = batched(one, program.missing, at_once(program.x.numel()))((repeated, numbers))
    return drawn.unflatten(0, (starts, count)), log_weights.unflatten(0, (starts, count)).nan_to_num(nan=-torch.inf)


def _outwards(program: Program, flat: Flat, at: Tensor, middle: Tensor, rows: Tensor) -> Tensor:
    """What leads from the middle of each start (start, dim) to where chains are (chain, start, dim); zero where going on is too far."""
    away = at - middle

    def density(given: tuple[Tensor, Tensor]) -> Tensor:
        position, start = given
        values, log_jacobian = flat.constrain_with_jacobian(position)
        return program.log_joint(values, rows if program.batch_axis(rows) is None else rows[start]) + log_jacobian

    numbers = torch.arange(at.shape[1], device=at.device).expand(at.shape[:2]).flatten()
    found = batched(density, program.missing, at_once(program.x.numel()))(((at + (APART - 1) * away).flatten(0, 1), numbers))
    return torch.where(found.unflatten(0, at.shape[:2]).isfinite()[..., None], away, 0.0)


def _by_importance(draws: Tensor, log_weights: Tensor, chains: int) -> Tensor:
    """(draw, chain, dim) all of the draws for each chain, the one it sets out from in front."""
    # Gumbel noise on log weights and then the largest: sampling without replacement.
    keys = log_weights - (-torch.rand_like(log_weights).log()).log()
    ranked = draws[torch.where(log_weights.isfinite(), keys, -torch.inf).argsort(descending=True)]
    turns = (torch.arange(DRAWS)[:, None] + torch.arange(chains)) % len(draws)
    return ranked[turns.to(draws.device)]
