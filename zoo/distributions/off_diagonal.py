"""Matrices whose rows are probabilities of all but their own number: where to go next, if not to stay."""

import torch
from pyro.distributions import Dirichlet, TorchDistribution, TransformedDistribution
from torch import Tensor
from torch.distributions import constraints, transforms
from torch.nn.functional import pad


class Departures(constraints.Constraint):
    """Square matrices with zeros on the diagonal, whose rows are probabilities."""

    event_dim = 2

    def check(self, value: Tensor) -> Tensor:
        return constraints.simplex.check(value).all(-1) & (value.diagonal(dim1=-2, dim2=-1) == 0).all(-1)


departures = Departures()
rows = constraints.independent(constraints.simplex, 1)


class OffDiagonal(transforms.Transform):
    """Rows of K - 1 numbers (K, K - 1) with a zero each on the diagonal (K, K)."""

    domain = rows
    codomain = departures
    bijective = True

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OffDiagonal)

    def __hash__(self) -> int:
        return hash(OffDiagonal)

    def _call(self, x: Tensor) -> Tensor:
        return pad(x.tril(-1), (0, 1)) + pad(x.triu(), (1, 0))

    def _inverse(self, y: Tensor) -> Tensor:
        return y[..., :-1].tril(-1) + y[..., 1:].triu()

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return x.new_zeros(x.shape[:-2])

    def forward_shape(self, shape: torch.Size) -> torch.Size:
        return torch.Size((*shape[:-1], shape[-1] + 1))

    def inverse_shape(self, shape: torch.Size) -> torch.Size:
        return torch.Size((*shape[:-1], shape[-1] - 1))


@torch.distributions.biject_to.register(Departures)
@torch.distributions.transform_to.register(Departures)
def _(constraint: constraints.Constraint) -> transforms.Transform:
    return transforms.ComposeTransform([torch.distributions.biject_to(rows), OffDiagonal()])


def off_diagonal(concentration: Tensor) -> TorchDistribution:
    """Each row Dirichlet(concentration), (K, K - 1), over the other numbers; event shape (K, K)."""
    return TransformedDistribution(Dirichlet(concentration).to_event(1), [OffDiagonal()])
