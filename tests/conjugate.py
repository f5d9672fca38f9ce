"""One number of known scale, measured again and again: all is in closed form, so that what is said of a posterior can be judged."""

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal, Normal

from inference import Pair, Posterior, as_table


class Location(Pair):
    """Numbers of one location and known scale: a normal posterior.

    | symbol | distribution          | shape | meaning     |
    |--------|-----------------------|-------|-------------|
    | loc    | Normal(center, width) | ()    | the mean    |
    | x      | Normal(loc, 1)        | (N,)  | the numbers |

    Arguments:
        center: of the prior. width: of the prior.
    """

    def __init__(self, center: float = 0.0, width: float = 2.0) -> None:
        self.center, self.width = center, width

    def model(self, x: Tensor, size: int | None = None) -> None:
        loc = pyro.sample("loc", dist.Normal(x.new_tensor(self.center), self.width))
        with self.rows(x, size):
            pyro.sample("x", dist.Normal(loc, 1.0), obs=x[:, 0])

    def guide(self, x: Tensor, size: int | None = None) -> None:
        pyro.sample("loc", dist.Normal(x.new_zeros(()), 1.0))


def location(pair: Location, x: Tensor) -> Normal:
    """The posterior of the location given rows x (N, 1)."""
    precision = pair.width**-2 + len(x)
    return Normal((pair.center * pair.width**-2 + x.sum()) / precision, torch.as_tensor(precision).rsqrt())


def log_evidence(pair: Location, x: Tensor) -> float:
    """log p(x): the rows are jointly normal."""
    covariance = torch.eye(len(x)) + pair.width**2
    return float(MultivariateNormal(torch.full((len(x),), pair.center), covariance).log_prob(x[:, 0]))


def left_out(pair: Location, x: Tensor) -> Tensor:
    """(N,) log p(x_i | all other rows)."""
    logs = []
    for i in range(len(x)):
        others = location(pair, torch.cat([x[:i], x[i + 1 :]]))
        logs.append(Normal(others.mean, (1 + others.variance).sqrt()).log_prob(x[i, 0]))
    return torch.stack(logs)


def rows(count: int = 30, seed: int = 0) -> Tensor:
    """(count, 1) numbers about 1."""
    return 1 + torch.randn(count, 1, generator=torch.Generator().manual_seed(seed))


def by_guide(pair: Location, x: Tensor, guide: Normal, draws: int = 4000, seed: int = 0) -> Posterior:
    """A fit whose guide is `guide`: its draws, their density and that of the posterior."""
    loc = guide.mean + guide.stddev * torch.randn(1, draws, generator=torch.Generator().manual_seed(seed))
    log_p = Normal(pair.center, pair.width).log_prob(loc) + Normal(loc[..., None], 1.0).log_prob(x[:, 0]).sum(-1)
    stats = {"lp": log_p, "log_q": guide.log_prob(loc), "loss": torch.zeros(60)}
    how = {"method": "svi", "stopped": "converged after 60 steps", "restarts": [0.0], "settings": {}, "seed": seed, "seconds": 1.0}
    return Posterior.of(pair, {"loc": loc}, stats, how, as_table(x))


def by_chains(pair: Location, x: Tensor, draws: int = 1000, seed: int = 0) -> Posterior:
    """Four chains of independent draws from the exact posterior."""
    exact = location(pair, x)
    loc = exact.mean + exact.stddev * torch.randn(4, draws, generator=torch.Generator().manual_seed(seed))
    return Posterior.of(pair, {"loc": loc}, {}, {"method": "nuts", "settings": {}, "seed": seed, "seconds": 1.0}, as_table(x))


def scaled(normal: Normal, by: float) -> Normal:
    """The same with its standard deviation `by` times as large."""
    return Normal(normal.mean, normal.stddev * by)
