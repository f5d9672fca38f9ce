"""The mass matrix of Hamiltonian samplers, given by its inverse: an estimate of the posterior's covariance."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Metric:
    """Euclidean metric, shared by all chains. covariance: (dim,) for a diagonal one, or (dim, dim)."""

    covariance: Tensor

    def velocity(self, momentum: Tensor) -> Tensor:
        """(chain, dim) covariance times momentum."""
        return momentum * self.covariance if self.covariance.dim() == 1 else momentum @ self.covariance

    def kinetic(self, momentum: Tensor) -> Tensor:
        """(chain,) kinetic energy."""
        return 0.5 * (momentum * self.velocity(momentum)).sum(-1)

    def momentum(self, like: Tensor) -> Tensor:
        """(chain, dim) fresh momenta, Normal(0, inverse of the covariance)."""
        noise = torch.randn_like(like)
        if self.covariance.dim() == 1:
            return noise * self.covariance.rsqrt()
        return torch.linalg.solve_triangular(torch.linalg.cholesky(self.covariance).mT, noise.mT, upper=True).mT


def estimate(draws: Tensor, dense: bool) -> Metric:
    """The metric from warm-up draws (draw, chain, dim): covariance about each chain's own mean, pooled, shrunk as Stan does.

    Chains that sit in different modes would otherwise stretch it across the gap between them.
    """
    centered = (draws - draws.mean(0)).flatten(0, 1)
    n = max(1, len(centered) - draws.shape[1])
    shrunk, rest = n / (n + 5.0), 1e-3 * 5.0 / (n + 5.0)
    if dense:
        identity = torch.eye(draws.shape[-1], dtype=draws.dtype, device=draws.device)
        return Metric(shrunk * (centered.mT @ centered) / n + rest * identity)
    return Metric(shrunk * centered.square().sum(0) / n + rest)
