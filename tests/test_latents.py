"""A latent that the observed distribution integrates out by itself."""

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.nn import PyroParam
from torch import Tensor
from torch.distributions import constraints

import inference
from inference import Pair


class Noisy(dist.Normal):
    """x = z + noise, z ~ Normal(loc, 1), noise ~ Normal(0, sd), and z integrated out."""

    def __init__(self, loc: Tensor, sd: float) -> None:
        self.prior, self.sd = loc, sd
        super().__init__(loc, (1 + sd**2) ** 0.5)

    def expand(self, batch_shape, _instance=None):
        return Noisy(self.prior.expand(batch_shape), self.sd)

    def latents(self, value: Tensor) -> dict[str, dist.TorchDistribution]:
        precision = 1 + self.sd**-2
        return {"z": dist.Normal((self.prior + value / self.sd**2) / precision, precision**-0.5)}


class Measured(Pair):
    """Numbers measured with noise."""

    def __init__(self) -> None:
        self.q_loc = PyroParam(torch.tensor(0.0), constraints.real)

    def model(self, x: Tensor, size: int | None = None) -> None:
        loc = pyro.sample("loc", dist.Normal(x.new_zeros(()), 1.0))
        with self.rows(x, size):
            pyro.sample("x", Noisy(loc, 0.5), obs=x[:, 0])

    def guide(self, x: Tensor, size: int | None = None) -> None:
        pyro.sample("loc", dist.Normal(self.q_loc, 0.3))


class Plain(Measured):
    """The same, whose observed distribution says nothing of the latent."""

    def model(self, x: Tensor, size: int | None = None) -> None:
        loc = pyro.sample("loc", dist.Normal(x.new_zeros(()), 1.0))
        with self.rows(x, size):
            pyro.sample("x", dist.Normal(loc, 1.25**0.5), obs=x[:, 0])


def test_its_mean_and_sd_are_those_of_its_law_over_all_draws():
    x = torch.randn(6, 1) + 1.0
    posterior = inference.svi(Measured(), x, steps=20, draws=50, device="cpu", compile=False)
    loc = posterior.draws["loc"][0]
    given = (loc[:, None] + 4 * x[:, 0]) / 5
    mean, sd = posterior.encode(x)
    torch.testing.assert_close(mean[:, 0], given.mean(0))
    torch.testing.assert_close(sd[:, 0], (0.2 + given.var(0, correction=0)).sqrt())


def test_a_pair_without_a_latent_says_so():
    x = torch.randn(6, 1)
    with pytest.raises(TypeError, match="no latent to encode"):
        inference.svi(Plain(), x, steps=1, draws=2, device="cpu", compile=False).encode(x)
