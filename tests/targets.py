"""Pairs whose posterior is known, and what is known of it: shared by the tests of the samplers and the benchmarks.

Every `*_rows` makes rows, the same each time; every `*_known` says what the draws (chain, draw, ...) average to, exactly.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor

from inference import Pair

Draws = Mapping[str, Tensor]


class Known(NamedTuple):
    """A function of the parameters: its name, its draws (chain, draw, *shape) and its posterior mean (*shape)."""

    name: str
    draws: Tensor
    mean: Tensor


class Counts(Pair):
    """Counts of one rate: a skewed posterior, Gamma(2 + sum x, 1 + N).

    | symbol | distribution  | shape | meaning  |
    |--------|---------------|-------|----------|
    | rate   | Gamma(2, 1)   | ()    | the rate |
    | x      | Poisson(rate) | (N,)  | counts   |
    """

    def __init__(self) -> None:
        pass

    def model(self, x: Tensor, size: int | None = None) -> None:
        rate = pyro.sample("rate", dist.Gamma(x.new_tensor(2.0), 1.0))
        with self.rows(x, size):
            pyro.sample("x", dist.Poisson(rate), obs=x[:, 0])

    def guide(self, x: Tensor, size: int | None = None) -> None:
        pyro.sample("rate", dist.LogNormal(x.new_zeros(()), 1.0))


def counts_rows() -> Tensor:
    """Two small counts, so that the posterior is far from normal."""
    return torch.tensor([[0.0], [1.0]])


def counts_known(draws: Draws, x: Tensor) -> Iterator[Known]:
    """The mean, the variance and the mean logarithm of the rate."""
    shape, rate, found = 2 + x.sum(), torch.tensor(1.0 + len(x)), draws["rate"]
    yield Known("rate", found, shape / rate)
    yield Known("variance", (found - shape / rate).square(), shape / rate.square())
    yield Known("log rate", found.log(), torch.digamma(shape) - rate.log())


class UnknownNormal(Pair):
    """Numbers of unknown location and precision: a normal-gamma posterior.

    | symbol    | distribution                       | shape | meaning                      |
    |-----------|------------------------------------|-------|------------------------------|
    | precision | Gamma(2, 1)                        | ()    | one over the variance        |
    | loc       | Normal(0, (2 precision)^-1/2)      | ()    | the mean                     |
    | x         | Normal(loc, precision^-1/2)        | (N,)  | numbers                      |
    """

    def __init__(self) -> None:
        pass

    def model(self, x: Tensor, size: int | None = None) -> None:
        precision = pyro.sample("precision", dist.Gamma(x.new_tensor(2.0), 1.0))
        loc = pyro.sample("loc", dist.Normal(0.0, (2 * precision).rsqrt()))
        with self.rows(x, size):
            pyro.sample("x", dist.Normal(loc, precision.rsqrt()), obs=x[:, 0])

    def guide(self, x: Tensor, size: int | None = None) -> None:
        pyro.sample("precision", dist.LogNormal(x.new_zeros(()), 0.5))
        pyro.sample("loc", dist.Normal(x.new_zeros(()), 1.0))


def normal_rows() -> Tensor:
    """Six numbers."""
    return torch.tensor([1.2, 0.3, 2.2, 1.7, 0.9, -0.4])[:, None]


def normal_known(draws: Draws, x: Tensor) -> Iterator[Known]:
    """The means of both, and the variance of the location: Student's t with 2 (2 + N/2) degrees of freedom."""
    n, mean = len(x), x.mean()
    rate = 1 + 0.5 * (x - mean).square().sum() + n / (2 + n) * mean.square()
    loc = n * mean / (2 + n)
    yield Known("precision", draws["precision"], (2 + n / 2) / rate)
    yield Known("loc", draws["loc"], loc)
    yield Known("variance of loc", (draws["loc"] - loc).square(), rate / ((1 + n / 2) * (2 + n)))


class CorrelatedGaussian(Pair):
    """Linear regression with unit noise: a Gaussian posterior, of as many strongly correlated parameters as is asked.

    | symbol | distribution        | shape  | meaning                     |
    |--------|---------------------|--------|-----------------------------|
    | slopes | Normal(0, 1)        | (dim,) | one for each column of a    |
    | y      | Normal(a slopes, 1) | (N,)   | first column of x; a, rest  |

    Arguments:
        dim: how many parameters.
    """

    def __init__(self, dim: int = 100) -> None:
        self.dim = dim

    def model(self, x: Tensor, size: int | None = None) -> None:
        slopes = pyro.sample("slopes", dist.Normal(x.new_zeros(self.dim), 1.0).to_event(1))
        with self.rows(x, size):
            pyro.sample("x", dist.Normal(x[:, 1:] @ slopes, 1.0), obs=x[:, 0])

    def guide(self, x: Tensor, size: int | None = None) -> None:
        pyro.sample("slopes", dist.Normal(x.new_zeros(self.dim), 1.0).to_event(1))


def correlated_rows(dim: int = 5, condition: float = 1e3) -> Tensor:
    """(dim, 1 + dim): rows after which the covariance's eigenvalues run from 1 to 1/condition, in random directions."""
    generator = torch.Generator().manual_seed(0)
    basis = torch.linalg.qr(torch.randn(dim, dim, generator=generator, dtype=torch.float64))[0]
    values = torch.logspace(0, math.log10(condition), dim, dtype=torch.float64)
    design = (basis * (values - 1).sqrt()) @ basis.mT
    y = design @ torch.randn(dim, generator=generator, dtype=torch.float64) + torch.randn(dim, generator=generator, dtype=torch.float64)
    return torch.cat([y[:, None], design], 1).to(torch.get_default_dtype())


def correlated_posterior(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and covariance of the slopes."""
    y, design = x[:, 0].double(), x[:, 1:].double()
    covariance = torch.linalg.inv(design.mT @ design + torch.eye(design.shape[1], dtype=torch.float64))
    return covariance @ design.mT @ y, covariance


def correlated_known(draws: Draws, x: Tensor) -> Iterator[Known]:
    """Every mean and every covariance."""
    mean, covariance = correlated_posterior(x)
    centered = draws["slopes"] - mean
    i, j = torch.tril_indices(len(mean), len(mean))
    yield Known("slopes", draws["slopes"], mean)
    yield Known("covariance", centered[..., i] * centered[..., j], covariance[i, j])


class Bimodal(Pair):
    """A number whose sign was lost, now and then: a posterior of two modes, whose weights are those of the signs.

    | symbol | distribution             | shape | meaning                     |
    |--------|--------------------------|-------|-----------------------------|
    | loc    | Normal(0, 2)             | ()    | the mean, but for its sign  |
    | z      | Categorical(0.3, 0.7)    | (1,)  | the sign; summed out        |
    | x      | Normal((2 z - 1) loc, 1) | (1,)  | one number                  |
    """

    def __init__(self) -> None:
        pass

    def model(self, x: Tensor, size: int | None = None) -> None:
        loc = pyro.sample("loc", dist.Normal(x.new_zeros(()), 2.0))
        with self.rows(x, size):
            z = pyro.sample("z", dist.Categorical(x.new_tensor([0.3, 0.7])))
            pyro.sample("x", dist.Normal((2 * z - 1) * loc, 1.0), obs=x[:, 0])

    def guide(self, x: Tensor, size: int | None = None) -> None:
        pyro.sample("loc", dist.Normal(x.new_zeros(()), 2.0))


def bimodal_rows() -> Tensor:
    """One number, such that chains can cross: the modes are 3.6 standard deviations apart."""
    return torch.tensor([[2.0]])


def bimodal_known(draws: Draws, x: Tensor) -> Iterator[Known]:
    """The mass right of zero, the mean and the mean square."""
    mean, variance = 0.8 * x[0, 0], x.new_tensor(0.8)
    right = torch.distributions.Normal(0.0, 1.0).cdf(mean / variance.sqrt())
    yield Known("mass right of zero", (draws["loc"] > 0).to(x), 0.3 * (1 - right) + 0.7 * right)
    yield Known("loc", draws["loc"], 0.4 * mean)
    yield Known("square", draws["loc"].square(), mean.square() + variance)


class Funnel(Pair):
    """Neal's funnel, centred: the scale of `across` falls without bound as `along` does. No step size suits it: chains diverge.

    | symbol | distribution             | shape  | meaning                          |
    |--------|--------------------------|--------|----------------------------------|
    | along  | Normal(0, 3)             | ()     | twice the log of the scale below |
    | across | Normal(0, exp(along/2))  | (dim,) |                                  |
    | x      | Normal(0, 1)             | (N,)   | says nothing about the others    |

    Reference: Neal 2003, "Slice sampling", The Annals of Statistics 31, section 8.
    """

    def __init__(self, dim: int = 9) -> None:
        self.dim = dim

    def model(self, x: Tensor, size: int | None = None) -> None:
        along = pyro.sample("along", dist.Normal(x.new_zeros(()), 3.0))
        pyro.sample("across", dist.Normal(x.new_zeros(self.dim), (along / 2).exp()).to_event(1))
        with self.rows(x, size):
            pyro.sample("x", dist.Normal(x.new_zeros(()), 1.0), obs=x[:, 0])

    def guide(self, x: Tensor, size: int | None = None) -> None:
        # At the mouth: there a long step is learnt, too long for the neck.
        pyro.sample("along", dist.Normal(x.new_tensor(4.0), 1.0))
        pyro.sample("across", dist.Normal(x.new_zeros(self.dim), 7.0).to_event(1))


class Target(NamedTuple):
    """A pair, its rows, and what is known of its posterior."""

    pair: Callable[[], Pair]
    rows: Callable[[], Tensor]
    known: Callable[[Draws, Tensor], Iterator[Known]]


TARGETS = {
    "skewed": Target(Counts, counts_rows, counts_known),
    "normal": Target(UnknownNormal, normal_rows, normal_known),
    "correlated": Target(lambda: CorrelatedGaussian(5), correlated_rows, correlated_known),
    "bimodal": Target(Bimodal, bimodal_rows, bimodal_known),
}
