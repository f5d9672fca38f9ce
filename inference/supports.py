"""Supports that torch lacks, or has without the Jacobian that inference needs."""

import math

import torch
from torch import Tensor
from torch.distributions import transforms
from torch.distributions.constraints import Constraint


class CholeskyFactor(Constraint):
    """Lower triangular matrices with a positive diagonal, as torch's `lower_cholesky`, with a bijection that counts right."""

    event_dim = 2

    def check(self, value: Tensor) -> Tensor:
        return torch.distributions.constraints.lower_cholesky.check(value)


class PositiveDefinite(Constraint):
    """Symmetric positive definite matrices, as torch's `positive_definite`, with a bijection that knows its Jacobian."""

    event_dim = 2

    def check(self, value: Tensor) -> Tensor:
        return torch.distributions.constraints.positive_definite.check(value)


cholesky = CholeskyFactor()
positive_definite = PositiveDefinite()


class VectorToCholesky(transforms.Transform):
    """A vector of D(D+1)/2 reals to a Cholesky factor (D, D): first the logarithms of its diagonal, then what is below it.

    What is below is in units of the diagonal of its row, so that the vector does not depend on the units of the data: a step
    or a metric that suits one entry suits all.
    """

    domain = torch.distributions.constraints.real_vector
    codomain = cholesky
    bijective = True

    def __eq__(self, other: object) -> bool:
        return isinstance(other, VectorToCholesky)

    def __hash__(self) -> int:
        return hash(VectorToCholesky)

    def _call(self, x: Tensor) -> Tensor:
        dim = self.forward_shape(x.shape[-1:])[-1]
        rows, columns = torch.tril_indices(dim, dim, -1, device=x.device)
        unit = x.new_zeros(x.shape[:-1] + (dim * dim,)).index_copy(-1, rows * dim + columns, x[..., dim:])
        unit = unit.reshape(x.shape[:-1] + (dim, dim)) + torch.eye(dim, dtype=x.dtype, device=x.device)
        return x[..., :dim, None].exp() * unit

    def _inverse(self, y: Tensor) -> Tensor:
        rows, columns = torch.tril_indices(y.shape[-1], y.shape[-1], -1, device=y.device)
        diagonal = y.diagonal(dim1=-2, dim2=-1)
        return torch.cat([diagonal.log(), (y / diagonal[..., None])[..., rows, columns]], -1)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        dim = y.shape[-1]
        return (x[..., :dim] * torch.arange(1, dim + 1, dtype=x.dtype, device=x.device)).sum(-1)

    def forward_shape(self, shape: torch.Size) -> torch.Size:
        dim = round((8 * shape[-1] + 1) ** 0.5 - 1) // 2
        return torch.Size(shape[:-1] + (dim, dim))

    def inverse_shape(self, shape: torch.Size) -> torch.Size:
        return torch.Size(shape[:-2] + (shape[-1] * (shape[-1] + 1) // 2,))


class CholeskyToMatrix(transforms.Transform):
    """A Cholesky factor L to L L'."""

    domain = cholesky
    codomain = positive_definite
    bijective = True

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CholeskyToMatrix)

    def __hash__(self) -> int:
        return hash(CholeskyToMatrix)

    def _call(self, x: Tensor) -> Tensor:
        return x @ x.mT

    def _inverse(self, y: Tensor) -> Tensor:
        return torch.linalg.cholesky_ex(y)[0]

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        dim = x.shape[-1]
        weights = torch.arange(dim, 0, -1, dtype=x.dtype, device=x.device)
        return dim * math.log(2) + (weights * x.diagonal(dim1=-2, dim2=-1).log()).sum(-1)


@torch.distributions.biject_to.register(PositiveDefinite)
@torch.distributions.transform_to.register(PositiveDefinite)
def _(constraint: Constraint) -> transforms.Transform:
    return transforms.ComposeTransform([VectorToCholesky(), CholeskyToMatrix()])


@torch.distributions.biject_to.register(CholeskyFactor)
@torch.distributions.transform_to.register(CholeskyFactor)
def _(constraint: Constraint) -> transforms.Transform:
    return VectorToCholesky()
