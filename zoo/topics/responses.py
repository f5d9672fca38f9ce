"""What texts answer, by family: a number a text, foretold by its mixture of topics; `NaN` is not known.

| response      | a text shows   | distribution                              | sites that texts share                    |
|---------------|----------------|-------------------------------------------|-------------------------------------------|
| `gaussian`    | a number       | Normal(mixture @ coefficients, noise)     | coefficients (K,), noise ()               |
| `categorical` | 0, 1, ..., C-1 | Categorical(logits mixture @ coefficients) | coefficients (K, C), each row adding to 0 |

A family offers `sample()` and `guided()`, what texts share, from the prior and the guide; `expected()`, the guide's means;
`law(mixture, shared)`, the distribution of responses; `slope(response, mixture, shared)`, that of their log density in the mixture;
`start(response, mixture)`, a guide near what mixtures foretell; and `wrong(response)`, which it cannot show, and why.
"""

from typing import NamedTuple

import pyro
import pyro.distributions as dist
import torch
from pyro.nn import PyroModule, PyroParam
from torch import Tensor
from torch.distributions import constraints

from inference.missing import observed

from ..distributions.zero_sum import FreeToZeroSum, axes, zero_sum_normal

Wrong = tuple[Tensor, str]
# How sure of coefficients a guide is that has seen nothing, beside the prior; and what a topic has beside its texts.
NEAR, LITTLE = 0.1, 0.5


class Shared(NamedTuple):
    """What texts share: coefficients (K,) or (K, C), and the noise ()."""

    coefficients: Tensor
    noise: Tensor


class Gaussian(PyroModule):
    """A number. A topic's coefficient is the mean response of texts of nothing else; the guide is in units of `spread`."""

    def __init__(self, topics: int, center: float, spread: float, scale: float) -> None:
        super().__init__()
        for name, value in {"center": center, "spread": spread, "scale": scale}.items():
            self.register_buffer(name, torch.tensor(value))
        self.q_loc = PyroParam(torch.zeros(topics))
        self.q_scale = PyroParam(torch.full((topics,), NEAR), constraints.positive)
        self.q_noise = PyroParam(torch.tensor(0.0))
        self.q_noise_scale = PyroParam(torch.tensor(NEAR), constraints.positive)

    def sample(self) -> Shared:
        law = dist.Normal(self.center, self.scale * self.spread).expand(self.q_loc.shape).to_event(1)
        return Shared(pyro.sample("coefficients", law), pyro.sample("noise", dist.HalfNormal(self.spread)))

    def guided(self) -> Shared:
        law = dist.Normal(self.center + self.spread * self.q_loc, self.spread * self.q_scale).to_event(1)
        noise = dist.LogNormal(self.spread.log() + self.q_noise, self.q_noise_scale)
        return Shared(pyro.sample("coefficients", law), pyro.sample("noise", noise))

    def expected(self) -> Shared:
        return Shared(self.center + self.spread * self.q_loc, self.spread * self.q_noise.exp())

    def law(self, mixture: Tensor, shared: Shared) -> dist.TorchDistribution:
        return dist.Normal((mixture * shared.coefficients).sum(-1), shared.noise)

    def slope(self, response: Tensor, mixture: Tensor, shared: Shared) -> Tensor:
        y, seen = observed(response)
        left = torch.where(seen, y - (mixture * shared.coefficients).sum(-1), 0.0)
        return (left / shared.noise.square())[..., None] * shared.coefficients

    def start(self, response: Tensor, mixture: Tensor) -> None:
        """Least squares, a little shrunk towards the mean, and as sure of the noise as so many responses make one."""
        y, seen = observed((response - self.center) / self.spread)
        known, count = mixture * seen[:, None], seen.sum().clamp(min=1).to(mixture)
        self.q_loc = torch.linalg.solve(known.mT @ known + LITTLE * torch.eye(mixture.shape[1]).to(known), known.mT @ y)
        left = torch.where(seen, y - mixture @ self.q_loc, 0.0).square().sum() / count
        self.q_noise, self.q_noise_scale = left.clamp(min=NEAR**2).log() / 2, (2 * count).rsqrt()

    def wrong(self, response: Tensor) -> Wrong:
        return torch.zeros_like(response, dtype=torch.bool), ""


class Numbered(dist.Categorical):
    """Categories 0, 1, ..., whose numbers have a mean and a variance."""

    @property
    def mean(self) -> Tensor:
        return self.probs @ self._numbers

    @property
    def variance(self) -> Tensor:
        return self.probs @ self._numbers.square() - self.mean.square()

    @property
    def _numbers(self) -> Tensor:
        return torch.arange(self.probs.shape[-1], dtype=self.probs.dtype, device=self.probs.device)


class Categorical(PyroModule):
    """One of C categories. There is no noise."""

    def __init__(self, topics: int, categories: int, scale: float) -> None:
        super().__init__()
        self.categories = categories
        self.register_buffer("scale", torch.tensor(scale))
        self.register_buffer("nothing", torch.tensor(0.0))
        self.q_loc = PyroParam(torch.zeros(topics, categories - 1))
        self.q_scale = PyroParam(torch.full((topics, categories - 1), NEAR), constraints.positive)

    def sample(self) -> Shared:
        law = zero_sum_normal(self.scale.expand(len(self.q_loc)), self.categories).to_event(1)
        return Shared(pyro.sample("coefficients", law), self.nothing)

    def guided(self) -> Shared:
        free = dist.Normal(self.q_loc, self.q_scale).to_event(1)
        law = dist.TransformedDistribution(free, [FreeToZeroSum()]).to_event(1)
        return Shared(pyro.sample("coefficients", law), self.nothing)

    def expected(self) -> Shared:
        return Shared(self.q_loc @ axes(self.categories, self.q_loc).mT, self.nothing)

    def law(self, mixture: Tensor, shared: Shared) -> dist.TorchDistribution:
        return Numbered(logits=mixture @ shared.coefficients)

    def slope(self, response: Tensor, mixture: Tensor, shared: Shared) -> Tensor:
        y, seen = observed(response)
        which = (y[..., None] == torch.arange(self.categories, device=y.device)).to(y)
        left = which - (mixture @ shared.coefficients).softmax(-1)
        return (left * seen[..., None]) @ shared.coefficients.mT

    def start(self, response: Tensor, mixture: Tensor) -> None:
        """The logs of how much of each topic texts of each category have, beside how much all have."""
        known = (response[:, None] == torch.arange(self.categories, device=response.device)).to(mixture)
        logs = (mixture.mT @ known + LITTLE).log()
        logs = logs - (known.sum(0) + LITTLE).log()
        self.q_loc = (logs - logs.mean(1, keepdim=True)) @ axes(self.categories, mixture)

    def wrong(self, response: Tensor) -> Wrong:
        out = (response < 0) | (response != response.floor()) | (response >= self.categories)
        return (
            out,
            f"is no response, which the last column must hold: with categories={self.categories} they are 0, ..., {self.categories - 1}",
        )
