"""Gaussian rows with few directions of shared variance; the latent coordinates along them are integrated out."""

import math

import torch
from pyro.distributions import MultivariateNormal, Normal, TorchDistribution
from torch import Tensor
from torch.distributions import constraints

from inference.missing import any_missing, observed

from .columns import Columns

_LOG_2PI = math.log(2 * math.pi)


class LowRankGaussian(TorchDistribution):
    """Rows x = loc + loadings z + noise e, with z (Q) and e (D) standard normal; `NaN` and z are integrated out.

    By the Woodbury identity the work is in Q x Q matrices: one for all complete rows, and one for each row with holes.

    Arguments: loc: (*batch, D). loadings: (D, Q). noise: broadcasting against (D,), standard deviations.
    """

    arg_constraints = {"loc": constraints.real_vector, "loadings": constraints.real, "noise": constraints.positive}
    support = constraints.real_vector
    has_rsample = True

    def __init__(self, loc: Tensor, loadings: Tensor, noise: Tensor, validate_args: bool | None = None) -> None:
        self.loc, self.loadings, self.noise = loc, loadings, noise.expand(loc.shape[-1:])
        super().__init__(loc.shape[:-1], loc.shape[-1:], validate_args=validate_args)

    def expand(self, batch_shape: torch.Size, _instance: object = None) -> "LowRankGaussian":
        # Only loc is expanded: the matrices are then those of one row.
        return LowRankGaussian(self.loc.expand(torch.Size(batch_shape) + self.event_shape), self.loadings, self.noise, False)

    def rsample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        z, e = (torch.randn(shape[:-1] + (k,), dtype=self.loc.dtype, device=self.loc.device) for k in (self.loadings.shape[1], shape[-1]))
        return self.loc + z @ self.loadings.mT + self.noise * e

    def log_prob(self, value: Tensor) -> Tensor:
        residual, seen, precision, projected = self._given(value)
        factor = _factor(precision)
        inner = torch.linalg.solve_triangular(factor, projected[..., None], upper=False)[..., 0]
        squares = residual.square().sum(-1) - inner.square().sum(-1)
        logs = factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        each = self.noise.log() + 0.5 * _LOG_2PI
        return -0.5 * squares - logs - (each.sum() if seen is None else (each * seen).sum(-1))

    def latents(self, value: Tensor) -> dict[str, MultivariateNormal]:
        """The distribution of z given each row."""
        _, _, precision, projected = self._given(value)
        mean = torch.cholesky_solve(projected[..., None], _factor(precision))[..., 0]
        return {"z": MultivariateNormal(mean, precision_matrix=precision, validate_args=False)}

    def reconstruct(self, value: Tensor) -> Tensor:
        """The rows without their noise: what they would be at the mean of z."""
        return self.loc + self.latents(value)["z"].mean @ self.loadings.mT

    def given(self, latents: dict[str, Tensor]) -> Columns:
        """The distribution of rows whose z (*batch, Q) is known."""
        return Columns(Normal(self.loc + latents["z"] @ self.loadings.mT, self.noise))

    def fill(self, value: Tensor) -> Tensor:
        """`value` with a draw of each missing coordinate given the observed ones."""
        drawn = self.loc + self.latents(value)["z"].rsample() @ self.loadings.mT
        return torch.where(value.isnan(), drawn + self.noise * torch.randn_like(drawn), value)

    def _given(self, value: Tensor) -> tuple[Tensor, Tensor | None, Tensor, Tensor]:
        """What the density needs of rows (..., D): residuals in units of the noise, zero at holes; where there are none, or None
        if all is seen; the precision of z (Q, Q), or (..., Q, Q) with holes; that precision times the mean of z (..., Q)."""
        scaled = self.loadings / self.noise[:, None]
        identity = torch.eye(scaled.shape[1], dtype=scaled.dtype, device=scaled.device)
        if not any_missing(value):
            residual = (value - self.loc) / self.noise
            return residual, None, identity + scaled.mT @ scaled, residual @ scaled
        x, seen = observed(value)
        residual = torch.where(seen, (x - self.loc) / self.noise, 0.0)
        outer = (scaled[:, :, None] * scaled[:, None, :]).flatten(1)
        return residual, seen, identity + (seen.to(outer.dtype) @ outer).unflatten(-1, identity.shape), residual @ scaled


def _factor(precision: Tensor) -> Tensor:
    """The Cholesky factor; `NaN` where rounding leaves none, which a sampler takes for a divergence."""
    factor, failed = torch.linalg.cholesky_ex(precision)
    return torch.where((failed > 0)[..., None, None], torch.nan, factor)
