"""NUTS where something is in its way: a mixture by quadrature, hardly a warm-up, a funnel, starts that are impossible or lost."""

import arviz_stats
import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.nn import PyroParam
from torch import Tensor
from torch.distributions import constraints

import inference
from inference.mcmc import KERNELS

from .targets import Funnel, UnknownNormal

RUN = {"chains": 16, "warmup": 150, "draws": 200, "device": "cpu"}


def _agrees(draws: Tensor, truth: float, least: int = 300) -> None:
    """draws: (chain, draw) of one number, whose posterior mean is `truth`."""
    effective = float(arviz_stats.ess(draws.numpy(), method="mean", chain_axis=0, draw_axis=1))
    assert effective > least
    assert abs(draws.mean().item() - truth) < 4.5 * draws.std().item() / effective**0.5


class Contaminated(inference.Pair):
    """Numbers ~ weights_0 Normal(0, 1) + weights_1 Normal(loc, 1), loc ~ Normal(0, 3)."""

    def __init__(self) -> None:
        pass

    def model(self, x: Tensor, size: int | None = None) -> None:
        weights = pyro.sample("weights", dist.Dirichlet(torch.ones(2)))
        loc = pyro.sample("loc", dist.Normal(0.0, 3.0))
        with self.rows(x, size):
            z = pyro.sample("z", dist.Categorical(weights))
            pyro.sample("x", dist.Normal(loc * z, 1.0), obs=x[:, 0])

    def guide(self, x: Tensor, size: int | None = None) -> None:
        pyro.sample("weights", dist.Dirichlet(torch.ones(2)))
        pyro.sample("loc", dist.Normal(0.0, 3.0))


class Lopsided(inference.Pair):
    """A place to the left that has all the weight, and one to the right that has none; the guide begins on either side."""

    def __init__(self) -> None:
        self.q_side = PyroParam(torch.tensor(0.0), constraints.real)

    def model(self, x: Tensor, size: int | None = None) -> None:
        place = pyro.sample("place", dist.Normal(0.0, 100.0))
        pyro.factor("modes", torch.logaddexp(40 - 0.5 * (place + 20).square(), -0.5 * (place - 20).square()))
        with self.rows(x, size):
            pyro.sample("x", dist.Normal(0.0, 1.0), obs=x[:, 0])

    def guide(self, x: Tensor, size: int | None = None) -> None:
        pyro.sample("place", dist.Normal(self.q_side, 1.0))

    def start(self, x: Tensor) -> None:
        self.q_side = 20.0 * (2.0 * torch.randint(2, ()) - 1)


class Below(inference.Pair):
    """Numbers ~ Uniform(0, most), most ~ LogNormal(0, 1): few draws of the prior allow the rows."""

    def __init__(self) -> None:
        self.q_loc = PyroParam(torch.tensor(0.0), constraints.real)

    def model(self, x: Tensor, size: int | None = None) -> None:
        most = pyro.sample("most", dist.LogNormal(0.0, 1.0))
        with self.rows(x, size):
            pyro.sample("x", dist.Uniform(0.0, most), obs=x[:, 0])

    def guide(self, x: Tensor, size: int | None = None) -> None:
        pyro.sample("most", dist.LogNormal(self.q_loc, 1.0))


def test_a_mixture_against_quadrature():
    x = torch.tensor([-0.8, 0.1, 0.6, 1.9, 2.4, 3.1, 2.8, -0.3, 0.9, 4.0])
    share, loc = torch.linspace(0, 1, 402)[1:-1, None], torch.linspace(-12, 12, 1201)
    normal = torch.distributions.Normal(0.0, 1.0)
    logs = -0.5 * (loc / 3).square() + sum(
        ((1 - share) * normal.log_prob(v).exp() + share * normal.log_prob(v - loc).exp()).log() for v in x
    )
    mass = (logs - logs.max()).exp()
    mass = mass / mass.sum()
    posterior = inference.mcmc(Contaminated(), x, **RUN)
    found_share, found_loc = posterior.draws["weights"][..., 1], posterior.draws["loc"]
    _agrees(found_share, (mass * share).sum().item())
    _agrees(found_share.square(), (mass * share.square()).sum().item())
    _agrees(found_loc, (mass * loc).sum().item())
    _agrees(found_share * found_loc, (mass * share * loc).sum().item())


@pytest.mark.parametrize("warmup", [1, 10, 20, 30, 60])
def test_a_short_warm_up_still_moves(warmup):
    stats = inference.mcmc(UnknownNormal(), torch.randn(20), chains=2, warmup=warmup, draws=20, device="cpu").stats
    assert stats["acceptance_rate"].mean() > 0.5


def test_a_funnel_is_reported():
    posterior = inference.mcmc(Funnel(), torch.zeros(2), chains=4, warmup=60, draws=60, device="cpu")
    report = inference.diagnose(posterior)
    assert posterior.stats["diverging"].sum() > 0
    assert {f.name: f.severity for f in report.findings}["divergences"] in ("warning", "failure")
    assert not report.ok


@pytest.mark.parametrize("seed", range(3))
def test_rows_that_most_draws_of_the_prior_do_not_allow_are_no_error(seed):
    posterior = inference.mcmc(Below(), torch.tensor([0.5, 2.0, 3.0]), warmup=15, draws=10, seed=seed, device="cpu")
    assert (posterior.draws["most"] > 3).all()


@pytest.mark.parametrize("kernel", KERNELS)
def test_chains_in_a_mode_of_no_weight_are_moved(kernel):
    posterior = inference.mcmc(Lopsided(), torch.zeros(2), kernel=kernel, chains=8, warmup=120, draws=50, device="cpu")
    assert posterior.how["restarted"] >= 1
    assert (posterior.draws["place"] < 0).all()
