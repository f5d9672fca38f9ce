"""Where chains set out from: draws from the guide at several starts from the data, chosen by their importance."""

import torch
from torch import Tensor

from ..graph import batched
from ..objectives import run_guide
from ..posterior import Posterior
from ..program import Program, Values
from ..unconstrained import Flat

STARTS = 8
DRAWS = 50
CELLS = 20_000_000


def from_posterior(program: Program, flat: Flat, chains: int, start: Posterior) -> Tensor:
    """(draw, chain, dim) unconstrained draws of `start`, at random. Raises ValueError where it is of another pair."""
    missing = [name for name in program.parameters if name not in start.draws]
    if missing:
        raise ValueError(f"start has no draws of {missing[0]!r}; it must be a posterior of the same pair, and is of {start.name}")
    values = {n: start.draws[n].flatten(0, 1).to(program.x) for n in program.parameters}
    chosen = torch.randint(len(next(iter(values.values()))), (DRAWS * chains,), device=program.x.device)
    drawn = batched(flat.flatten, program.missing)({n: v[chosen] for n, v in values.items()})
    return drawn.unflatten(0, (DRAWS, chains))


def from_guide(program: Program, flat: Flat, chains: int) -> Tensor:
    """(draw, chain, dim) unconstrained draws from the guide.

    The pair makes its own start from the data as often as there are chains, eight times at most; the chains share these out.
    The first draw of each chain, where it sets out, is drawn by importance, without replacement, so that few begin far out and
    no two at the same place.
    """
    starts = min(chains, STARTS)
    each = -(-chains // starts)
    found = []
    for _ in range(starts):
        with torch.no_grad():
            program.pair.start(program.x)
        found.append(_by_importance(*_draw(program, flat, max(DRAWS, 4 * each)), each))
    # (start, draw, chain, dim) -> chains in turn from each start, so that any number of them spreads over all.
    return torch.stack(found, 2).flatten(1, 2)[:, :chains]


def _draw(program: Program, flat: Flat, count: int) -> tuple[Tensor, Tensor]:
    """Unconstrained draws (draw, dim) from the guide as it stands, and their log importance (draw,)."""
    x = program.x

    def one(_: Tensor) -> tuple[Tensor, Tensor]:
        values, log_q = run_guide(program, program.pair.guide, x)
        shared: Values = {n: v for n, v in values.items() if n in program.parameters}
        return flat.flatten(shared), program.log_joint(values, x) - log_q

    return batched(one, program.missing, max(1, CELLS // max(1, x.numel())))(x.new_zeros(count))


def _by_importance(draws: Tensor, log_weights: Tensor, chains: int) -> Tensor:
    """(draw, chain, dim) all of the draws for each chain, the one it sets out from in front."""
    # Gumbel noise on log weights and then the largest: sampling without replacement.
    keys = log_weights - (-torch.rand_like(log_weights).log()).log()
    ranked = draws[torch.where(log_weights.isfinite(), keys, -torch.inf).argsort(descending=True)]
    turns = (torch.arange(DRAWS)[:, None] + torch.arange(chains)) % len(draws)
    return ranked[turns.to(draws.device)]
