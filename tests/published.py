"""Pairs of posteriordb, whose posteriors have published reference draws: shared by the tests of the samplers and the benchmarks.

Source: https://github.com/stan-dev/posteriordb
"""

import json
import os
from pathlib import Path
from typing import Any

import pyro
import pyro.distributions as dist
import torch
from pyro.nn import PyroParam
from torch import Tensor
from torch.distributions import constraints

from inference import Pair
from zoo.distributions.columns import Columns
from zoo.series.hidden_markov import HiddenMarkov

FOLDER = Path(os.environ.get("ZOO_DATA", "")) / "posteriordb"
REFERENCE_DRAWS = 10_000


class OrderedMixture(Pair):
    """Two Gaussians on a line, the left one first.

    | symbol | distribution                       | shape | meaning                  |
    |--------|------------------------------------|-------|--------------------------|
    | theta  | Beta(5, 5)                         | ()    | weight of the left one   |
    | mu     | Normal(0, 2), mu_0 < mu_1          | (2,)  | where they are           |
    | sigma  | HalfNormal(2)                      | (2,)  | how wide                 |
    | z      | Categorical(theta, 1 - theta)      | (N,)  | which one; summed out    |
    | x      | Normal(mu_z, sigma_z)              | (N,)  | numbers                  |
    """

    def __init__(self) -> None:
        self.q_mu = PyroParam(torch.tensor([-1.0, 1.0]), constraints.real)
        self.q_sigma = PyroParam(torch.ones(2), constraints.positive)

    def model(self, x: Tensor, size: int | None = None) -> None:
        theta = pyro.sample("theta", dist.Beta(x.new_tensor(5.0), 5.0))
        left = dist.Normal(x.new_zeros(2), 2.0).to_event(1)
        mu = pyro.sample("mu", dist.TransformedDistribution(left, dist.transforms.OrderedTransform()))
        # An ordered transform of Normals is not ordered Normals: put the density of the latter in place of the former.
        spacing = torch.log(mu[1] - mu[0])
        pyro.factor("ordered", dist.Normal(0.0, 2.0).log_prob(mu).sum() - left.log_prob(torch.stack([mu[0], spacing])) + spacing)
        sigma = pyro.sample("sigma", dist.HalfNormal(x.new_full((2,), 2.0)).to_event(1))
        with self.rows(x, size):
            z = pyro.sample("z", dist.Categorical(torch.stack([theta, 1 - theta])))
            pyro.sample("x", dist.Normal(mu[z], sigma[z]), obs=x[:, 0])

    def guide(self, x: Tensor, size: int | None = None) -> None:
        pyro.sample("theta", dist.Beta(x.new_tensor(10.0), 10.0))
        free = torch.stack([self.q_mu[0], (self.q_mu[1] - self.q_mu[0]).log()])
        pyro.sample("mu", dist.TransformedDistribution(dist.Normal(free, 0.1).to_event(1), dist.transforms.OrderedTransform()))
        pyro.sample("sigma", dist.LogNormal(self.q_sigma.log(), 0.1).to_event(1))

    def start(self, x: Tensor) -> None:
        low, high = x[x < x.mean()], x[x >= x.mean()]
        self.q_mu, self.q_sigma = torch.stack([low.mean(), high.mean()]), torch.stack([low.std(), high.std()])


def mixture_rows(count: int = 1000) -> Tensor:
    """(count, 1): rows like those of low_dim_gauss_mix, simulated."""
    generator = torch.Generator().manual_seed(0)
    right = torch.rand(count, generator=generator) > 0.37
    return torch.where(right, 2.75, -2.75)[:, None] + torch.randn(count, 1, generator=generator)


class EightSchools(Pair):
    """Effects of coaching in eight schools, non-centred.

    | symbol      | distribution            | shape | meaning                              |
    |-------------|-------------------------|-------|--------------------------------------|
    | mu          | Normal(0, 5)            | ()    | the mean effect                      |
    | tau         | HalfCauchy(5)           | ()    | how much schools differ              |
    | theta_trans | Normal(0, 1)            | (8,)  | a school's effect, standardised      |
    | theta       | mu + tau theta_trans    | (8,)  | a school's effect                    |
    | y           | Normal(theta, sigma)    | (8,)  | the effect seen; columns y and sigma |

    Reference: Rubin 1981, "Estimation in parallel randomized experiments", Journal of Educational Statistics 6.
    """

    def __init__(self) -> None:
        pass

    def model(self, x: Tensor, size: int | None = None) -> None:
        mu = pyro.sample("mu", dist.Normal(x.new_zeros(()), 5.0))
        tau = pyro.sample("tau", dist.HalfCauchy(x.new_tensor(5.0)))
        standard = pyro.sample("theta_trans", dist.Normal(x.new_zeros(8), 1.0).to_event(1))
        theta = pyro.deterministic("theta", mu + tau * standard, event_dim=1)
        with self.rows(x, size):
            # Every row is a school, so that a part of the rows is the first few schools.
            pyro.sample("x", dist.Normal(theta[: len(x)], x[:, 1]), obs=x[:, 0])

    def guide(self, x: Tensor, size: int | None = None) -> None:
        pyro.sample("mu", dist.Normal(x.new_zeros(()), 3.0))
        pyro.sample("tau", dist.LogNormal(x.new_ones(()), 0.5))
        pyro.sample("theta_trans", dist.Normal(x.new_zeros(8), 1.0).to_event(1))


def schools_rows() -> Tensor:
    """(8, 2): the effects seen and their standard errors."""
    effects, errors = [28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0], [15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0]
    return torch.tensor([effects, errors]).mT.contiguous()


class OrderedChain(Pair):
    """Two hidden states that show Gaussians on a line, the left one first; nothing is said of the first step's state.

    | symbol | distribution                                  | shape  | meaning                       |
    |--------|-----------------------------------------------|--------|-------------------------------|
    | theta1 | Dirichlet(1, 1)                               | (2,)   | where the left state goes     |
    | theta2 | Dirichlet(1, 1)                               | (2,)   | where the right state goes    |
    | mu     | Normal(3, 1) and Normal(10, 1), 0 < mu_0 < mu_1 | (2,) | where they are; low, low + gap |
    | x      | Normal(mu_z, 1)                               | (1, T) | one series                    |
    """

    def __init__(self) -> None:
        pass

    def model(self, x: Tensor, size: int | None = None) -> None:
        rows = [pyro.sample(name, dist.Dirichlet(x.new_ones(2))) for name in ("theta1", "theta2")]
        low, gap = (pyro.sample(name, dist.Exponential(x.new_ones(()))) for name in ("low", "gap"))
        mu = pyro.deterministic("mu", torch.stack([low, low + gap]), event_dim=1)
        # The priors are theirs on mu, in place of what low and gap were drawn from.
        pyro.factor("ordered", dist.Normal(x.new_tensor([3.0, 10.0]), 1.0).log_prob(mu).sum() + low + gap)
        with self.rows(x, size):
            chain = HiddenMarkov(x.new_zeros(2), torch.stack(rows).log(), Columns(dist.Normal(mu[:, None], 1.0)), x.shape[1])
            pyro.sample("x", chain, obs=x[..., None])

    def guide(self, x: Tensor, size: int | None = None) -> None:
        for name in ("theta1", "theta2"):
            pyro.sample(name, dist.Dirichlet(x.new_full((2,), 2.0)))
        pyro.sample("low", dist.LogNormal(x.new_tensor(3.0).log(), 0.1))
        pyro.sample("gap", dist.LogNormal(x.new_tensor(6.0).log(), 0.1))


def published(posterior: str, file: str) -> dict[str, Any]:
    """A JSON file of one of posteriordb's posteriors; ZOO_DATA names the folder that holds posteriordb."""
    return json.loads((FOLDER / posterior / file).read_text())
