"""Gaussian rows with holes: a missing coordinate (`NaN`) is integrated out exactly, and can be filled from the others."""

import math

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints

from inference.missing import any_missing, observed
from inference.supports import cholesky

_LOG_2PI = math.log(2 * math.pi)


class DiagonalGaussian(TorchDistribution):
    """Rows x ~ Normal(loc, scale), coordinate by coordinate.

    Arguments: loc: (*batch, D). scale: broadcasting against loc, standard deviations.
    """

    arg_constraints = {"loc": constraints.real_vector, "scale": constraints.independent(constraints.positive, 1)}
    support = constraints.real_vector
    has_rsample = True

    def __init__(self, loc: Tensor, scale: Tensor, validate_args: bool | None = None) -> None:
        self.loc, self.scale = torch.broadcast_tensors(loc, scale)
        super().__init__(self.loc.shape[:-1], self.loc.shape[-1:], validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return self.loc

    def expand(self, batch_shape: torch.Size, _instance: object = None) -> "DiagonalGaussian":
        shape = torch.Size(batch_shape) + self.event_shape
        return DiagonalGaussian(self.loc.expand(shape), self.scale.expand(shape), False)

    def rsample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        return self.loc + self.scale * torch.randn(shape, dtype=self.loc.dtype, device=self.loc.device)

    def log_prob(self, value: Tensor) -> Tensor:
        if not any_missing(value):
            whitened = (value - self.loc) / self.scale
            return -0.5 * whitened.square().sum(-1) - self.scale.log().sum(-1) - 0.5 * self.event_shape[-1] * _LOG_2PI
        x, seen = observed(value)
        terms = -0.5 * ((x - self.loc) / self.scale).square() - self.scale.log() - 0.5 * _LOG_2PI
        return (terms * seen).sum(-1)

    def fill(self, value: Tensor) -> Tensor:
        """`value` with a draw of each missing coordinate given the observed ones."""
        return torch.where(value.isnan(), self.rsample(), value)


class Gaussian(TorchDistribution):
    """Rows x ~ Normal(loc, (P P')^-1), given P, the Cholesky factor of the precision matrix.

    Complete rows need one product with P and no factorisation. The observed coordinates of a row with holes are Gaussian with
    the matching rows and columns of the covariance; all rows are handled at once by giving each hole a variance of one that
    is independent of everything, which adds nothing to the density.

    Arguments: loc: (*batch, D). precision_tril: (*batch, D, D) P, lower triangular. holes: whether values may have any.
    """

    arg_constraints = {"loc": constraints.real_vector, "precision_tril": cholesky}
    support = constraints.real_vector
    has_rsample = True

    def __init__(self, loc: Tensor, precision_tril: Tensor, holes: bool = False, validate_args: bool | None = None) -> None:
        self.loc, self.precision_tril, self.holes = loc, precision_tril, holes
        shape = torch.broadcast_shapes(loc.shape[:-1], precision_tril.shape[:-2])
        super().__init__(shape, loc.shape[-1:], validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return self.loc

    def expand(self, batch_shape: torch.Size, _instance: object = None) -> "Gaussian":
        # Only loc is expanded: a precision shared along a batch axis is then multiplied once, not once per row.
        return Gaussian(self.loc.expand(torch.Size(batch_shape) + self.event_shape), self.precision_tril, self.holes, False)

    def rsample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:
        noise = torch.randn(self._extended_shape(sample_shape), dtype=self.loc.dtype, device=self.loc.device)
        return self.loc + torch.linalg.solve_triangular(self.precision_tril.mT, noise[..., None], upper=True)[..., 0]

    def log_prob(self, value: Tensor) -> Tensor:
        if self.holes and any_missing(value):
            return self._log_prob_observed(value)
        whitened = torch.einsum("...i,...ij->...j", value - self.loc, self.precision_tril)
        logs = self.precision_tril.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        return logs - 0.5 * whitened.square().sum(-1) - 0.5 * self.event_shape[-1] * _LOG_2PI

    def _log_prob_observed(self, value: Tensor) -> Tensor:
        x, seen = observed(value)
        # Where rounding leaves no factor there is no density: a sampler takes NaN for a divergence and goes on.
        factor, failed = torch.linalg.cholesky_ex(self._covariance_of(seen))
        factor = torch.where((failed > 0)[..., None, None], torch.nan, factor)
        residual = torch.where(seen, x - self.loc, 0.0)
        whitened = torch.linalg.solve_triangular(factor, residual[..., None], upper=False)[..., 0]
        logs = factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        return -logs - 0.5 * whitened.square().sum(-1) - 0.5 * seen.sum(-1) * _LOG_2PI

    def _covariance(self) -> Tensor:
        identity = torch.eye(self.event_shape[-1], dtype=self.loc.dtype, device=self.loc.device)
        inverse = torch.linalg.solve_triangular(self.precision_tril, identity, upper=False)
        return inverse.mT @ inverse

    def _covariance_of(self, seen: Tensor) -> Tensor:
        """The covariance among the coordinates `seen` (..., D); every other has variance one and no covariance."""
        both = seen[..., :, None] & seen[..., None, :]
        return torch.where(both, self._covariance(), torch.diag_embed((~seen).to(self.loc.dtype)))

    def fill(self, value: Tensor) -> Tensor:
        """`value` with a draw of each missing coordinate given the observed ones.

        By Matheron's rule: a joint draw y, corrected by the regression of the holes on x - y over the observed coordinates.
        """
        x, seen = observed(value)
        joint = self.expand(torch.broadcast_shapes(self.batch_shape, value.shape[:-1])).rsample()
        gap = torch.where(seen, x - joint, 0.0)
        solved = torch.linalg.solve(self._covariance_of(seen), gap[..., None])
        return torch.where(seen, value, joint + (self._covariance() @ solved)[..., 0])
