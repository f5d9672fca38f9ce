"""Shares whose logarithms are jointly Gaussian."""

import math

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints

from inference.supports import cholesky

# Draws, half of them the others' mirror images, by which moments are estimated.
DRAWS = 200


class SoftmaxGaussian(TorchDistribution):
    """softmax(z) of z ~ Normal(loc, (P P')^-1): the logistic normal distribution with correlations; `SoftmaxNormal` has none.

    A constant added to all of z changes no share, and is integrated out of the density. The mean and the variance have no closed form
    and are averages over draws, the same for all of a batch.

    Arguments: loc: (*batch, K). precision_tril: (*batch, K, K) P, lower triangular.
    Source: Aitchison & Shen 1980, "Logistic-normal distributions: some properties and uses", Biometrika 67.
    """

    arg_constraints = {"loc": constraints.real_vector, "precision_tril": cholesky}
    support = constraints.simplex
    has_rsample = True

    def __init__(self, loc: Tensor, precision_tril: Tensor) -> None:
        shape = torch.broadcast_shapes(loc.shape[:-1], precision_tril.shape[:-2])
        self.loc, self.precision_tril = loc.expand(*shape, -1), precision_tril.expand(*shape, -1, -1)
        super().__init__(shape, loc.shape[-1:], validate_args=False)

    def expand(self, batch_shape: torch.Size, _instance: object = None) -> "SoftmaxGaussian":
        shape, size = torch.Size(batch_shape), self.event_shape
        return SoftmaxGaussian(self.loc.expand(shape + size), self.precision_tril.expand(shape + size + size))

    def rsample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:
        return self._of_noise(torch.randn_like(self.loc.expand(self._extended_shape(sample_shape)))).softmax(-1)

    def log_prob(self, value: Tensor) -> Tensor:
        # Log shares are z up to a constant, over which is integrated.
        logs, factor = value.clamp(min=torch.finfo(value.dtype).tiny).log(), self.precision_tril
        away = (factor.mT @ (logs - self.loc)[..., None])[..., 0]
        constant = factor.sum(-2)
        total = constant.square().sum(-1)
        squares = away.square().sum(-1) - (away * constant).sum(-1).square() / total
        normaliser = (
            0.5 * total.log() - factor.diagonal(dim1=-2, dim2=-1).log().sum(-1) + 0.5 * (logs.shape[-1] - 1) * math.log(2 * math.pi)
        )
        return -normaliser - logs.sum(-1) - 0.5 * squares

    @property
    def mean(self) -> Tensor:
        return self._draws.mean(0)

    @property
    def variance(self) -> Tensor:
        return self._draws.var(0, correction=0)

    @property
    def _draws(self) -> Tensor:
        noise = torch.randn(DRAWS // 2, *[1] * len(self.batch_shape), *self.event_shape, dtype=self.loc.dtype, device=self.loc.device)
        noise = torch.cat([noise, -noise]).expand(DRAWS, *self.loc.shape)
        return self._of_noise(noise).softmax(-1)

    def _of_noise(self, noise: Tensor) -> Tensor:
        return self.loc + torch.linalg.solve_triangular(self.precision_tril.mT, noise[..., None], upper=True)[..., 0]
