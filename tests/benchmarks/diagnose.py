"""`diagnose` on 64 chains x 1000 draws x 1000 parameters, beside ArviZ's R-hat, ESS and MCSE of the same draws."""

import resource
import time

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor

import inference
from inference import Posterior, as_table

from .side import apart

SIZES = (64, 1000, 1000)
QUICK = (8, 200, 100)


class Locations(inference.Pair):
    """Columns of unknown location.

    Arguments:
        dim: how many columns.
    """

    def __init__(self, dim: int = 2) -> None:
        self.dim = dim

    def model(self, x: Tensor, size: int | None = None) -> None:
        loc = pyro.sample("loc", dist.Normal(x.new_zeros(self.dim), 1.0).to_event(1))
        with self.rows(x, size):
            pyro.sample("x", dist.Normal(loc, 1.0).to_event(1), obs=x)

    guide = model


def ours(sizes: list[int]) -> dict[str, float]:
    """Seconds of the whole report, and its memory in GB beyond the draws'."""
    torch.manual_seed(0)
    chains, draws, dim = sizes
    table = as_table(torch.randn(10, dim))
    how = {"method": "nuts", "settings": {}, "seed": 0, "seconds": 0.0, "stopped": "drew all", "restarted": 0}
    stats = {"lp": torch.randn(chains, draws), "diverging": torch.zeros(chains, draws)}
    posterior = Posterior.of(Locations(dim), {"loc": torch.randn(chains, draws, dim)}, stats, how, table)
    inference.diagnose(Posterior.of(Locations(dim), {"loc": torch.randn(2, 100, dim)}, {}, how, table))  # imports, caches
    before, begin = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    inference.diagnose(posterior)
    seconds = time.perf_counter() - begin
    return {"seconds": seconds, "memory": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e6}


def arviz(sizes: list[int]) -> dict[str, float]:
    """Seconds of R-hat, both ESS and the MCSE of the mean."""
    import arviz_stats
    import numpy as np

    draws = np.random.default_rng(0).normal(size=sizes)
    axes = {"chain_axis": 0, "draw_axis": 1}
    begin = time.perf_counter()
    arviz_stats.rhat(draws, **axes)
    arviz_stats.ess(draws, method="bulk", **axes)
    arviz_stats.ess(draws, method="tail", prob=(0.05, 0.95), **axes)
    arviz_stats.mcse(draws, method="mean", **axes)
    return {"seconds": time.perf_counter() - begin}


def main(quick: bool) -> None:
    """Print seconds of both sides."""
    sizes = list(QUICK if quick else SIZES)
    own, theirs = apart(ours, sizes=sizes), apart(arviz, sizes=sizes)
    print(f"\ndiagnosing {' x '.join(map(str, sizes))} (chains, draws, parameters)")
    print(f"  ours, the whole report: {own['seconds']:.1f} s, {own['memory']:.2f} GB beyond the draws")
    print(f"  ArviZ, these statistics alone: {theirs['seconds']:.1f} s")
