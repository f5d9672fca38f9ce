"""A conjugate pair whose guide knows the posterior, or is off by as much as it is told: shared by the tests of calibration."""

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor

from inference import Pair

QUICK = {"compile": False, "progress": False}
CHAINS = {**QUICK, "method": "hmc", "simulations": 50, "warmup": 80, "draws": 200, "rows": 5}


class Conjugate(Pair):
    """Normal rows about a normal mean, whose posterior the guide knows.

    | symbol | distribution       | shape | meaning  |
    |--------|--------------------|-------|----------|
    | loc    | Normal(0, prior)   | ()    | the mean |
    | x      | Normal(loc, scale) | (N,)  | the rows |

    Arguments:
        prior: of the mean. scale: of the rows. width, shift: what the guide has wrong, in posterior standard deviations.
        blind: whether the guide gives the prior.
    """

    def __init__(self, prior: float = 1.0, scale: float = 2.0, width: float = 1.0, shift: float = 0.0, blind: bool = False) -> None:
        self.prior, self.scale, self.width, self.shift, self.blind = prior, scale, width, shift, blind

    def model(self, x: Tensor, size: int | None = None) -> None:
        loc = pyro.sample("loc", dist.Normal(x.new_zeros(()), self.prior))
        with self.rows(x, size):
            pyro.sample("x", dist.Normal(loc, self.scale), obs=x[:, 0])

    def posterior(self, x: Tensor) -> tuple[Tensor, float]:
        precision = self.prior**-2 + len(x) * self.scale**-2
        return x.sum() * self.scale**-2 / precision, precision**-0.5

    def guide(self, x: Tensor, size: int | None = None) -> None:
        mean, sd = (x.new_zeros(()), self.prior) if self.blind else self.posterior(x)
        pyro.sample("loc", dist.Normal(mean + self.shift * sd, self.width * sd))


class Fitted(Conjugate):
    """The same, with a guide whose mean and scale are learnt."""

    def __init__(self) -> None:
        super().__init__()
        self.q_loc = pyro.nn.PyroParam(torch.tensor(0.0))
        self.q_scale = pyro.nn.PyroParam(torch.tensor(1.0), dist.constraints.positive)

    def guide(self, x: Tensor, size: int | None = None) -> None:
        pyro.sample("loc", dist.Normal(self.q_loc, self.q_scale))


def named(found, name):
    return [f for f in found.findings if f.name == name]


def said(found, name):
    return " ".join(str(f) for f in named(found, name))


def data_sets(count=6, rows=5):
    """(count, rows, 1), each about a centre of its own."""
    return torch.randn(count, rows, 1) + 3 * torch.arange(count)[:, None, None]
