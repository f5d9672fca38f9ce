"""What a generator's output makes of a row, by family: D columns, as good as told by the output; `NaN` is integrated out.

| likelihood | a column shows   | distribution                              | of the output                        |
|------------|------------------|-------------------------------------------|--------------------------------------|
| `gaussian` | numbers          | Normal(loc, noise), noise in units of the column's spread | loc, in units of the column's spread |
| `shades`   | shades, 0 to 1   | Normal(loc, noise), held between 0 and 1  | logit of loc, beside the column's mean |

The noise is given, and small: enough for a row to have a density, and too little for that to tell how good a generator is. A family
offers `rows(output)`, the distribution of the rows, whose draws have a path to the output; `features(x)`, what encoder and critic see of
rows, with zeros in holes; and `wrong(x)`, which values it cannot show, and why.
"""

import pyro.distributions as dist
import torch
from pyro.nn import PyroModule
from torch import Tensor

from ..distributions.censored import CensoredNormal
from ..distributions.columns import Columns
from .likelihoods import EDGE, Wrong


class Made(Columns):
    """Columns whose draws can be differentiated in what they are drawn by."""

    has_rsample = True

    def expand(self, batch_shape: torch.Size, _instance: object = None) -> "Made":
        return Made(self.base.expand(torch.Size(batch_shape) + self.event_shape))

    def rsample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:
        return self.base.rsample(sample_shape)


class Gaussian(PyroModule):
    """Numbers."""

    def __init__(self, center: Tensor, spread: Tensor, noise: float) -> None:
        super().__init__()
        self.register_buffer("center", center)
        self.register_buffer("spread", spread)
        self.noise = noise

    def rows(self, output: Tensor) -> dist.TorchDistribution:
        return Made(dist.Normal(self.center + self.spread * output, self.noise * self.spread))

    def features(self, x: Tensor) -> Tensor:
        return torch.where(x.isnan(), 0.0, (x - self.center) / self.spread)

    def wrong(self, x: Tensor) -> Wrong:
        return torch.zeros_like(x, dtype=torch.bool), ""


class Shades(PyroModule):
    """Pixels in shades. All are of one scale to encoder and critic, in which the whole of a row has about as many units as columns."""

    def __init__(self, center: Tensor, spread: Tensor, noise: float) -> None:
        super().__init__()
        self.register_buffer("center", center)
        self.register_buffer("scale", spread.square().mean().sqrt())
        self.register_buffer("noise", torch.as_tensor(noise))

    def rows(self, output: Tensor) -> dist.TorchDistribution:
        return Made(CensoredNormal((self.center.clamp(EDGE, 1 - EDGE).logit() + output).sigmoid(), self.noise))

    def features(self, x: Tensor) -> Tensor:
        return torch.where(x.isnan(), 0.0, (x - self.center) / self.scale)

    def wrong(self, x: Tensor) -> Wrong:
        return (x < 0) | (x > 1), "is not between 0 and 1: divide by the largest value there can be, or choose likelihood='gaussian'"
