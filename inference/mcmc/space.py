"""The space in which samplers move: the posterior shifted and scaled to be about standard normal.

A mass matrix is the same thing said of momenta; said of positions it leaves the kernels with none to carry about.
"""

from typing import NamedTuple

import torch
from torch import Tensor

DENSE_UP_TO = 100


class Space(NamedTuple):
    """position = center + scale @ white. center: (dim,). scale: (dim,), or a lower triangular (dim, dim).

    Chains that each have a posterior of their own each have a space of their own: center and scale are then (chain, dim).
    """

    center: Tensor
    scale: Tensor

    def position(self, white: Tensor) -> Tensor:
        """(..., dim) where a point of this space lies."""
        return self.center + (white @ self.scale.mT if self._dense else white * self.scale)

    def white(self, position: Tensor) -> Tensor:
        """(chain, dim) the point of this space that lies at `position`."""
        offset = position - self.center
        if not self._dense:
            return offset / self.scale
        return torch.linalg.solve_triangular(self.scale, offset.mT, upper=False).mT

    def gradient(self, gradient: Tensor) -> Tensor:
        """(chain, dim) a gradient in positions as one in this space."""
        return gradient @ self.scale if self._dense else gradient * self.scale

    @property
    def _dense(self) -> bool:
        return self.scale.dim() > self.center.dim()


def estimate(draws: Tensor, dense: bool) -> Space:
    """The space that warm-up draws (draw, chain, dim) suggest, their covariance shrunk as Stan does.

    The covariance is about each chain's own mean: chains that sit in different modes would stretch it across the gap. A dense scale is
    diagonal as long as draws are too few for more.
    """
    centered = (draws - draws.mean(0)).flatten(0, 1).double()
    n = max(1, len(centered) - draws.shape[1])
    shrunk, rest = n / (n + 5.0), 1e-3 * 5.0 / (n + 5.0)
    center = draws.flatten(0, 1).mean(0)
    if not (dense and suits_dense(draws.shape[-1], n)):
        scale = (shrunk * centered.square().sum(0) / n + rest).sqrt().to(draws.dtype)
        return Space(center, scale.diag() if dense else scale)
    identity = torch.eye(draws.shape[-1], dtype=torch.double, device=draws.device)
    covariance = shrunk * (centered.mT @ centered) / n + rest * identity
    # Contiguous, as it comes back from a checkpoint: a product of another layout is rounded otherwise.
    return Space(center, torch.linalg.cholesky(covariance).to(draws.dtype).contiguous())


def estimate_each(draws: Tensor) -> Space:
    """A space for each chain, by its own warm-up draws (draw, chain, dim), their variances shrunk as Stan does."""
    n = len(draws) - 1
    variance = n / (n + 5.0) * draws.double().var(0) + 1e-3 * 5.0 / (n + 5.0)
    return Space(draws.mean(0), variance.sqrt().to(draws.dtype))


def suits_dense(dim: int, draws: int) -> bool:
    """Whether `draws` draws are many enough, and `dim` dimensions few enough, for a dense scale."""
    return dim <= DENSE_UP_TO and draws > 5 * dim


def unit(dim: int, dense: bool, like: Tensor) -> Space:
    """The space that is the posterior's own."""
    return Space(like.new_zeros(dim), torch.eye(dim, dtype=like.dtype, device=like.device) if dense else like.new_ones(dim))
