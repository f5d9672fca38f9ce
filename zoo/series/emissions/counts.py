"""Emissions that are counts 0, 1, 2, ..."""

import pyro.distributions as dist
import torch
from torch import Tensor

from inference.missing import observed

from ...distributions.columns import Columns
from .emission import Emission, moments
from .priors import Conjugate, Positive


class CountEmission(Emission):
    """What counts have in common."""

    def features(self, x: Tensor) -> Tensor:
        return super().features(x.sqrt())

    def unit_of(self, spread: Tensor) -> Tensor:
        return torch.ones_like(spread)

    def response(self, x: Tensor) -> Tensor:
        return (x + 0.5).log()

    def undone(self, x: Tensor, by: Tensor) -> Tensor:
        return x * (-by).exp()

    def wrong(self, x: Tensor) -> tuple[Tensor, str]:
        return (x < 0) | (x != x.floor()), "is no count 0, 1, 2, ...; choose another emission"


class PoissonEmission(CountEmission):
    """Counts."""

    sites = ("rates",)
    dims = {"rates": ("state", "variable")}

    def __init__(self, states: int, center: Tensor, shape: float) -> None:
        super().__init__()
        self.rates = Conjugate("rates", shape, shape / center.expand(states, -1))

    def model(self) -> dist.TorchDistribution:
        return Columns(dist.Poisson(self.rates.model()))

    def guide(self) -> None:
        self.rates.guide()

    def moved(self, law: Columns, by: Tensor) -> Columns:
        return Columns(dist.Poisson(law.base.rate * by.exp()))

    def start(self, x: Tensor, member: Tensor) -> None:
        counts, seen = observed(x)
        self.rates.start(member.T @ counts, member.T @ seen.to(x.dtype))


class NegativeBinomialEmission(CountEmission):
    """Counts that vary more than Poisson's: of mean m and variance m + m^2 / dispersion."""

    sites = ("means", "dispersions")
    dims = {"means": ("state", "variable"), "dispersions": ("state", "variable")}

    def __init__(self, states: int, center: Tensor, shape: float) -> None:
        super().__init__()
        rate = shape / center.expand(states, -1)
        self.means = Positive("means", shape, rate)
        # Keeps off zero, and lets the dispersion be so large that counts are as good as Poisson's.
        self.dispersions = Positive("dispersions", 2.0, torch.full_like(rate, 0.1))

    def model(self) -> dist.TorchDistribution:
        means, dispersions = self.means.model(), self.dispersions.model()
        return Columns(dist.NegativeBinomial(dispersions, logits=(means / dispersions).log()))

    def guide(self) -> None:
        self.means.guide()
        self.dispersions.guide()

    def moved(self, law: Columns, by: Tensor) -> Columns:
        return Columns(dist.NegativeBinomial(law.base.total_count, logits=law.base.logits + by))

    def start(self, x: Tensor, member: Tensor) -> None:
        counts, mean, variance = moments(x, member)
        mean = (self.means.shape + counts * mean) / (self.means.rate + counts)
        dispersion = (mean.square() / (variance - mean).clamp(min=1e-6)).clamp(0.1, 100.0)
        self.means.start(mean, ((1 / mean + 1 / dispersion) / (1 + counts)).sqrt())
        self.dispersions.start(dispersion, mean.new_tensor(0.5))
