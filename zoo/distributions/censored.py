"""A Normal distribution whose draws are held between 0 and 1, as shades of grey are."""

import math

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints


class CensoredNormal(TorchDistribution):
    """x = max(0, min(1, y)) of y ~ Normal(loc, scale): a density between 0 and 1, and a mass at each of them.

    Reference: Tobin 1958, "Estimation of relationships for limited dependent variables", Econometrica 26.
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.unit_interval
    has_rsample = True

    def __init__(self, loc: Tensor, scale: Tensor) -> None:
        self.loc, self.scale = torch.broadcast_tensors(loc, scale)
        super().__init__(self.loc.shape, validate_args=False)

    def expand(self, batch_shape: torch.Size, _instance: object = None) -> "CensoredNormal":
        return CensoredNormal(self.loc.expand(batch_shape), self.scale.expand(batch_shape))

    @property
    def mean(self) -> Tensor:
        low, high = -self.loc / self.scale, (1 - self.loc) / self.scale
        within = torch.special.ndtr(high) - torch.special.ndtr(low)
        return self.loc * within + self.scale * (_density(low) - _density(high)) + torch.special.ndtr(-high)

    def rsample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:
        noise = torch.randn(self._extended_shape(sample_shape), dtype=self.loc.dtype, device=self.loc.device)
        return (self.loc + self.scale * noise).clamp(0, 1)

    def log_prob(self, value: Tensor) -> Tensor:
        inside = -0.5 * ((value - self.loc) / self.scale).square() - self.scale.log() - 0.5 * math.log(2 * math.pi)
        black, white = (torch.special.log_ndtr(end / self.scale) for end in (-self.loc, self.loc - 1))
        return torch.where(value <= 0, black, torch.where(value >= 1, white, inside))


def _density(z: Tensor) -> Tensor:
    return (-0.5 * z.square()).exp() / math.sqrt(2 * math.pi)
