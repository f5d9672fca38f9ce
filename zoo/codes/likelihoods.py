"""What a decoder's output makes of a row, by family: D columns, independent given the output; `NaN` is integrated out.

| likelihood             | a column shows                 | distribution                       | of the output                       |
|------------------------|--------------------------------|------------------------------------|-------------------------------------|
| `bernoulli`            | 0 or 1, and shades between     | Bernoulli(logits)                  | logits, beside the column's mean    |
| `continuous_bernoulli` | shades from 0 to 1             | ContinuousBernoulli(logits)        | logits, beside the column's mean    |
| `gaussian`             | numbers                        | Normal(loc, noise)                 | loc, in units of the column's spread |
| `categorical`          | one of V codes 0, 1, ..., V - 1 | Categorical(logits)                | V logits                            |

Of a shade between 0 and 1 `bernoulli` gives the cross entropy, which is no density; `continuous_bernoulli` is one.

A family offers `outputs` and `inputs`, how many numbers of a decoder and an encoder it takes for a column; `rows(output)`, the
distribution of the rows; `features(x)`, what an encoder sees of them, with zeros in holes; and `wrong(x)`, which values it
cannot show, and why.

Reference: Loaiza-Ganem & Cunningham 2019, "The continuous Bernoulli: fixing a pervasive error in variational autoencoders", NeurIPS.
"""

import pyro.distributions as dist
import torch
from pyro.nn import PyroModule, PyroParam
from torch import Tensor
from torch.distributions import constraints

from inference.missing import observed

from ..distributions.columns import Columns

Wrong = tuple[Tensor, str]
EDGE = 0.01


class Bernoulli(PyroModule):
    """Pixels, black and white."""

    outputs, inputs, law = 1, 1, dist.Bernoulli

    def __init__(self, center: Tensor) -> None:
        super().__init__()
        self.register_buffer("center", center)

    def rows(self, output: Tensor) -> dist.TorchDistribution:
        # Not validated: shades between 0 and 1 are let pass.
        return Columns(self.law(logits=self.center.clamp(EDGE, 1 - EDGE).logit() + output, validate_args=False))

    def features(self, x: Tensor) -> Tensor:
        return torch.where(x.isnan(), 0.0, x - self.center)

    def wrong(self, x: Tensor) -> Wrong:
        return (x < 0) | (x > 1), "is not between 0 and 1: divide by the largest value there can be, or choose likelihood='gaussian'"


class ContinuousBernoulli(Bernoulli):
    """Pixels in shades."""

    law = dist.ContinuousBernoulli


class Gaussian(PyroModule):
    """Numbers, with one standard deviation for all columns: `noise`, learnt where it is not given."""

    outputs, inputs = 1, 1

    def __init__(self, center: Tensor, spread: Tensor, noise: float | None) -> None:
        super().__init__()
        self.register_buffer("center", center)
        self.register_buffer("spread", spread)
        if noise is None:
            self.noise = PyroParam(spread.square().mean().sqrt(), constraints.positive)
        else:
            self.register_buffer("noise", torch.tensor(noise))

    def rows(self, output: Tensor) -> dist.TorchDistribution:
        return Columns(dist.Normal(self.center + self.spread * output, self.noise))

    def features(self, x: Tensor) -> Tensor:
        return torch.where(x.isnan(), 0.0, (x - self.center) / self.spread)

    def wrong(self, x: Tensor) -> Wrong:
        return torch.zeros_like(x, dtype=torch.bool), ""


class Categorical(PyroModule):
    """Codes of V categories, 0 to V - 1."""

    def __init__(self, categories: int) -> None:
        super().__init__()
        self.outputs = self.inputs = self.categories = categories

    def rows(self, output: Tensor) -> dist.TorchDistribution:
        return Columns(dist.Categorical(logits=output.unflatten(-1, (-1, self.categories))))

    def features(self, x: Tensor) -> Tensor:
        codes, seen = observed(x)
        shown = codes[..., None] == torch.arange(self.categories, dtype=x.dtype, device=x.device)
        return (shown & seen[..., None]).to(x.dtype).flatten(-2)

    def wrong(self, x: Tensor) -> Wrong:
        wrong = (x < 0) | (x != x.floor()) | (x >= self.categories)
        return wrong, f"is no category: with categories={self.categories} they are 0, 1, ..., {self.categories - 1}"
