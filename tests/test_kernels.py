"""Every kernel of `inference.mcmc`, one contract: known moments, calibration, chains that agree, and trouble that is reported.

Effective draws are counted before moments are compared, so that a chain that stands still does not pass.
"""

import arviz_stats
import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import scipy.stats
import torch
from torch import Tensor

from inference import Pair, mcmc
from inference.mcmc import KERNELS

from .published import OrderedMixture, mixture_rows
from .targets import TARGETS, Counts, Funnel, counts_rows

RUN = {"chains": 16, "warmup": 200, "draws": 200, "device": "cpu"}
# In test_a_posterior_is_calibrated: data sets, draws that a truth is ranked among, and bins of ranks.
SETS, AMONG, BINS = 300, 127, 16

pytestmark = pytest.mark.parametrize("kernel", list(KERNELS))


def _effective(draws: Tensor, method: str = "mean") -> float:
    return float(arviz_stats.ess(draws.double().numpy(), method=method, chain_axis=0, draw_axis=1))


def _numbers(draws: Tensor) -> tuple[Tensor, ...]:
    """(chain, draw) of every number in `draws` (chain, draw, ...)."""
    return draws.reshape(*draws.shape[:2], -1).unbind(-1)


@pytest.mark.parametrize("target", list(TARGETS))
def test_moments_are_as_known(kernel: str, target: str):
    pair, rows, known = TARGETS[target]
    x = rows()
    posterior = mcmc(pair(), x, kernel=kernel, **RUN)
    for name, draws, mean in known(posterior.draws, x):
        for found, truth in zip(_numbers(draws), mean.reshape(-1), strict=True):
            effective = _effective(found)
            assert effective > 200, name
            assert abs(found.mean() - truth) < 5 * found.std() / effective**0.5, name


def test_a_funnel_diverges(kernel: str):
    posterior = mcmc(Funnel(), torch.zeros(2), kernel=kernel, chains=16, warmup=60, draws=100, device="cpu")
    assert posterior.stats["diverging"].sum() > 0


def test_a_seed_is_a_run(kernel: str):
    runs = [mcmc(Counts(), counts_rows(), kernel=kernel, chains=2, warmup=30, draws=5, seed=s, device="cpu") for s in (1, 1, 2)]
    assert torch.equal(runs[0].draws["rate"], runs[1].draws["rate"])
    assert not torch.equal(runs[0].draws["rate"], runs[2].draws["rate"])


def test_every_draw_has_its_statistics(kernel: str):
    posterior = mcmc(Counts(), counts_rows(), kernel=kernel, chains=3, warmup=30, draws=5, device="cpu")
    assert {"lp", "acceptance_rate", "energy", "diverging", "n_steps", "step_size"} <= set(posterior.stats)
    assert all(values.shape == (3, 5) for values in posterior.stats.values())
    rate = posterior.draws["rate"]
    # Gamma(2, 1) x Poisson(0) x Poisson(1), and the Jacobian of the logarithm.
    torch.testing.assert_close(posterior.stats["lp"], 3 * rate.log() - 3 * rate)


@pytest.mark.parametrize("chains", [4, 64])
def test_chains_agree(kernel: str, chains: int):
    posterior = mcmc(OrderedMixture(), mixture_rows(100), kernel=kernel, chains=chains, warmup=200, draws=500, device="cpu")
    numbers = [number for draws in posterior.draws.values() for number in _numbers(draws)]
    assert len(numbers) == 5
    for found in numbers:
        assert _effective(found, "bulk") > 200
        assert float(arviz_stats.rhat(found.numpy(), chain_axis=0, draw_axis=1)) < 1.01


class Rates(Pair):
    """Counts of many data sets, side by side: as many fits as there are rates, in one run.

    | symbol | distribution   | shape     | meaning                       |
    |--------|----------------|-----------|-------------------------------|
    | rates  | Gamma(2, 1)    | (sets,)   | one for each data set         |
    | x      | Poisson(rates) | (N, sets) | a row has one count from each |
    """

    def __init__(self, sets: int) -> None:
        self.sets = sets

    def model(self, x: Tensor, size: int | None = None) -> None:
        rates = pyro.sample("rates", dist.Gamma(x.new_full((self.sets,), 2.0), 1.0).to_event(1))
        with self.rows(x, size):
            pyro.sample("x", dist.Poisson(rates).to_event(1), obs=x)

    def guide(self, x: Tensor, size: int | None = None) -> None:
        pyro.sample("rates", dist.LogNormal(x.new_zeros(self.sets), 0.7).to_event(1))


def test_a_posterior_is_calibrated(kernel: str):
    """Truths drawn from the prior rank uniformly among draws from their posteriors (Talts et al. 2018, arXiv:1804.06788)."""
    truths = torch.distributions.Gamma(2.0, 1.0).sample((SETS,))
    x = torch.poisson(truths.expand(2, SETS))
    draws = mcmc(Rates(SETS), x, kernel=kernel, chains=32, warmup=100, draws=80, device="cpu").draws["rates"]
    # Ranks are uniform among independent draws: every twentieth of each chain, as far as needed.
    least = min(_effective(draws[..., i]) for i in range(0, SETS, 25))
    assert least > AMONG + 1
    independent = draws[:, ::20].flatten(0, 1)[:AMONG]
    assert len(independent) == AMONG
    ranks = (independent < truths).sum(0).numpy()
    observed = np.bincount(ranks * BINS // (AMONG + 1), minlength=BINS)
    assert scipy.stats.chisquare(observed).pvalue > 1e-4
