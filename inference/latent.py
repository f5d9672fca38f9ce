"""What a posterior says about the latents of rows: their probabilities, and what is missing."""

from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd
import torch
from torch import Tensor

from .predictive import over_draws, program_for
from .program import Program, Values
from .run import seeded

if TYPE_CHECKING:
    from .posterior import Posterior


class Imputed(NamedTuple):
    """Rows whose holes are filled by the mean of their posterior, and its standard deviation (zero where observed)."""

    mean: pd.DataFrame | Tensor
    sd: pd.DataFrame | Tensor


def encode(posterior: "Posterior", x: Any) -> Any:
    """See `Posterior.encode`."""
    program, table = program_for(posterior, x)
    sites = [name for name, site in program.locals.items() if site.discrete]
    if not sites:
        raise TypeError(f"{posterior.name}: its rows have no discrete latent to encode")
    probabilities = over_draws(posterior, program, program.marginals, posterior.aligned)
    coords = posterior.pair.coords(posterior.how["columns"])
    out = {}
    for name in sites:
        mean = probabilities[name].mean(0)
        axis = posterior.pair.dims.get(name, ("",))[-1]
        out[name] = table.dress(mean, [str(label) for label in coords.get(axis, range(mean.shape[-1]))])
    return out[sites[0]] if len(sites) == 1 else out


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
        return site["fn"].fill(x).reshape(x.shape)
    return torch.where(x.isnan(), site["fn"].sample().reshape(x.shape), x)
