"""Filling the holes of rows whose latents the guide draws: Metropolis within Gibbs.

In turn the latents are proposed by the guide given the row as it is filled now, accepted or not, and what is missing is drawn
given the latents. Chains set out from the likeliest of a few draws of the guide given the row with its holes. In the long run what comes
out is the law of the missing values given those seen, whatever the guide is worth; but a bad one is seldom accepted, and holes that are
most of a row then stay near where they began.

Source: Mattei & Frellsen 2018, "Leveraging the exact likelihood of deep latent variable models", NeurIPS, after Rezende, Mohamed
& Wierstra 2014, "Stochastic backpropagation and approximate inference in deep generative models", ICML, who accept always.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.func import vmap

from ..amortised import given_rows, log_weight
from ..graphs.graph import batched, traced
from ..program import Program, Values
from .predictive import row_chunks

if TYPE_CHECKING:
    from ..posterior import Posterior

CHAINS, WARMUP, SWEEPS, TRIES = 20, 50, 100, 10
Fill = Callable[[Program, Values, Tensor], Tensor]


def refilled(posterior: "Posterior", program: Program, fill: Fill) -> tuple[Tensor, Tensor]:
    """(rows, ...) mean and sd of the program's rows with their holes filled, in double precision.

    fill: gives the rows with a draw of what is missing, given values of all continuous latents.
    """
    parts = [_moments(posterior, part, fill) for part in row_chunks(program, CHAINS * TRIES)]
    mean, square = (torch.cat(found) for found in zip(*parts, strict=True))
    return mean, (square - mean.square()).clamp(min=0).sqrt()


def drawn(posterior: "Posterior", program: Program, fill: Fill) -> Tensor:
    """(rows, ...) the program's rows with a draw of what is missing: for each row, where one of the chains ends."""
    return torch.cat([_last(posterior, part, fill) for part in row_chunks(program, CHAINS * TRIES)])


def _last(posterior: "Posterior", program: Program, fill: Fill) -> Tensor:
    *_, filled = _sweeps(posterior, program, fill)
    numbers = torch.arange(len(program.x), device=program.x.device)
    return filled[torch.randint(CHAINS, numbers.shape, device=numbers.device), numbers]


def _moments(posterior: "Posterior", program: Program, fill: Fill) -> tuple[Tensor, Tensor]:
    """Mean and mean square, over all sweeps of all chains."""
    mean, square = (torch.zeros_like(program.x, dtype=torch.double) for _ in range(2))
    for filled in _sweeps(posterior, program, fill):
        mean += filled.double().mean(0) / SWEEPS
        square += filled.double().square().mean(0) / SWEEPS
    return mean, square


def _sweeps(posterior: "Posterior", program: Program, fill: Fill) -> Iterator[Tensor]:
    """(chain, rows, ...) the rows as filled by each sweep after the warm-up, of chains that each have a draw of what rows share."""
    total = posterior.shape[0] * posterior.shape[1]
    chosen = torch.linspace(0, total - 1, CHAINS, device=program.x.device).round().long()
    shared = {name: posterior.draws[name].flatten(0, 1)[chosen] for name in program.parameters}
    point = _is_point(program, {name: value[0] for name, value in shared.items()})

    def begin(chain: tuple[Values, Tensor], x: Tensor) -> tuple[Values, Tensor]:
        drawn, log_w = vmap(lambda _: log_weight(program, chain[0], x), randomness="different")(x.new_zeros(TRIES))
        # Gumbel noise on log weights and then the largest: each as often as it is important.
        best = (log_w - (-torch.rand_like(log_w).log()).log()).argmax(0)
        latents = {name: value[best, torch.arange(len(x), device=x.device)] for name, value in drawn.items()}
        return latents, fill(program, chain[0] | latents, x)

    def sweep(chain: tuple[Values, Values, Tensor], x: Tensor) -> tuple[Values, Tensor]:
        values, latents, filled = chain
        _, now = log_weight(program, values | latents, filled)
        proposed, new = log_weight(program, values, filled)
        # A point could not have proposed where the row is now: it moves on, and iterates to where it comes back. Of a guide that is none
        # the density there may have been too small for a number, and where the row is now is then kept.
        accepted = (torch.rand_like(new).log() < new - now) | (now.isposinf() & point)
        moved = {name: torch.where(_along(accepted, value), proposed[name], value) for name, value in latents.items()}
        return moved, fill(program, values | moved, x)

    latents, filled = batched(begin, program.missing)((shared, chosen), program.x)
    chains = vmap(sweep, (0, None), randomness="different")
    turn = traced(chains, (shared, latents, filled), program.x, missing=program.missing)
    for number in range(WARMUP + SWEEPS):
        latents, filled = turn((shared, latents, filled), program.x)
        if number >= WARMUP:
            yield filled


def _is_point(program: Program, values: Values) -> bool:
    """Whether the guide draws the same latents of a row twice."""
    one, two = (given_rows(program, values, program.x[:1])[0] for _ in range(2))
    return all(torch.equal(one[name], two[name]) for name in one)


def _along(rows: Tensor, like: Tensor) -> Tensor:
    """(rows, 1, ...) as many axes as `like` has."""
    return rows.reshape(-1, *[1] * (like.dim() - 1))
