"""Emissions that are counts 0, 1, 2, ..."""

import pyro
import pyro.distributions as dist
import torch
from pyro.nn import PyroParam
from torch import Tensor
from torch.distributions import constraints

from inference.missing import observed

from ..columns import Columns
from .emission import Emission, moments


class PoissonEmission(Emission):
    """Counts."""

    sites = ("rates",)
    dims = {"rates": ("state", "variable")}

    def __init__(self, states: int, center: Tensor, shape: float) -> None:
        super().__init__()
        self.register_buffer("shape", torch.full((states, len(center)), shape))
        self.register_buffer("rate", shape / center.expand(states, -1))
        self.q_shape = PyroParam(self.shape.clone(), constraints.positive)
        self.q_rate = PyroParam(self.rate.clone(), constraints.positive)

    def model(self) -> dist.TorchDistribution:
        return Columns(dist.Poisson(pyro.sample("rates", dist.Gamma(self.shape, self.rate).to_event(2))))

    def guide(self) -> None:
        pyro.sample("rates", dist.Gamma(self.q_shape, self.q_rate).to_event(2))

    def start(self, x: Tensor, member: Tensor) -> None:
        counts, seen = observed(x)
        self.q_shape, self.q_rate = self.shape + member.T @ counts, self.rate + member.T @ seen.to(x.dtype)

    def features(self, x: Tensor) -> Tensor:
        return super().features(x.sqrt())

    def wrong(self, x: Tensor) -> tuple[Tensor, str]:
        return no_count(x)


class NegativeBinomialEmission(Emission):
    """Counts that vary more than Poisson's: of mean m and variance m + m^2 / dispersion."""

    sites = ("means", "dispersions")
    dims = {"means": ("state", "variable"), "dispersions": ("state", "variable")}

    def __init__(self, states: int, center: Tensor, shape: float) -> None:
        super().__init__()
        self.register_buffer("shape", torch.full((states, len(center)), shape))
        self.register_buffer("rate", shape / center.expand(states, -1))
        # Keeps off zero, and lets the dispersion be so large that counts are as good as Poisson's.
        self.register_buffer("dispersion", torch.tensor([2.0, 0.1]))
        self.q_mean, self.q_mean_sd = PyroParam(center.expand(states, -1).log().clone()), _positive(torch.ones_like(self.rate))
        self.q_dispersion, self.q_dispersion_sd = PyroParam(torch.full_like(self.rate, 2.0)), _positive(torch.ones_like(self.rate))

    def model(self) -> dist.TorchDistribution:
        means = pyro.sample("means", dist.Gamma(self.shape, self.rate).to_event(2))
        shape, rate = self.dispersion
        dispersions = pyro.sample("dispersions", dist.Gamma(shape.expand(means.shape), rate).to_event(2))
        return Columns(dist.NegativeBinomial(dispersions, logits=(means / dispersions).log()))

    def guide(self) -> None:
        pyro.sample("means", dist.LogNormal(self.q_mean, self.q_mean_sd).to_event(2))
        pyro.sample("dispersions", dist.LogNormal(self.q_dispersion, self.q_dispersion_sd).to_event(2))

    def start(self, x: Tensor, member: Tensor) -> None:
        counts, mean, variance = moments(x, member)
        mean = (self.shape + counts * mean) / (self.rate + counts)
        dispersion = (mean.square() / (variance - mean).clamp(min=1e-6)).clamp(0.1, 100.0)
        self.q_mean, self.q_mean_sd = mean.log(), ((1 / mean + 1 / dispersion) / (1 + counts)).sqrt()
        self.q_dispersion, self.q_dispersion_sd = dispersion.log(), torch.full_like(mean, 0.5)

    def features(self, x: Tensor) -> Tensor:
        return super().features(x.sqrt())

    def wrong(self, x: Tensor) -> tuple[Tensor, str]:
        return no_count(x)


def no_count(x: Tensor) -> tuple[Tensor, str]:
    return (x < 0) | (x != x.floor()), "is no count 0, 1, 2, ...; choose another emission"


def _positive(value: Tensor) -> PyroParam:
    return PyroParam(value, constraints.positive)
