"""The posterior of a published mixture, with its exact priors, against its published reference draws.

Set ZOO_DATA to a folder that holds posteriordb's `low_dim_gauss_mix-low_dim_gauss_mix` (data.json, reference_summary.json).
"""

import json
import os
from pathlib import Path

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.nn import PyroParam
from torch import Tensor
from torch.distributions import constraints

from inference import Pair, diagnose, mcmc

FOLDER = Path(os.environ.get("ZOO_DATA", "")) / "posteriordb" / "low_dim_gauss_mix-low_dim_gauss_mix"
REFERENCE_DRAWS = 10_000


class OrderedMixture(Pair):
    """Two Gaussians on a line, the left one first."""

    def __init__(self) -> None:
        self.q_mu = PyroParam(torch.tensor([-1.0, 1.0]), constraints.real)
        self.q_sigma = PyroParam(torch.ones(2), constraints.positive)

    def model(self, x: Tensor, size: int | None = None) -> None:
        theta = pyro.sample("theta", dist.Beta(5.0, 5.0))
        left = dist.Normal(0.0, 2.0).expand([2]).to_event(1)
        mu = pyro.sample("mu", dist.TransformedDistribution(left, dist.transforms.OrderedTransform()))
        # An ordered transform of Normals is not ordered Normals: put the density of the latter in place of the former.
        spacing = torch.log(mu[1] - mu[0])
        pyro.factor("ordered", dist.Normal(0.0, 2.0).log_prob(mu).sum() - left.log_prob(torch.stack([mu[0], spacing])) + spacing)
        sigma = pyro.sample("sigma", dist.HalfNormal(2.0).expand([2]).to_event(1))
        with self.rows(x, size):
            z = pyro.sample("z", dist.Categorical(torch.stack([theta, 1 - theta])))
            pyro.sample("x", dist.Normal(mu[z], sigma[z]), obs=x[:, 0])

    def guide(self, x: Tensor, size: int | None = None) -> None:
        pyro.sample("theta", dist.Beta(10.0, 10.0))
        free = torch.stack([self.q_mu[0], (self.q_mu[1] - self.q_mu[0]).log()])
        pyro.sample("mu", dist.TransformedDistribution(dist.Normal(free, 0.1).to_event(1), dist.transforms.OrderedTransform()))
        pyro.sample("sigma", dist.LogNormal(self.q_sigma.log(), 0.1).to_event(1))

    def start(self, x: Tensor) -> None:
        low, high = x[x < x.mean()], x[x >= x.mean()]
        self.q_mu, self.q_sigma = torch.stack([low.mean(), high.mean()]), torch.stack([low.std(), high.std()])


@pytest.mark.skipif(not FOLDER.is_dir(), reason="ZOO_DATA does not hold posteriordb")
def test_posterior_agrees_with_the_reference_draws():
    y = np.array(json.loads((FOLDER / "data.json").read_text())["y"])
    reference = json.loads((FOLDER / "reference_summary.json").read_text())["parameters"]
    posterior = mcmc(OrderedMixture(), y, chains=4, warmup=300, draws=1000, seed=1)
    report = diagnose(posterior)
    assert report.ok, str(report)
    for name, row in report.table.iterrows():
        truth = reference[_theirs(name)]
        mcse = row["mcse_mean"] + truth["sd"] / REFERENCE_DRAWS**0.5
        assert abs(row["mean"] - truth["mean"]) < 4 * mcse, name
        assert abs(row["sd"] / truth["sd"] - 1) < 0.1, name


def _theirs(name: str) -> str:
    """Their name of a parameter: they count from one."""
    return name.replace("[1]", "[2]").replace("[0]", "[1]")
