"""What a posterior says about the latents of rows: their probabilities, and what is missing."""

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd
import torch
from torch import Tensor

from .predictive import averaged, over_draws, program_for
from .program import Program, Values
from .run import seeded
from .table import Table

if TYPE_CHECKING:
    from .posterior import Posterior


class Encoded(NamedTuple):
    """The mean of a continuous latent of each row, and its standard deviation: that of its law given the row, over all draws."""

    mean: pd.DataFrame | Tensor
    sd: pd.DataFrame | Tensor


class Imputed(NamedTuple):
    """Rows whose holes are filled by the mean of their posterior, and its standard deviation (zero where observed)."""

    mean: pd.DataFrame | Tensor
    sd: pd.DataFrame | Tensor


def encode(posterior: "Posterior", x: Any) -> Any:
    """See `Posterior.encode`."""
    program, table = program_for(posterior, x)
    if not program.knows("latents") and not any(site.discrete for site in program.locals.values()):
        raise TypeError(f"{posterior.name}: its rows have no latent to encode that is summed or integrated out")
    averages = averaged(posterior, program, partial(_conditionals, program), posterior.aligned)
    out = {name: _encoded(posterior, table, name, *moments) for name, moments in averages.items()}
    return next(iter(out.values())) if len(out) == 1 else out


def _conditionals(program: Program, values: Values, x: Tensor) -> dict[str, tuple[Tensor, ...]]:
    """Of each latent given its row: its probabilities, or its mean and mean square."""
    found = {}
    if any(site.discrete for site in program.locals.values()):
        found = {name: (probabilities,) for name, probabilities in program.marginals(values, x).items()}
    if program.knows("latents"):
        law, rows = program.observation(values, x)
        for name, latent in law.latents(rows).items():
            given = (latent.probs,) if latent.has_enumerate_support else (latent.mean, latent.variance + latent.mean.square())
            found[name] = given
    return found


def _encoded(posterior: "Posterior", table: Table, name: str, mean: Tensor, square: Tensor | None = None) -> Any:
    coords = posterior.pair.coords(posterior.how["columns"])
    labels = coords.get(posterior.pair.dims.get(name, ("",))[-1], range(mean[0].numel()))

    def dress(values: Tensor) -> Any:
        values = values.to(table.x.dtype).reshape(len(table), *(values.shape[1:] or (1,)))
        return values if values.dim() > 2 else table.dress(values, [str(label) for label in labels])

    return dress(mean) if square is None else Encoded(dress(mean), dress((square - mean.square()).clamp(min=0).sqrt()))


def impute(posterior: "Posterior", x: Any, seed: int) -> Imputed:
    """See `Posterior.impute`."""
    program, table = program_for(posterior, x)
    if not program.missing:
        return Imputed(table.dress(table.x, table.columns), table.dress(torch.zeros_like(table.x), table.columns))
    with seeded(seed, posterior.device):
        holes = program.x.isnan()
        incomplete = holes.flatten(1).any(1)
        sparse = Program(posterior.pair, program.x[incomplete])
        filled = over_draws(posterior, sparse, lambda values, x: _fill(sparse, values, x), posterior.draws).double()
    mean, sd = program.x.clone(), torch.zeros_like(program.x)
    mean[incomplete], sd[incomplete] = filled.mean(0).to(mean), filled.std(0, correction=0).to(mean)
    mean, sd = torch.where(holes, mean, program.x), torch.where(holes, sd, 0.0)
    return Imputed(table.dress(mean, table.columns), table.dress(sd, table.columns))


def _fill(program: Program, values: Values, x: Tensor) -> Tensor:
    site = program.draw_rows(values, x).nodes[program.observed[0]]
    if hasattr(site["fn"], "fill"):
        return site["fn"].fill(site["value"]).reshape(x.shape)
    return torch.where(x.isnan(), site["fn"].sample().reshape(x.shape), x)
