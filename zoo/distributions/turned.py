"""Matrices whose columns may be turned by any rotation: the law of loadings that only their prior, and no data, could tell apart."""

import math

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import Normal, constraints

_LOG_2PI = math.log(2 * math.pi)


class Turned(TorchDistribution):
    """Matrices unit (axes + E) T R (D, Q), with R uniform over the orthogonal matrices (Q, Q): their law is that of any rotation.

    What R turns is drawn in one position, and near it: T (Q, Q) is lower triangular with a positive diagonal, the lengths along the
    axes, and E (D, Q), orthogonal to the axes, what the directions are off by. The density is exact: with A = axes' (x / unit), the
    triangle and the rotation are the factors of A, and E = (x / unit) A^-1 - axes.

    A Normal about one rotation can follow the others along a straight line only; where the data leave the rotation open, as the
    loadings of factors do, the posterior lies on the circle.

    Arguments:
        unit: (D,) scale of each row, positive.
        axes: (D, Q) of full rank; the law depends on the nested spaces that the first q of its columns span.
        lengths: (Q,) the mean of the logarithm of T's diagonal; below it T has mean zero.
        spread: (Q, Q) standard deviations in T, of logarithms along the diagonal; what is above it is not used.
        off: (Q,) standard deviations of each column of E.

    Source: Muirhead 1982, "Aspects of multivariate statistical theory", Wiley, theorem 2.1.13 (the Jacobian of a triangle and a
    rotation) and corollary 2.1.16 (the volume of the orthogonal group).
    """

    support = constraints.independent(constraints.real, 2)
    arg_constraints: dict[str, constraints.Constraint] = {}
    has_rsample = True

    def __init__(self, unit: Tensor, axes: Tensor, lengths: Tensor, spread: Tensor, off: Tensor) -> None:
        self.unit, self.lengths, self.spread, self.off = unit[:, None], lengths, spread, off
        self.axes = torch.linalg.qr(axes)[0]
        super().__init__(torch.Size(), axes.shape, validate_args=False)

    def rsample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:
        rows, factors = self.event_shape
        like = {"dtype": self.axes.dtype, "device": self.axes.device}
        z, e, g = (torch.randn(*sample_shape, k, factors, **like) for k in (factors, rows, factors))
        below = (self.spread * z).tril(-1)
        triangle = below + torch.diag_embed((self.lengths + self.spread.diagonal() * z.diagonal(dim1=-2, dim2=-1)).exp())
        e = e * self.off
        return self.unit * ((self.axes + e - self.axes @ (self.axes.mT @ e)) @ triangle @ uniform_rotation(g))

    def log_prob(self, value: Tensor) -> Tensor:
        rows, factors = self.event_shape
        x = value / self.unit
        along = self.axes.mT @ x
        turn, upper = _positive(*torch.linalg.qr(along.mT))
        triangle = upper.mT
        e = torch.linalg.solve_triangular(upper, turn.mT @ (x - self.axes @ along).mT, upper=True)
        logs = triangle.diagonal(dim1=-2, dim2=-1).log()
        diagonal = Normal(self.lengths, self.spread.diagonal()).log_prob(logs) - logs
        below = Normal(0.0, self.spread).log_prob(triangle).tril(-1)
        off = -0.5 * (e / self.off[:, None]).square().sum((-2, -1)) - (rows - factors) * (self.off.log() + 0.5 * _LOG_2PI).sum()
        # What one number of the triangle spreads over: the rotations that go with it, and the rows of E.
        spread_over = torch.arange(factors - 1, -1, -1, dtype=x.dtype, device=x.device) + (rows - factors)
        jacobian = (spread_over * logs).sum(-1) + factors * self.unit.log().sum() + log_volume(factors)
        return diagonal.sum(-1) + below.sum((-2, -1)) + off - jacobian


def uniform_rotation(normal: Tensor) -> Tensor:
    """Orthogonal matrices (..., Q, Q), uniform where the entries of `normal` (..., Q, Q) are standard normal.

    Source: Mezzadri 2007, "How to generate random matrices from the classical compact groups", Notices of the AMS 54.
    """
    return _positive(*torch.linalg.qr(normal))[0]


def _positive(q: Tensor, r: Tensor) -> tuple[Tensor, Tensor]:
    """The factors of the same product with a positive diagonal in the second."""
    signs = r.diagonal(dim1=-2, dim2=-1).sign()
    return q * signs[..., None, :], r * signs[..., None]


def log_volume(size: int) -> float:
    """Logarithm of the volume of the orthogonal matrices (size, size)."""
    log_gamma = size * (size - 1) / 4 * math.log(math.pi) + sum(math.lgamma((size - i) / 2) for i in range(size))
    return size * math.log(2) + size**2 / 2 * math.log(math.pi) - log_gamma
