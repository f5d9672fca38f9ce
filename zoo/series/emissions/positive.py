"""Emissions that are positive numbers: waiting times, amounts."""

import pyro.distributions as dist
import torch
from torch import Tensor

from inference.missing import observed

from ...distributions.columns import Columns
from .emission import Emission, moments
from .priors import Conjugate, Positive


class PositiveEmission(Emission):
    """What positive numbers have in common."""

    def features(self, x: Tensor) -> Tensor:
        return super().features(x.log())

    def moved(self, law: Columns, by: Tensor) -> Columns:
        return Columns(dist.Gamma(law.base.concentration, law.base.rate * (-by).exp()), stand_in=1.0)

    def unit_of(self, spread: Tensor) -> Tensor:
        return torch.ones_like(spread)

    def response(self, x: Tensor) -> Tensor:
        return x.log()

    def undone(self, x: Tensor, by: Tensor) -> Tensor:
        return x * (-by).exp()

    def wrong(self, x: Tensor) -> tuple[Tensor, str]:
        return x <= 0, "is not above zero; choose another emission"


class ExponentialEmission(PositiveEmission):
    """Waiting times without memory."""

    sites = ("hazards",)
    dims = {"hazards": ("state", "variable")}

    def __init__(self, states: int, center: Tensor, shape: float) -> None:
        super().__init__()
        self.hazards = Conjugate("hazards", shape, shape * center.expand(states, -1))

    def model(self) -> dist.TorchDistribution:
        hazards = self.hazards.model()
        # torch's Exponential draws in place, which cannot be batched.
        return Columns(dist.Gamma(torch.ones_like(hazards), hazards), stand_in=1.0)

    def guide(self) -> None:
        self.hazards.guide()

    def start(self, x: Tensor, member: Tensor) -> None:
        amounts, seen = observed(x)
        self.hazards.start(member.T @ seen.to(x.dtype), member.T @ amounts)


class GammaEmission(PositiveEmission):
    """Amounts of mean m and variance m^2 / form: the more regular the larger the form, which is 1 for waiting without memory."""

    sites = ("amounts", "forms")
    dims = {"amounts": ("state", "variable"), "forms": ("state", "variable")}

    def __init__(self, states: int, center: Tensor, shape: float) -> None:
        super().__init__()
        rate = shape / center.expand(states, -1)
        self.amounts = Positive("amounts", shape, rate)
        self.forms = Positive("forms", 2.0, torch.full_like(rate, 0.5))

    def model(self) -> dist.TorchDistribution:
        amounts, forms = self.amounts.model(), self.forms.model()
        return Columns(dist.Gamma(forms, forms / amounts), stand_in=1.0)

    def guide(self) -> None:
        self.amounts.guide()
        self.forms.guide()

    def start(self, x: Tensor, member: Tensor) -> None:
        counts, mean, variance = moments(x, member)
        mean = (self.amounts.shape + counts * mean) / (self.amounts.rate + counts)
        form = (mean.square() / variance).clamp(0.1, 100.0)
        self.amounts.start(mean, (form * (1 + counts)).rsqrt())
        self.forms.start(form, (2 / (3 + counts)).sqrt())
