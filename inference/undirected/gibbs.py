"""Block Gibbs for undirected pairs: latents are drawn given their row, all at once, then the row given its latents."""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call

from ..amortised import given_rows, log_weight
from ..graphs.graph import traced
from ..memory import at_once
from ..pair import Pair
from ..program import Program, Values, run_unobserved

# Sweeps on the way from independent rows to the model, as many there, and chains a row at least.
SWEEPS, FEWEST = 100, 20


class Coupled(torch.nn.Module):
    """A pair at any place between independent rows and latents (0) and itself (1)."""

    def __init__(self, pair: Pair) -> None:
        super().__init__()
        self.pair = pair

    def at(self, coupling: Tensor, run: Callable, *args: Any) -> Any:
        """What `run` gives there."""
        return functional_call(self, {"pair.coupling": coupling}, (run, *args))

    def forward(self, run: Callable, *args: Any) -> Any:
        """What `run` gives while `functional_call` has this module's buffers replaced."""
        return run(*args)

    def moved(self, program: Program, x: Tensor, free: Tensor, before: Tensor, after: Tensor) -> tuple[Tensor, Tensor]:
        """Rows after a sweep at the place `after`, and (rows,) what their log densities gained on the way there from `before`."""
        latents, new = self.at(after, log_weight, program, {}, x)
        # The guide is exact: the density of the row, whatever its latents.
        _, old = self.at(before, log_weight, program, latents, x)
        return torch.where(free, self.at(after, rows_given, program, latents, x), x), new - old


def rows_given(program: Program, latents: Values, x: Tensor) -> Tensor:
    """Rows like `x` drawn given their latents."""
    return run_unobserved(program.pair.model, latents, x).nodes[program.observed[0]]["value"].reshape(x.shape)


def sweep(program: Program, x: Tensor, free: Tensor) -> Tensor:
    """Rows `x` after their latents were drawn given them and then, given the latents, what is `free` (rows, ...) of them."""
    latents, _ = given_rows(program, {}, x)
    return torch.where(free, rows_given(program, latents, x), x)


def completed(program: Program, x: Tensor, count: int = 1) -> Tensor:
    """(count, rows, ...) the rows `x` with `count` draws of what is missing, given the rest of the row; in as many chunks as memory asks.

    Each row has chains of its own, 20 or more, which set out from rows and latents that are independent. While the coupling is turned
    on they are weighed by what their densities gain, and drawn anew by these weights where they have grown uneven: so modes that no
    sweep moves between end with the shares that they have in the model, the better the more chains.

    Source: Del Moral, Doucet & Jasra 2006, "Sequential Monte Carlo samplers", Journal of the Royal Statistical Society B 68.
    """
    if not x.isnan().any():
        return x.expand(count, *x.shape)
    most = max(FEWEST, at_once(8 * x[0].numel()))
    counts = [len(part) for part in torch.arange(count).chunk(math.ceil(count / most))]
    rows_at_once = max(1, most // max(FEWEST, *counts))
    return torch.cat([torch.cat([_population(program.pair, rows, n) for rows in x.split(rows_at_once)], 1) for n in counts])


def _population(pair: Pair, x: Tensor, count: int) -> Tensor:
    """The same for rows that memory holds `count` times."""
    chains = max(count, FEWEST)
    rows = x.repeat(chains, *[1] * (x.dim() - 1))
    free, rows = rows.isnan(), rows.nan_to_num()
    places = torch.linspace(0, 1, SWEEPS + 1, dtype=x.dtype, device=x.device)
    program, coupled = Program(pair, rows), Coupled(pair)
    move = traced(lambda *given: coupled.moved(program, *given), rows, free, places[0], places[0], missing=False)
    # At coupling 0 a sweep from anywhere is a draw.
    rows, _ = move(rows, free, places[0], places[0])
    logs = rows.new_zeros(chains, len(x))
    for before, after in pairwise(places):
        rows, gained = move(rows, free, before, after)
        rows, logs = _drawn_anew(rows, logs + gained.reshape(logs.shape), 2.0)
    rows, _ = _drawn_anew(rows, logs, 0.0)
    for _ in range(SWEEPS):
        rows, _ = move(rows, free, places[-1], places[-1])
    chosen = torch.randperm(chains, device=x.device)[:count]
    return rows.reshape(chains, *x.shape)[chosen]


def _drawn_anew(rows: Tensor, logs: Tensor, uneven: float) -> tuple[Tensor, Tensor]:
    """Chains (chain * row, ...) drawn by their log weights (chain, row), and the weights after that.

    uneven: how many times fewer the chains must be worth than they are, for those of a row to be drawn anew.
    """
    chains, count = logs.shape
    weights, numbers = logs.softmax(0), torch.arange(chains, device=logs.device)[:, None]
    now = chains * weights.square().sum(0) > uneven
    places = (numbers + torch.rand(count, dtype=logs.dtype, device=logs.device)) / chains
    found = torch.searchsorted(weights.cumsum(0).mT.contiguous(), places.mT.contiguous()).mT.clamp(max=chains - 1)
    chosen = torch.where(now, found, numbers) * count + torch.arange(count, device=logs.device)
    return rows[chosen.flatten()], torch.where(now, 0.0, logs)
