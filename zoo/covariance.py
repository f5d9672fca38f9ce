"""Shapes of covariance for Gaussian components, each with its conjugate prior and the guide of the same family.

| covariance  | site              | its shape | prior                                              |
|-------------|-------------------|-----------|----------------------------------------------------|
| `full`      | `precision_trils` | (K, D, D) | P_k P_k' ~ Wishart(freedom, diag(scale)^-2)        |
| `tied`      | `precision_trils` | (D, D)    | P P' ~ Wishart(freedom, diag(scale)^-2)            |
| `diag`      | `precisions`      | (K, D)    | Gamma(freedom / 2, scale_d^2 / 2)                  |
| `spherical` | `precisions`      | (K,)      | Gamma(freedom / 2, mean_d scale_d^2 / 2)           |

Locations are Normal(center, covariance / shrinkage), so that locations and precisions are jointly conjugate.
"""

from typing import NamedTuple

import pyro.distributions as dist
import torch
from pyro.nn import PyroModule, PyroParam
from torch import Tensor
from torch.distributions import constraints

from inference.supports import cholesky

from .distributions.gaussian import DiagonalGaussian, Gaussian
from .distributions.wishart import WishartTril


class Clustered(NamedTuple):
    """What rows say of K components and their prior locations: see `clustered`."""

    counts: Tensor
    locs: Tensor
    precision: Tensor
    scatter: Tensor


def clustered(x: Tensor, member: Tensor, center: Tensor, shrinkage: Tensor) -> Clustered:
    """The conjugate posterior of K locations, from rows (N, D), whose holes are taken for the column's mean, and membership (N, K).

    Returns the rows of each component (K,), its location (K, D), the rows and the prior's worth together (K,), and the scatter
    about the location (K, D, D).
    """
    filled = torch.where(x.isnan(), x.nanmean(0), x)
    counts, precision = member.sum(0), shrinkage + member.sum(0)
    locs = (shrinkage * center + member.T @ filled) / precision[:, None]
    deviation, offset = filled[:, None] - locs, locs - center
    scatter = torch.einsum("nk,nki,nkj->kij", member, deviation, deviation) + shrinkage * offset[:, :, None] * offset[:, None, :]
    return Clustered(counts, locs, precision, scatter)


class MatrixPrecision(PyroModule):
    """Precision matrices, through their Cholesky factors: one a component (`full`) or one for all (`tied`)."""

    site, derived = "precision_trils", ("scales", "correlations")

    def __init__(self, components: int, scale: Tensor, freedom: float | None, tied: bool) -> None:
        super().__init__()
        self.dim, self.shared, self.batch = len(scale), tied, () if tied else (components,)
        self.register_buffer("df", torch.tensor(freedom or self.dim + 2.0))
        self.register_buffer("scale_tril", torch.diag(1 / scale))
        self.q_df = PyroParam(self.df.expand(self.batch).clone(), constraints.greater_than(self.dim - 1.0))
        self.q_scale_tril = PyroParam(self.scale_tril.expand(*self.batch, -1, -1).clone(), cholesky)

    def prior(self) -> dist.TorchDistribution:
        return WishartTril(self.df, self.scale_tril).expand(self.batch).to_event(len(self.batch))

    def guide(self) -> dist.TorchDistribution:
        return WishartTril(self.q_df, self.q_scale_tril).to_event(len(self.batch))

    def gaussian(self, locs: Tensor, precision_trils: Tensor, times: Tensor) -> Gaussian:
        """Normal(locs, covariance / times): locs (*batch, D), precision_trils (*batch, D, D), times (*batch)."""
        return Gaussian(locs, precision_trils * times[..., None, None].sqrt())

    def rows(self, locs: Tensor, precision_trils: Tensor, z: Tensor) -> Gaussian:
        """The rows of components `z` (rows,), whose missing values are integrated out."""
        return Gaussian(locs[z], precision_trils if self.shared else precision_trils[z], holes=True)

    def derive(self, precision_trils: Tensor) -> dict[str, Tensor]:
        """Standard deviations (*batch, D) and, row by row below the diagonal, correlations (*batch, D (D - 1) / 2)."""
        identity = torch.eye(self.dim, dtype=precision_trils.dtype, device=precision_trils.device)
        inverse = torch.linalg.solve_triangular(precision_trils, identity, upper=False)
        covariance = inverse.mT @ inverse
        scales = covariance.diagonal(dim1=-2, dim2=-1).sqrt()
        rows, columns = torch.tril_indices(self.dim, self.dim, -1, device=scales.device)
        correlations = covariance[..., rows, columns] / (scales[..., rows] * scales[..., columns])
        return {"scales": scales, "correlations": correlations} if self.dim > 1 else {"scales": scales}

    def start(self, counts: Tensor, scatter: Tensor) -> None:
        """The guide as the conjugate posterior, from rows a component (K,) and their scatter about its location (K, D, D)."""
        counts, scatter = (counts.sum(), scatter.sum(0)) if self.shared else (counts, scatter)
        rate = torch.linalg.inv(self.scale_tril @ self.scale_tril.mT) + scatter
        self.q_df = self.df + counts
        self.q_scale_tril = torch.linalg.cholesky(torch.linalg.inv(rate))


class ScalarPrecision(PyroModule):
    """Precisions one by one: for every component and column (`diag`) or for every component (`spherical`)."""

    site, derived = "precisions", ("scales",)
    shared = False

    def __init__(self, components: int, scale: Tensor, freedom: float | None, spherical: bool) -> None:
        super().__init__()
        self.dim, self.spherical = len(scale), spherical
        self.batch = (components,) if spherical else (components, self.dim)
        self.register_buffer("shape", torch.tensor(0.5 * (freedom or 3.0)))
        self.register_buffer("rate", 0.5 * (scale.square().mean() if spherical else scale.square()))
        self.q_shape = PyroParam(self.shape.expand(self.batch).clone(), constraints.positive)
        self.q_rate = PyroParam(self.rate.expand(self.batch).clone(), constraints.positive)

    def prior(self) -> dist.TorchDistribution:
        return dist.Gamma(self.shape, self.rate).expand(self.batch).to_event(len(self.batch))

    def guide(self) -> dist.TorchDistribution:
        return dist.Gamma(self.q_shape, self.q_rate).to_event(len(self.batch))

    def gaussian(self, locs: Tensor, precisions: Tensor, times: Tensor) -> DiagonalGaussian:
        """Normal(locs, covariance / times): locs (*batch, D), precisions (*batch, D) or (*batch), times (*batch)."""
        return DiagonalGaussian(locs, (self._by_column(precisions) * times[..., None]).rsqrt())

    def rows(self, locs: Tensor, precisions: Tensor, z: Tensor) -> DiagonalGaussian:
        """The rows of components `z` (rows,), whose missing values are integrated out."""
        return DiagonalGaussian(locs[z], self._by_column(precisions)[z].rsqrt())

    def derive(self, precisions: Tensor) -> dict[str, Tensor]:
        """Standard deviations (K, D), or (K,) where columns share one."""
        return {"scales": precisions.rsqrt()}

    def start(self, counts: Tensor, scatter: Tensor) -> None:
        """The guide as the conjugate posterior, from rows a component (K,) and their scatter about its location (K, D, D)."""
        squares = scatter.diagonal(dim1=-2, dim2=-1)
        if self.spherical:
            self.q_shape, self.q_rate = self.shape + 0.5 * self.dim * counts, self.rate + 0.5 * squares.sum(-1)
        else:
            self.q_shape, self.q_rate = (self.shape + 0.5 * counts[:, None]).expand(self.batch), self.rate + 0.5 * squares

    def _by_column(self, precisions: Tensor) -> Tensor:
        return precisions[..., None] if self.spherical else precisions
