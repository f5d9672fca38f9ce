"""What calibration ranks: numbers that a truth and the draws of a posterior both have."""

import numpy as np
import torch
from torch import Tensor

from ...graphs.unconstrained import fixed
from ...posterior import Posterior
from ...program import Program, Values
from ...rows.table import Table
from ..convert import labelled
from .refit import densities
from .simulate import Simulated

DENSITIES = ("log joint", "log likelihood")


def finite(made: Simulated, fits: Values, fewest: int) -> tuple[Simulated, Values]:
    """The simulations all of whose draws are finite. Raises ValueError where they are fewer than `fewest`."""
    good = torch.stack([draws.isfinite().flatten(1).all(1) for draws in fits.values()]).all(0)
    if good.sum() < fewest:
        raise ValueError(f"the draws of {int((~good).sum())} of {len(good)} simulations are not finite: the fits failed; check the priors")
    return Simulated({n: v[good] for n, v in made.truth.items()}, made.rows[good]), {n: v[good] for n, v in fits.items()}


def quantities(program: Program, made: Simulated, fits: Values, table: Table) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """All that is ranked, of the truth (simulation, quantity) and of the draws (simulation, draw, quantity), and its names.

    A symmetry is undone by what the draws have in common. That treats truth and draws alike, so that they stay exchangeable, if
    nothing tells the truth from them: it takes a random place among the draws of its simulation.
    """
    together = {n: torch.cat([made.truth[n][:, None], fits[n]], 1) for n in program.continuous}
    found = densities(program, together, made.rows)
    extra = torch.stack([found.pop(name) for name in DENSITIES], -1).double().cpu()
    count, size = extra.shape[:2]
    member, order = torch.arange(count), torch.arange(size).repeat(count, 1)
    place = torch.randint(size, (count,))
    order[member, 0], order[member, place] = place, 0
    shuffled = {n: _reordered(v, order) for n, v in {**together, **found}.items() if n not in program.locals}
    how = {"method": "simulated", "fixed": fixed(program, program.x)}
    labels, values = labelled(Posterior.of(program.pair, shuffled, {}, how, table))
    values = torch.cat([_reordered(values, order), extra], -1).numpy()
    return values[:, 0], values[:, 1:], [*labels, *DENSITIES]


def _reordered(values: Tensor, order: Tensor) -> Tensor:
    """`values` (simulation, draw, ...) with the draws of each simulation in its `order`; a swap undoes itself."""
    return values[torch.arange(len(order), device=values.device)[:, None], order.to(values.device)]
