"""A posterior of two modes in closed form, whose chains sit in whichever they are told."""

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor

from inference import Pair, Permutation, Posterior, as_table
from inference.diagnostics.modes import Modes, modes
from inference.diagnostics.table import summarise

SIDES, NOISE, PRIOR = torch.tensor([1.0, -1.0], dtype=torch.double), torch.tensor([1.0, 0.3], dtype=torch.double), 4.0


class TwoSided(Pair):
    """Means of which either themselves, or their opposites, were observed with less noise: two modes of unequal width.

    | symbol | distribution                       | shape  | meaning                     |
    |--------|------------------------------------|--------|-----------------------------|
    | loc    | Normal(0, 4)                       | (dim,) | the means, but for a sign   |
    | z      | Categorical(first, 1 - first)      | (1,)   | which of two; summed out    |
    | x      | Normal(side[z] loc, noise[z])      | (1, dim) | one row                   |

    Arguments:
        dim: how many means.
        first: the probability of the first of two.
    """

    def __init__(self, dim: int = 3, first: float = 0.8) -> None:
        self.dim, self.first = dim, first

    def model(self, x: Tensor, size: int | None = None) -> None:
        loc = pyro.sample("loc", dist.Normal(x.new_zeros(self.dim), PRIOR).to_event(1))
        with self.rows(x, size):
            z = pyro.sample("z", dist.Categorical(x.new_tensor([self.first, 1 - self.first])))
            pyro.sample("x", dist.Normal(SIDES.to(x)[z][..., None] * loc, NOISE.to(x)[z][..., None]).to_event(1), obs=x)

    def guide(self, x: Tensor, size: int | None = None) -> None:
        pyro.sample("loc", dist.Normal(x.new_zeros(self.dim), PRIOR).to_event(1))


class Exchangeable(TwoSided):
    """The same, seen through a row of equal numbers, which cannot tell the means apart."""

    symmetries = (Permutation({"loc": 0}, order="loc"),)


class Positive(Pair):
    """The same for positive numbers, on the scale of their logarithms, so that volumes count in the space that samplers move in.

    Arguments:
        dim: how many numbers.
        first: the probability of the first of two.
    """

    def __init__(self, dim: int = 2, first: float = 0.8) -> None:
        self.dim, self.first = dim, first

    def model(self, x: Tensor, size: int | None = None) -> None:
        loc = pyro.sample("loc", dist.LogNormal(x.new_zeros(self.dim), PRIOR).to_event(1)).log()
        with self.rows(x, size):
            z = pyro.sample("z", dist.Categorical(x.new_tensor([self.first, 1 - self.first])))
            pyro.sample("x", dist.Normal(SIDES.to(x)[z][..., None] * loc, NOISE.to(x)[z][..., None]).to_event(1), obs=x)

    def guide(self, x: Tensor, size: int | None = None) -> None:
        pyro.sample("loc", dist.LogNormal(x.new_zeros(self.dim), PRIOR).to_event(1))


def known(first: float, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Log weight (mode,), mean (mode, dim) and standard deviation (mode,) of the posterior of `loc`, a mixture of two normals."""
    variance = PRIOR**2 + NOISE**2
    log_weights = torch.tensor([first, 1 - first]).log() + dist.Normal(0.0, variance.sqrt()[:, None]).log_prob(x).sum(1)
    spread = (PRIOR**2 * NOISE**2 / variance).sqrt()
    return log_weights.log_softmax(0), (SIDES * PRIOR**2 / variance)[:, None] * x, spread


def settled(pair: Pair, at: float = 5.0, where: tuple[int, ...] = (0, 1, 0, 0), draws: int = 1000) -> Posterior:
    """Independent draws of a posterior whose chains sit in the modes that `where` names."""
    x = torch.full((1, pair.dim), at)
    _, mean, spread = known(pair.first, x)
    mode = torch.tensor(where)
    loc = mean[mode][:, None] + spread[mode][:, None, None] * torch.randn(len(where), draws, pair.dim)
    values = {"loc": loc.exp() if isinstance(pair, Positive) else loc}
    return Posterior.of(pair, values, {}, {"method": "nuts", "settings": {}, "seconds": 1.0}, as_table(x))


def found(posterior: Posterior) -> Modes:
    return modes(posterior, summarise(posterior), [])
