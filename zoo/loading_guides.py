"""Guides of loadings (D, Q): their parameters, in units of the columns' spread."""

import pyro.distributions as dist
import torch
from pyro.nn import PyroModule, PyroParam
from torch import Tensor
from torch.distributions import constraints

from inference.supports import cholesky

from .distributions.turned import Turned


class NormalRows(PyroModule):
    """A Normal for the loadings of each column, with their covariance: of factors that their prior tells apart."""

    def __init__(self, dim: int, factors: int) -> None:
        super().__init__()
        self.loc = PyroParam(0.1 * torch.eye(dim, factors), constraints.real)
        self.tril = PyroParam(torch.eye(factors).repeat(dim, 1, 1), cholesky)

    def law(self, spread: Tensor) -> dist.TorchDistribution:
        unit = spread[:, None]
        return dist.MultivariateNormal(unit * self.loc, scale_tril=unit[..., None] * self.tril).to_event(1)

    @property
    def squares(self) -> Tensor:
        """(D, Q) mean square of each."""
        return self.loc.square() + self.tril.square().sum(-1)

    def start(self, weights: Tensor, noise: Tensor, rows: int) -> None:
        """About `weights` (D, Q), as sure as so many rows with that noise (D,) make them."""
        self.loc = weights
        self.tril = (noise / rows**0.5)[:, None, None] * torch.eye(weights.shape[1], dtype=weights.dtype, device=weights.device)


class TurnedLoadings(PyroModule):
    """The law `Turned`: of factors that may be rotated."""

    def __init__(self, dim: int, factors: int) -> None:
        super().__init__()
        self.unit = PyroParam(torch.ones(dim), constraints.positive)
        self.axes = PyroParam(torch.eye(dim, factors), constraints.real)
        self.lengths = PyroParam(torch.zeros(factors), constraints.real)
        self.spread = PyroParam(torch.ones(factors, factors), constraints.positive)
        self.off = PyroParam(torch.ones(factors), constraints.positive)

    def law(self, spread: Tensor) -> Turned:
        return Turned(spread * self.unit, self.axes / self.unit[:, None], self.lengths, self.spread, self.off)

    def start(self, weights: Tensor, noise: Tensor, rows: int) -> None:
        """About the principal axes of `weights` (D, Q) in units of `noise` (D,), as sure as the covariance of so many rows is there."""
        axes, lengths, _ = torch.linalg.svd(weights / noise[:, None], full_matrices=False)
        signal = lengths.square().clamp(min=0.1)
        total = signal + 1
        self.unit, self.lengths = noise, 0.5 * signal.log()
        below = (total[:, None] * total / signal).sqrt()
        along = total / signal / 2**0.5
        self.spread = (below - torch.diag(below.diagonal()) + torch.diag(along)).clamp(max=rows**0.5) / rows**0.5
        self.off = (total.sqrt() / signal).clamp(max=rows**0.5) / rows**0.5
        # Only their directions count; as long as this, a step of the optimiser turns them by no more than they are off.
        self.axes = noise[:, None] * axes / self.off
