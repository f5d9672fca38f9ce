"""Emissions that are codes of categories, or yes and no."""

import pyro
import pyro.distributions as dist
import torch
from pyro.nn import PyroParam
from torch import Tensor
from torch.distributions import constraints

from inference.missing import observed

from ...distributions.columns import Columns
from .emission import Emission, moments


class CategoricalEmission(Emission):
    """Codes of V categories, 0 to V - 1. Arguments: site: what the states' probabilities are called."""

    def __init__(self, states: int, dim: int, categories: int, smoothing: float, site: str) -> None:
        super().__init__()
        self.categories, self.sites, self.dims = categories, (site,), {site: ("state", "variable", "category")}
        self.register_buffer("smoothing", torch.full((states, dim, categories), smoothing))
        self.q_counts = PyroParam(self.smoothing.clone(), constraints.positive)

    def model(self) -> dist.TorchDistribution:
        probabilities = pyro.sample(*self.sites, dist.Dirichlet(self.smoothing).to_event(2))
        return Columns(dist.Categorical(logits=log(probabilities)))

    def guide(self) -> None:
        pyro.sample(*self.sites, dist.Dirichlet(self.q_counts).to_event(2))

    def start(self, x: Tensor, member: Tensor) -> None:
        self.q_counts = self.smoothing + torch.einsum("nk,ndv->kdv", member, self._shown(x))

    def features(self, x: Tensor) -> Tensor:
        return self._shown(x).flatten(1)

    def _shown(self, x: Tensor) -> Tensor:
        """(n, D, V) one where a category is shown; nothing where nothing is."""
        codes, seen = observed(x)
        return torch.nn.functional.one_hot(codes.long(), self.categories).to(x.dtype) * seen[..., None]

    def wrong(self, x: Tensor) -> tuple[Tensor, str]:
        wrong = (x < 0) | (x != x.floor()) | (x >= self.categories)
        return wrong, f"is no category: with categories={self.categories} they are 0, 1, ..., {self.categories - 1}"


class BernoulliEmission(Emission):
    """Yes (1) or no (0)."""

    sites = ("chances",)
    dims = {"chances": ("state", "variable")}

    def __init__(self, states: int, dim: int, smoothing: float) -> None:
        super().__init__()
        self.register_buffer("smoothing", torch.full((states, dim), smoothing))
        self.q_yes = PyroParam(self.smoothing.clone(), constraints.positive)
        self.q_no = PyroParam(self.smoothing.clone(), constraints.positive)

    def model(self) -> dist.TorchDistribution:
        chances = pyro.sample("chances", dist.Beta(self.smoothing, self.smoothing).to_event(2))
        return Columns(dist.Bernoulli(logits=log(chances) - log(1 - chances)))

    def guide(self) -> None:
        pyro.sample("chances", dist.Beta(self.q_yes, self.q_no).to_event(2))

    def moved(self, law: Columns, by: Tensor) -> Columns:
        return Columns(dist.Bernoulli(logits=law.base.logits + by))

    def unit_of(self, spread: Tensor) -> Tensor:
        return torch.ones_like(spread)

    def response(self, x: Tensor) -> Tensor:
        # The slope of the logistic function in its middle is a quarter.
        return 4 * x

    def undone(self, x: Tensor, by: Tensor) -> Tensor:
        return x

    def start(self, x: Tensor, member: Tensor) -> None:
        counts, mean, _ = moments(x, member)
        self.q_yes, self.q_no = self.smoothing + counts * mean, self.smoothing + counts * (1 - mean)

    def wrong(self, x: Tensor) -> tuple[Tensor, str]:
        return (x != 0) & (x != 1), "is neither 0 nor 1; choose another emission"


def log(probabilities: Tensor) -> Tensor:
    """Logarithms that stay finite: Pyro would take a probability below 1e-7 for 1e-7."""
    return probabilities.clamp(min=torch.finfo(probabilities.dtype).tiny).log()
