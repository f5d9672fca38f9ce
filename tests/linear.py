"""A linear decoder with Gaussian noise, of which everything is known, beside the latents and the encoder that it is given."""

import pyro
import pyro.distributions as dist
import torch
from pyro.nn import PyroParam
from torch import Tensor, nn
from torch.distributions import constraints

import inference
from inference import Posterior, as_table
from zoo.distributions.columns import Columns
from zoo.distributions.low_rank import LowRankGaussian

WEIGHT = torch.tensor([[1.0, 0.5], [1.0, -0.5], [-0.5, 1.0], [0.5, 1.0]], dtype=torch.float64)
BIAS = torch.tensor([0.3, -0.2, 0.0, 1.0], dtype=torch.float64)
NOISE = 0.5


class Affine(nn.Module):
    """weight x + bias, learnt or as they are."""

    def __init__(self, weight: Tensor, bias: Tensor, learnt: bool) -> None:
        super().__init__()
        for name, value in {"weight": weight.clone(), "bias": bias.clone()}.items():
            if learnt:
                setattr(self, name, nn.Parameter(value))
            else:
                self.register_buffer(name, value)

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight.mT + self.bias


class Linear(inference.Pair):
    """x ~ Normal(decoder z, 0.5), z standard normal; the guide knows z given a complete row, but for a factor `off` in its scale."""

    law = dist.Normal

    def __init__(self, off: float = 1.0, learnt: bool = True) -> None:
        precision = (torch.eye(2).to(WEIGHT) + WEIGHT.mT @ WEIGHT / NOISE**2).diagonal()
        encode = (WEIGHT / NOISE**2 / precision).mT
        self.decoder = Affine(WEIGHT, BIAS, learnt)
        self.q_encoder = Affine(encode, -encode @ BIAS, learnt)
        self.q_scale = PyroParam(off * precision.rsqrt(), constraints.positive)

    def model(self, x: Tensor, size: int | None = None) -> None:
        self.decode(x, size, torch.zeros(()).to(x))

    def guide(self, x: Tensor, size: int | None = None) -> None:
        self.encode(x, size, torch.zeros(()).to(x))

    def decode(self, x: Tensor, size: int | None, offset: Tensor) -> None:
        with self.rows(x, size):
            z = pyro.sample("z", dist.Normal(x.new_zeros(len(x), 2), 1.0).to_event(1))
            pyro.sample("x", Columns(dist.Normal(self.decoder(z) + offset, NOISE)), obs=x)

    def encode(self, x: Tensor, size: int | None, offset: Tensor) -> None:
        loc = self.q_encoder(torch.where(x.isnan(), self.decoder.bias, x - offset))
        with self.rows(x, size):
            pyro.sample("z", self.law(loc, self.q_scale.expand(loc.shape)).to_event(1))


def exact(weight: Tensor = WEIGHT, bias: Tensor = BIAS, noise: float | Tensor = NOISE) -> LowRankGaussian:
    """The distribution of a row, the latents integrated out."""
    return LowRankGaussian(bias, weight, torch.as_tensor(noise, dtype=weight.dtype))


def filled(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and sd of each row (rows, 4) given what is seen of it, by conditioning its joint normal."""
    covariance = WEIGHT @ WEIGHT.mT + NOISE**2 * torch.eye(4)
    mean, sd = x.clone(), torch.zeros_like(x)
    for i, row in enumerate(x):
        hole, seen = row.isnan(), ~row.isnan()
        gain = covariance[hole][:, seen] @ torch.linalg.inv(covariance[seen][:, seen])
        mean[i, hole] = BIAS[hole] + gain @ (row[seen] - BIAS[seen])
        sd[i, hole] = (covariance[hole][:, hole] - gain @ covariance[seen][:, hole]).diagonal().sqrt()
    return mean, sd


def posterior_of(pair: inference.Pair, x: Tensor, draws: dict[str, Tensor] | None = None) -> Posterior:
    """A fit that ended with the pair as it stands."""
    how = {"method": "svi", "settings": {}, "seed": 0, "device": "cpu", "seconds": 1.0, "stopped": "converged", "restarts": [1.0]}
    return Posterior.of(pair, draws or {}, {"loss": torch.linspace(9.0, 5.0, 60)}, how, as_table(x))


def rows(count: int = 12, holes: bool = False) -> Tensor:
    """Rows of the model, with a hole or two in every third if `holes`."""
    torch.manual_seed(3)
    x = exact().expand([count]).sample()
    if holes:
        x[::3, 0] = torch.nan
        x[::6, 2] = torch.nan
    return x
