"""What a posterior says about series: the states they go through, and what comes next.

The observed distribution of such a pair has these methods, each for a batch of series:

- `filter(value)`: the law of the states at each step given the series up to it: `Categorical`, probs (*batch, T, K), for one of K
  states; of K continuous ones with mean and variance (*batch, T, K);
- `paths(value)`: states drawn given the series, (*batch, T) or (*batch, T, K); `decode(value)`: the likeliest of one of K, (*batch, T);
- `increments(value)`: the log density of each step given those before it, (*batch, T);
- `forecast(value, steps)`: a draw of the next states, (*batch, steps) or (*batch, steps, K), and values (*batch, steps, ...), without
  the covariates. Of a pair that has some, `value` is longer than the series by as many steps, of which only the covariates are known.

Where the guide draws the states given the series, the distribution is that given a draw of them, and has `paths` and `forecast` only.

Where several chains of states, M, move a series together, discrete states have one more axis, of length M, after that of the steps.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from ..amortised import given_rows
from ..covariates import last_seen, longer, split, told_ahead
from ..diagnostics.quantities import quantile
from ..graphs.graph import batched
from ..memory import CELLS, at_once
from ..program import Program, Values
from ..rows.table import Table
from ..run import at_least, seeded
from .angles import turned
from .latent import Encoded, averages, dressed, labels_of, told
from .predictive import averaged, in_chunks, over_draws, program_for, some_rows

if TYPE_CHECKING:
    from ..posterior import Posterior


# Numbers that a forecast of one series may hold.
LONGEST = 10 * CELLS


class Decoded(NamedTuple):
    """Of each step of each series, (rows, T), of several chains (rows, T, M): the state that most draws' likeliest paths are in, and the
    share of draws that agree."""

    states: pd.DataFrame | Tensor
    agreement: pd.DataFrame | Tensor


class Forecast(NamedTuple):
    """The steps after a series' last: mean, sd, 5% and 95% quantiles (rows, steps, ...); the states (rows, steps, K), as `encode`
    tells them."""

    mean: pd.DataFrame | Tensor
    sd: pd.DataFrame | Tensor
    low: pd.DataFrame | Tensor
    high: pd.DataFrame | Tensor
    states: pd.DataFrame | Tensor | Encoded


def filter(posterior: "Posterior", x: Any) -> pd.DataFrame | Tensor | Encoded:
    """See `Posterior.filter`."""
    program, table = _series(posterior, x, "filter")
    law = _ask(program, "filter")
    found = told(*averaged(posterior, program, lambda v, x: averages(law(v, x)), posterior.aligned), dtype=table.x.dtype)
    return dressed(posterior, table, _latent(program, posterior), found)


def decode(posterior: "Posterior", x: Any) -> Decoded:
    """See `Posterior.decode`."""
    program, table = _series(posterior, x, "filter")
    if not program.knows("decode"):
        raise TypeError(f"{posterior.name}: its states are continuous, and no path of them is decoded; encode gives their means")
    path, states = _ask(program, "decode"), _states(program, posterior)
    share, likeliest = averaged(posterior, program, lambda v, x: _one_hot(path(v, x), states), posterior.aligned).max(-1)
    return Decoded(_by_step(table, likeliest, "state"), _by_step(table, share.to(table.x.dtype), "agreement"))


def paths(posterior: "Posterior", x: Any, seed: int) -> pd.DataFrame | Tensor:
    """See `Posterior.paths`."""
    program, table = _series(posterior, x, "paths")
    with seeded(seed, posterior.device):
        drawn = over_draws(posterior, program, _ask(program, "paths"), posterior.aligned)
    if table.steps is None:
        return drawn.unflatten(0, posterior.shape)
    chains, draws = posterior.shape
    labels = labels_of(posterior, table, _latent(program, posterior), drawn.shape[3:], chain=chains, draw=draws)
    return table.dress_steps(drawn.movedim(0, 2), labels)


def score_steps(posterior: "Posterior", x: Any) -> pd.DataFrame | Tensor:
    """See `Posterior.score_steps`."""
    program, table = _series(posterior, x, "increments")
    total = None
    for increments in in_chunks(posterior, program, _ask(program, "increments"), posterior.draws):
        so_far = increments.double().cumsum(-1).logsumexp(0)
        total = so_far if total is None else torch.logaddexp(total, so_far)
    none = torch.full_like(total[:, :1], math.log(math.prod(posterior.shape)))
    return _by_step(table, total.diff(dim=-1, prepend=none), "score")


def step_densities(posterior: "Posterior", last: int) -> np.ndarray:
    """(draw, step) log density of each of the `last` steps of the first series that was fitted, given those before it."""
    program = Program(posterior.pair, some_rows(posterior)[:1])
    parts = in_chunks(posterior, program, _ask(program, "increments"), posterior.draws)
    return np.concatenate([part[:, 0, -last:].double().cpu().numpy() for part in parts])


def forecast(posterior: "Posterior", x: Any, steps: int, given: Any, samples: int, seed: int) -> Forecast:
    """See `Posterior.forecast`."""
    at_least(1, steps=steps, samples=samples)
    program, table = _series(posterior, x, "forecast")
    known = told_ahead(posterior.pair, table, steps, given).to(program.x)
    aligned = {name: posterior.aligned[name].flatten(0, 1) for name in program.parameters}
    cells = samples * steps * (_states(program, posterior) + table.x[0, 0].numel())
    if cells > LONGEST:
        raise ValueError(f"{samples} samples of {steps} steps are too many to be held at once; ask for fewer samples, or fewer steps")
    with seeded(seed, posterior.device):
        chosen = torch.randint(math.prod(posterior.shape), (samples,), device=posterior.device)
        drawn = {name: draws[chosen] for name, draws in aligned.items()}
        rows = longer(posterior.pair, program.x, known), known
        chunks = zip(*(values.split(at_once(cells)) for values in rows), strict=True)
        parts = [_next(posterior, Program(posterior.pair, some), ahead, (drawn, chosen)) for some, ahead in chunks]
    *moments, states = tree_map(lambda *part: torch.cat(part).to(table.x), *parts)
    if table.steps is not None:
        table = replace(table, steps=table.steps.after(last_seen(posterior.pair, program.x).cpu().numpy(), steps))
    return Forecast(*map(table.dress_like, moments), dressed(posterior, table, _latent(program, posterior), states))


def _next(posterior: "Posterior", program: Program, known: Tensor, drawn: tuple[Values, Tensor]) -> Forecast:
    """The forecast of some rows, from a sample of each draw (sample, *site), of which the numbers are given too.

    known: (rows, steps, C) covariates of what follows.
    """
    steps = known.shape[1]
    answer, cells = _ask(program, "forecast", steps), program.x.numel() * (1 + steps // program.x.shape[1])
    states, values = batched(lambda draw, x: answer(draw[0], x), program.missing, at_once(8 * cells))(drawn, program.x)
    values = values.reshape(len(values), len(program.x), steps, *split(posterior.pair, program.x)[0].shape[2:])
    values = torch.cat([values, known.expand(len(values), *known.shape)], -1) if known.shape[-1] else values
    values = turned(posterior.pair, values)
    low, high = (quantile(values, share) for share in (0.05, 0.95))
    sd, mean = torch.std_mean(values.double(), 0, correction=0)
    return Forecast(mean, sd, low, high, _among(states, _states(program, posterior)))


def _among(states: Tensor, count: int) -> Tensor | Encoded:
    """What a sample of states (sample, rows, steps) or (sample, rows, steps, K) tells of each."""
    if states.is_floating_point():
        sd, mean = torch.std_mean(states.double(), 0, correction=0)
        return Encoded(mean, sd)
    return torch.stack([(states == k).double().mean(0) for k in range(count)], -1)


def _series(posterior: "Posterior", x: Any, method: str) -> tuple[Program, Table]:
    program, table = program_for(posterior, x)
    if not program.knows(method):
        told = "its rows are no series with hidden states, which is what this asks about"
        if program.amortised and posterior.pair.any_length:
            told = "the guide draws its states given whole series, and of steps given the past alone it says nothing; cut the series there"
        raise TypeError(f"{posterior.name}: {told}")
    return program, table


def _by_step(table: Table, values: Tensor, name: str) -> Any:
    """A number called `name` for each step (rows, T), of several chains (rows, T, M), in the form in which the rows came."""
    return table.dress_steps(values, name if values.dim() == 2 else [f"{name}{m}" for m in range(values.shape[2])])


def _ask(program: Program, method: str, *args: Any) -> Callable[[Values, Tensor], Any]:
    """The answer of the observed distribution, as a function of a draw and the rows; given a draw of the states if the guide draws them."""

    def answer(values: Values, x: Tensor) -> Any:
        states = given_rows(program, values, x)[0] if program.amortised else {}
        law, rows = program.observation(values | states, x)
        return getattr(law, method)(rows, *args)

    return answer


def _states(program: Program, posterior: "Posterior") -> int:
    """K, how many states there are."""
    if program.amortised:
        return next(iter(program.amortised.values())).shape[-1]
    return averages(_ask(program, "filter")(_first(program, posterior), program.x[:1, :1]))[0].shape[-1]


def _latent(program: Program, posterior: "Posterior") -> str:
    """The name of the states, or "" where there is none."""
    if program.amortised or not program.knows("latents"):
        return next(iter(program.amortised), "")
    return next(iter(_ask(program, "latents")(_first(program, posterior), program.x[:1, :1])))


def _first(program: Program, posterior: "Posterior") -> Values:
    return {name: posterior.draws[name][0, 0] for name in program.parameters}


def _one_hot(states: Tensor, count: int) -> Tensor:
    return (states[..., None] == torch.arange(count, device=states.device)).long()
