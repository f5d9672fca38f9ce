"""Emissions that are positive numbers: waiting times, amounts."""

import pyro
import pyro.distributions as dist
import torch
from pyro.nn import PyroParam
from torch import Tensor
from torch.distributions import constraints

from inference.missing import observed

from ..columns import Columns
from .emission import Emission, moments


class ExponentialEmission(Emission):
    """Waiting times without memory."""

    sites = ("hazards",)
    dims = {"hazards": ("state", "variable")}

    def __init__(self, states: int, center: Tensor, shape: float) -> None:
        super().__init__()
        self.register_buffer("shape", torch.full((states, len(center)), shape))
        self.register_buffer("rate", shape * center.expand(states, -1))
        self.q_shape = PyroParam(self.shape.clone(), constraints.positive)
        self.q_rate = PyroParam(self.rate.clone(), constraints.positive)

    def model(self) -> dist.TorchDistribution:
        hazards = pyro.sample("hazards", dist.Gamma(self.shape, self.rate).to_event(2))
        # torch's Exponential draws in place, which cannot be batched.
        return Columns(dist.Gamma(torch.ones_like(hazards), hazards), stand_in=1.0)

    def guide(self) -> None:
        pyro.sample("hazards", dist.Gamma(self.q_shape, self.q_rate).to_event(2))

    def start(self, x: Tensor, member: Tensor) -> None:
        amounts, seen = observed(x)
        self.q_shape, self.q_rate = self.shape + member.T @ seen.to(x.dtype), self.rate + member.T @ amounts

    def features(self, x: Tensor) -> Tensor:
        return super().features(x.log())

    def wrong(self, x: Tensor) -> tuple[Tensor, str]:
        return _not_positive(x)


class GammaEmission(Emission):
    """Amounts of mean m and variance m^2 / form: the more regular the larger the form, which is 1 for waiting without memory."""

    sites = ("amounts", "forms")
    dims = {"amounts": ("state", "variable"), "forms": ("state", "variable")}

    def __init__(self, states: int, center: Tensor, shape: float) -> None:
        super().__init__()
        self.register_buffer("shape", torch.full((states, len(center)), shape))
        self.register_buffer("rate", shape / center.expand(states, -1))
        self.register_buffer("form", torch.tensor([2.0, 0.5]))
        self.q_amount, self.q_form = PyroParam(center.expand(states, -1).log().clone()), PyroParam(torch.ones_like(self.rate))
        self.q_amount_sd = PyroParam(torch.ones_like(self.rate), constraints.positive)
        self.q_form_sd = PyroParam(torch.ones_like(self.rate), constraints.positive)

    def model(self) -> dist.TorchDistribution:
        amounts = pyro.sample("amounts", dist.Gamma(self.shape, self.rate).to_event(2))
        shape, rate = self.form
        forms = pyro.sample("forms", dist.Gamma(shape.expand(amounts.shape), rate).to_event(2))
        return Columns(dist.Gamma(forms, forms / amounts), stand_in=1.0)

    def guide(self) -> None:
        pyro.sample("amounts", dist.LogNormal(self.q_amount, self.q_amount_sd).to_event(2))
        pyro.sample("forms", dist.LogNormal(self.q_form, self.q_form_sd).to_event(2))

    def start(self, x: Tensor, member: Tensor) -> None:
        counts, mean, variance = moments(x, member)
        mean = (self.shape + counts * mean) / (self.rate + counts)
        form = (mean.square() / variance).clamp(0.1, 100.0)
        self.q_amount, self.q_amount_sd = mean.log(), (form * (1 + counts)).rsqrt()
        self.q_form, self.q_form_sd = form.log(), (2 / (3 + counts)).sqrt()

    def features(self, x: Tensor) -> Tensor:
        return super().features(x.log())

    def wrong(self, x: Tensor) -> tuple[Tensor, str]:
        return _not_positive(x)


def _not_positive(x: Tensor) -> tuple[Tensor, str]:
    return x <= 0, "is not above zero; choose another emission"
