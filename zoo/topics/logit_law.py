"""The law of the logits of texts' mixtures: a Gaussian whose mean and covariance are learnt, by conjugate steps."""

from typing import NamedTuple

import pyro
import pyro.distributions as dist
import torch
from pyro.nn import PyroModule, PyroParam
from torch import Tensor
from torch.distributions import constraints

from inference.supports import CholeskyToMatrix, positive_definite

from ..distributions.gaussian import Gaussian
from ..distributions.wishart import WishartTril


class Logits(NamedTuple):
    """loc (K,) and precision (K, K) of the Gaussian."""

    loc: Tensor
    precision: Tensor

    @property
    def tril(self) -> Tensor:
        """The Cholesky factor of the precision."""
        return torch.linalg.cholesky_ex(self.precision)[0]


class LogitLaw(PyroModule):
    """The sites `precision` (K, K) ~ Wishart(freedom, spread^-2 I) and `loc` (K,) ~ Normal(0, precision^-1).

    The guide is of the same family, in its natural parameters: q_count, how many texts it has seen; q_sum (K,), the sum of their
    logits, and q_square (K, K) of the products of these.
    """

    def __init__(self, topics: int, spread: float) -> None:
        super().__init__()
        # The prior mean of the covariance is spread^2 I.
        self.register_buffer("freedom", torch.tensor(topics + 2.0))
        self.register_buffer("rate", spread**2 * torch.eye(topics))
        self.q_count = PyroParam(torch.tensor(1.0), constraints.positive)
        self.q_sum = PyroParam(torch.zeros(topics))
        self.q_square = PyroParam(spread**2 * torch.eye(topics), positive_definite)

    def sample(self) -> Logits:
        """A draw from the prior."""
        return self._drawn(self.freedom, self.rate, torch.zeros_like(self.q_sum), torch.ones_like(self.freedom))

    def guided(self) -> Logits:
        """A draw from the guide."""
        return self._drawn(self.freedom + self.q_count, self._rate, self.q_sum / self._worth, self._worth)

    def expected(self) -> Logits:
        """The guide's means."""
        return Logits(self.q_sum / self._worth, (self.freedom + self.q_count) * torch.linalg.inv(self._rate))

    def solve(self, mode: Tensor, precision_tril: Tensor, size: int, name: str) -> dict[str, Tensor]:
        """What the guide's parameters should be, from the Gaussians of the logits of some texts that stand for `size`; `name` is the
        pair's of this module."""
        covariance = torch.cholesky_inverse(precision_tril).sum(0)
        return self._told(mode, mode.mT @ mode + covariance, size, name)

    def start(self, logits: Tensor) -> None:
        """The guide as the posterior given logits (N, K)."""
        found = self._told(logits, logits.mT @ logits + self.rate, len(logits), "")
        self.q_count, self.q_sum, self.q_square = found.values()

    def _told(self, mode: Tensor, square: Tensor, size: int, name: str) -> dict[str, Tensor]:
        scale, before = size / len(mode), f"{name}." if name else ""
        count = torch.full_like(self.freedom, size)
        return {f"{before}q_count": count, f"{before}q_sum": scale * mode.sum(0), f"{before}q_square": scale * square}

    @property
    def _worth(self) -> Tensor:
        """Texts, and one that the prior is worth."""
        return 1 + self.q_count

    @property
    def _rate(self) -> Tensor:
        return self.rate + self.q_square - self.q_sum[:, None] * self.q_sum / self._worth

    def _drawn(self, freedom: Tensor, rate: Tensor, loc: Tensor, worth: Tensor) -> Logits:
        law = WishartTril(freedom, torch.linalg.cholesky_ex(torch.linalg.inv(rate))[0])
        precision = pyro.sample("precision", dist.TransformedDistribution(law, [CholeskyToMatrix()]))
        tril = torch.linalg.cholesky_ex(precision)[0]
        return Logits(pyro.sample("loc", Gaussian(loc, worth.sqrt() * tril)), precision)


def correlations(precision: Tensor) -> Tensor:
    """(K, K) of the logarithms of shares, each less their mean: a constant added to all logits is no part of them.

    Source: Aitchison 1986, "The statistical analysis of compositional data", on centred log ratios.
    """
    covariance = torch.linalg.inv(precision)
    centred = covariance - covariance.mean(-1, keepdim=True)
    centred = centred - centred.mean(-2, keepdim=True)
    scale = centred.diagonal(dim1=-2, dim2=-1).sqrt()
    return centred / (scale[..., :, None] * scale[..., None, :])
