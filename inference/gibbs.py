"""Block Gibbs for undirected pairs: latents are drawn given their row, all at once, then the row given its latents."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call

from .amortised import given_rows
from .graph import traced
from .memory import at_once
from .pair import Pair
from .program import Program, Values, run_unobserved

# Sweeps on the way from independent rows to the model, and there.
SWEEPS = 200


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


def rows_given(program: Program, latents: Values, x: Tensor) -> Tensor:
    """Rows like `x` drawn given their latents."""
    return run_unobserved(program.pair.model, latents, x).nodes[program.observed[0]]["value"].reshape(x.shape)


def sweep(program: Program, x: Tensor, free: Tensor) -> Tensor:
    """Rows `x` after their latents were drawn given them and then, given the latents, what is `free` (rows, ...) of them."""
    latents, _ = given_rows(program, {}, x)
    return torch.where(free, rows_given(program, latents, x), x)


def completed(program: Program, x: Tensor, sweeps: int = SWEEPS) -> Tensor:
    """Rows `x` with a draw of what is missing, given the rest of the row.

    The chains set out from rows and latents that are independent, and the coupling is turned on over the first half of `sweeps`: so
    they find modes that plain sweeps seldom move between.
    """
    if not x.isnan().any():
        return x
    places = torch.linspace(0, 2, sweeps + 1, dtype=x.dtype, device=x.device).clamp(max=1)

    def chains(x: Tensor) -> Tensor:
        # At coupling 0 a sweep from anywhere is a draw.
        free, x = x.isnan(), x.nan_to_num()
        here = Program(program.pair, x)
        run = traced(lambda x, free, place: Coupled(here.pair).at(place, sweep, here, x, free), x, free, places[0], missing=False)
        for place in places:
            x = run(x, free, place)
        return x

    return torch.cat([chains(some) for some in x.split(at_once(8 * x[0].numel()))])
