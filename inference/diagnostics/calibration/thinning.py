"""Draws of a chain made nearly independent, as ranks need them."""

from typing import NamedTuple

import numpy as np

from ..convergence import ess_bulk

ENOUGH = 19


class Effective(NamedTuple):
    """How many effective draws the chains had: in the worst but 5% of the simulations, and what was kept of each."""

    least: float
    kept: int

    @property
    def enough(self) -> bool:
        return self.kept >= ENOUGH


def thinned(draws: np.ndarray) -> tuple[np.ndarray, Effective]:
    """Every so many-th of `draws` (simulation, draw, quantity): as many as 95% of the simulations have effective draws of all.

    One thinning serves all simulations: one that looked at each would let the draws choose how they are ranked.
    """
    simulations, count, quantities = draws.shape
    series = draws.transpose(1, 0, 2).reshape(1, count, simulations * quantities)
    ess = np.nan_to_num(ess_bulk(series), nan=1.0).reshape(simulations, quantities).min(1)
    # Draws that are all the same count, one by one, as independent: of a chain that stands still they are one.
    ess = np.where((draws == draws[:, :1]).all((1, 2)), 1.0, ess)
    least = float(np.quantile(ess, 0.05))
    every = max(1, int(np.ceil(count / max(least, 1.0))))
    kept = draws[:, every - 1 :: every]
    return kept, Effective(least, kept.shape[1])
