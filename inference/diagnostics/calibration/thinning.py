"""Draws of a chain made nearly independent, as ranks need them."""

import warnings
from typing import NamedTuple

import arviz_stats
import numpy as np

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
    # A chain that stands still has no ESS: it is told as one effective draw.
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        ess = np.asarray(arviz_stats.ess(series, method="bulk", chain_axis=0, draw_axis=1)).reshape(simulations, quantities)
    least = float(np.quantile(np.nan_to_num(ess, nan=1.0).min(1), 0.05))
    every = max(1, int(np.ceil(count / max(least, 1.0))))
    kept = draws[:, every - 1 :: every]
    return kept, Effective(least, kept.shape[1])
