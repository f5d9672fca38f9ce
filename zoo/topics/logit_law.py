"""The law of the logits of texts' mixtures: a Gaussian whose mean, or regression on covariates, and covariance are learnt, by conjugate
steps."""

from typing import NamedTuple

import pyro
import pyro.distributions as dist
import torch
from pyro.nn import PyroModule, PyroParam
from torch import Tensor
from torch.distributions import constraints, transforms

from inference.supports import CholeskyToMatrix, positive_definite

from ..distributions.gaussian import Gaussian
from ..distributions.wishart import WishartTril

LITTLE = 1e-6


class Logits(NamedTuple):
    """loc (K,) and precision (K, K) of the Gaussian; slopes (C, K), by how much the mean moves with a unit of each covariate."""

    loc: Tensor
    precision: Tensor
    slopes: Tensor

    @property
    def tril(self) -> Tensor:
        """The Cholesky factor of the precision."""
        return torch.linalg.cholesky_ex(self.precision)[0]

    def mean(self, given: Tensor) -> Tensor:
        """(N, K) of texts with covariates (N, C), less their means."""
        return self.loc + given @ self.slopes if len(self.slopes) else self.loc.expand(len(given), -1)


class LogitLaw(PyroModule):
    """The sites `precision` (K, K) ~ Wishart(freedom, spread^-2 I) and `loc` (K,) ~ Normal(0, precision^-1); with covariates `slopes`
    (C, K), each row c ~ Normal(0, (scale / spread_c)^2 precision^-1).

    The guide is of the same family, in its natural parameters: q_count, how many texts it has seen; q_sum (K,), the sum of their
    logits, and q_square (K, K) of the products of these; q_by (K, C) of the products with covariates in units of their spread, and
    q_gram (1 + C, 1 + C) of the products of one and these among each other.

    Arguments: spreads: (C,) of covariates, of which there may be none. scale: of slopes in the prior.
    """

    def __init__(self, topics: int, spread: float, spreads: Tensor | None = None, scale: float = 1.0) -> None:
        super().__init__()
        self.covariates = 0 if spreads is None else len(spreads)
        # The prior mean of the covariance is spread^2 I.
        self.register_buffer("freedom", torch.tensor(topics + 2.0))
        self.register_buffer("rate", spread**2 * torch.eye(topics))
        self.q_count = PyroParam(torch.tensor(1.0), constraints.positive)
        self.q_sum = PyroParam(torch.zeros(topics))
        self.q_square = PyroParam(spread**2 * torch.eye(topics), positive_definite)
        if self.covariates:
            self.register_buffer("spreads", spreads)
            self.register_buffer("scale", torch.tensor(scale))
            self.q_by = PyroParam(torch.zeros(topics, self.covariates))
            self.q_gram = PyroParam(torch.eye(1 + self.covariates), positive_definite)

    def sample(self) -> Logits:
        """A draw from the prior."""
        worth = self._prior_worth
        return self._drawn(self.freedom, self.rate, torch.zeros_like(self.q_sum[:, None].expand(-1, len(worth))), worth)

    def guided(self) -> Logits:
        """A draw from the guide."""
        mean, worth = self._regressed
        return self._drawn(self.freedom + self.q_count, self._rate, mean, worth)

    def expected(self) -> Logits:
        """The guide's means."""
        mean, _ = self._regressed
        slopes = mean[:, 1:].mT / self.spreads[:, None] if self.covariates else mean[:, 1:].mT
        return Logits(mean[:, 0], (self.freedom + self.q_count) * torch.linalg.inv(self._rate), slopes)

    def solve(self, mode: Tensor, precision_tril: Tensor, given: Tensor, size: int, name: str) -> dict[str, Tensor]:
        """What the guide's parameters should be, from the Gaussians of the logits of some texts, with covariates (N, C) less their
        means, that stand for `size`; `name` is the pair's of this module."""
        covariance = torch.cholesky_inverse(precision_tril).sum(0)
        found = self._told(mode, mode.mT @ mode + covariance, given, size)
        return {f"{name}.{parameter}": value for parameter, value in found.items()}

    def start(self, logits: Tensor, given: Tensor) -> None:
        """The guide as the posterior given logits (N, K), and covariates (N, C) less their means."""
        for name, value in self._told(logits, logits.mT @ logits + self.rate, given, len(logits)).items():
            setattr(self, name, value)

    def _told(self, mode: Tensor, square: Tensor, given: Tensor, size: int) -> dict[str, Tensor]:
        scale = size / len(mode)
        found = {"q_count": torch.full_like(self.freedom, size), "q_sum": scale * mode.sum(0), "q_square": scale * square}
        if self.covariates:
            design = torch.cat([torch.ones_like(given[:, :1]), given / self.spreads], 1)
            # A little more than was seen, so that covariates that hang together do no harm.
            gram = scale * design.mT @ design + LITTLE * torch.eye(design.shape[1], dtype=design.dtype, device=design.device)
            found |= {"q_by": scale * mode.mT @ design[:, 1:], "q_gram": gram}
        return found

    @property
    def _prior_worth(self) -> Tensor:
        """(1 + C, 1 + C) what the prior is worth: one text at the means, and as many as it takes for slopes."""
        one = torch.ones_like(self.q_count)[None]
        return torch.cat([one, self.scale.expand(self.covariates) ** -2]).diag() if self.covariates else one.diag()

    @property
    def _regressed(self) -> tuple[Tensor, Tensor]:
        """The mean of loc and slopes, in units of the covariates' spreads, (K, 1 + C), and what it is worth (1 + C, 1 + C)."""
        worth = self._prior_worth + (self.q_gram if self.covariates else self.q_count)
        return torch.linalg.solve(worth, self._sums.mT).mT if self.covariates else self._sums / worth, worth

    @property
    def _sums(self) -> Tensor:
        sums = self.q_sum[:, None]
        return torch.cat([sums, self.q_by], 1) if self.covariates else sums

    @property
    def _rate(self) -> Tensor:
        mean, _ = self._regressed
        return self.rate + self.q_square - mean @ self._sums.mT

    def _drawn(self, freedom: Tensor, rate: Tensor, mean: Tensor, worth: Tensor) -> Logits:
        law = WishartTril(freedom, torch.linalg.cholesky_ex(torch.linalg.inv(rate))[0])
        precision = pyro.sample("precision", dist.TransformedDistribution(law, [CholeskyToMatrix()]))
        tril = torch.linalg.cholesky_ex(precision)[0]
        if not self.covariates:
            return Logits(pyro.sample("loc", Gaussian(mean[:, 0], worth[0, 0].sqrt() * tril)), precision, mean[:, 1:].mT)
        share = torch.linalg.solve(worth[1:, 1:], worth[1:, :1])
        loc = pyro.sample("loc", Gaussian(mean[:, 0], (worth[0, 0] - worth[0, 1:] @ share[:, 0]).sqrt() * tril))
        return Logits(loc, precision, self._slopes(mean[:, 1:].mT - share * (loc - mean[:, 0]), worth[1:, 1:], tril))

    def _slopes(self, given: Tensor, among: Tensor, tril: Tensor) -> Tensor:
        """A draw given loc, of the mean `given` (C, K) in units of spreads: its precision is the Kronecker product of that `among`
        covariates and that of logits."""
        size = given.shape
        factor = self.spreads[:, None] * torch.linalg.cholesky_ex(among)[0]
        law = Gaussian((given / self.spreads[:, None]).flatten(), torch.kron(factor, tril))
        shaped = transforms.ReshapeTransform((size[0] * size[1],), size)
        return pyro.sample("slopes", dist.TransformedDistribution(law, [shaped]))


def correlations(precision: Tensor) -> Tensor:
    """(K, K) of the logarithms of shares, each less their mean: a constant added to all logits is no part of them.

    Source: Aitchison 1986, "The statistical analysis of compositional data", on centred log ratios.
    """
    covariance = torch.linalg.inv(precision)
    centred = covariance - covariance.mean(-1, keepdim=True)
    centred = centred - centred.mean(-2, keepdim=True)
    scale = centred.diagonal(dim1=-2, dim2=-1).sqrt()
    return centred / (scale[..., :, None] * scale[..., None, :])
