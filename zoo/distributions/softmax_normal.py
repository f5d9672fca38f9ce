"""Shares whose logarithms are normal."""

import math

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints

# Draws, half of them the others' mirror images, by which moments are estimated.
DRAWS = 200


class SoftmaxNormal(TorchDistribution):
    """softmax(z) of z_k ~ Normal(loc_k, scale_k): the logistic normal distribution. A constant added to all of loc changes nothing.

    The mean and the variance have no closed form and are averages over draws, the same for all of a batch.

    Arguments: loc, scale: (*batch, K).
    Source: Aitchison & Shen 1980, "Logistic-normal distributions: some properties and uses", Biometrika 67.
    """

    arg_constraints = {"loc": constraints.real_vector, "scale": constraints.independent(constraints.positive, 1)}
    support = constraints.simplex
    has_rsample = True

    def __init__(self, loc: Tensor, scale: Tensor) -> None:
        self.loc, self.scale = torch.broadcast_tensors(loc, scale)
        super().__init__(self.loc.shape[:-1], self.loc.shape[-1:], validate_args=False)

    def expand(self, batch_shape: torch.Size, _instance: object = None) -> "SoftmaxNormal":
        shape = torch.Size(batch_shape) + self.event_shape
        return SoftmaxNormal(self.loc.expand(shape), self.scale.expand(shape))

    def rsample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:
        noise = torch.randn_like(self.loc.expand(self._extended_shape(sample_shape)))
        return (self.loc + self.scale * noise).softmax(-1)

    def log_prob(self, value: Tensor) -> Tensor:
        # Log shares are z up to a constant, over which is integrated.
        logs, weights = value.clamp(min=torch.finfo(value.dtype).tiny).log(), self.scale.pow(-2)
        z, total = logs - self.loc, weights.sum(-1, keepdim=True)
        away = z - (weights * z).sum(-1, keepdim=True) / total
        normaliser = self.scale.log().sum(-1) + 0.5 * total[..., 0].log() + 0.5 * (z.shape[-1] - 1) * math.log(2 * math.pi)
        return -normaliser - logs.sum(-1) - 0.5 * (weights * away.square()).sum(-1)

    @property
    def mean(self) -> Tensor:
        return self._draws.mean(0)

    @property
    def variance(self) -> Tensor:
        return self._draws.var(0, correction=0)

    @property
    def _draws(self) -> Tensor:
        noise = torch.randn(DRAWS // 2, *[1] * len(self.batch_shape), *self.event_shape, dtype=self.loc.dtype, device=self.loc.device)
        return (self.loc + self.scale * torch.cat([noise, -noise])).softmax(-1)
