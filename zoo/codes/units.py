"""What the visible units of a restricted Boltzmann machine show, by family: D columns, independent given the hidden units.

With a field f, the bias a of a column and what the hidden units add to it, and y = (x - center) / spread:

| units      | a column shows | distribution                          | log mass at field f                     |
|------------|----------------|---------------------------------------|-----------------------------------------|
| `binary`   | 0 or 1         | Bernoulli(logits f)                   | log(1 + exp(f)) - center (f - a)        |
| `gaussian` | numbers        | y ~ Normal(f, noise)                  | f^2 / 2 noise^2                         |

The density of a row given its hidden units, times its mass, grows with f - a as exp((x - center)(f - a)) and exp(y (f - a) / noise^2): by
`pull(x)`, which is all that hidden units see of a row. A family offers that; `rows(field)`, the distribution of the rows;
`log_mass(field, bias)`; `expected(field)`, the mean of the rows; `bias(mean)`, at which columns have these means; and `wrong(x)`, which
values it cannot show, and why.

Reference: Welling, Rosen-Zvi & Hinton 2005, "Exponential family harmoniums with an application to information retrieval", NeurIPS; Cho,
Ilin & Raiko 2011, "Improved learning of Gaussian-Bernoulli restricted Boltzmann machines", ICANN.
"""

import pyro.distributions as dist
import torch
from pyro.nn import PyroModule, PyroParam
from torch import Tensor
from torch.distributions import constraints
from torch.nn.functional import softplus

from ..distributions.columns import Columns

Wrong = tuple[Tensor, str]
EDGE = 0.01


class Bits(dist.Bernoulli):
    """Bernoulli, drawn by comparison with uniform numbers, which on a CPU takes a fifth of the time that torch's own draws do."""

    def sample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        with torch.no_grad():
            return (torch.rand(shape, dtype=self.logits.dtype, device=self.logits.device) < self.probs).to(self.logits.dtype)


class Pixels(Columns):
    """Columns that are 0 or 1."""

    support = constraints.independent(constraints.boolean, 1)

    def expand(self, batch_shape: torch.Size, _instance: object = None) -> "Pixels":
        return Pixels(self.base.expand(torch.Size(batch_shape) + self.event_shape))


class Binary(PyroModule):
    """Pixels, black and white."""

    def __init__(self, center: Tensor) -> None:
        super().__init__()
        self.register_buffer("center", center)

    def rows(self, field: Tensor) -> dist.TorchDistribution:
        return Pixels(Bits(logits=field))

    def log_mass(self, field: Tensor, bias: Tensor) -> Tensor:
        return softplus(field) - self.center * (field - bias)

    def expected(self, field: Tensor) -> Tensor:
        return field.sigmoid()

    def pull(self, x: Tensor) -> Tensor:
        return x - self.center

    def bias(self, mean: Tensor) -> Tensor:
        return mean.clamp(EDGE, 1 - EDGE).logit()

    def wrong(self, x: Tensor) -> Wrong:
        why = "is neither 0 nor 1: binarise the rows, such as (x > 0.5) for shades from 0 to 1, or choose units='gaussian'"
        return (x != 0) & (x != 1), why


class Gaussian(PyroModule):
    """Numbers; the standard deviation of each column's noise, in units of its spread, is learnt."""

    def __init__(self, center: Tensor, spread: Tensor) -> None:
        super().__init__()
        self.register_buffer("center", center)
        self.register_buffer("spread", spread)
        self.noise = PyroParam(torch.ones_like(spread), constraints.positive)

    def rows(self, field: Tensor) -> dist.TorchDistribution:
        return Columns(dist.Normal(self.expected(field), self.spread * self.noise))

    def log_mass(self, field: Tensor, bias: Tensor) -> Tensor:
        return 0.5 * (field / self.noise).square()

    def expected(self, field: Tensor) -> Tensor:
        return self.center + self.spread * field

    def pull(self, x: Tensor) -> Tensor:
        return (x - self.center) / (self.spread * self.noise.square())

    def bias(self, mean: Tensor) -> Tensor:
        return (mean - self.center) / self.spread

    def wrong(self, x: Tensor) -> Wrong:
        return torch.zeros_like(x, dtype=torch.bool), ""
