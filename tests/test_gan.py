"""Generative adversarial networks: a ring of Gaussians, what can be asked of one without an encoder, and shades."""

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.stats import norm

import inference
import zoo
from inference import Posterior, as_table
from tests.benchmarks.gan import SPREADS, near, ring
from zoo.distributions.censored import CensoredNormal


def linear(name: str) -> Posterior:
    """Two columns, 2 z0 + 1 and z0 - 3 z1."""
    pair = zoo.create(name, latents=2, dim=2, hidden=[], center=0.0, noise=1e-6)
    with torch.no_grad():
        pair.generator[0].weight.copy_(torch.tensor([[2.0, 0.0], [1.0, -3.0]]))
        pair.generator[0].bias.copy_(torch.tensor([1.0, 0.0]))
    return Posterior.of(pair, {}, {}, {"method": "svi"}, as_table(np.zeros((3, 2))))


def test_all_modes_of_a_ring_are_found():
    x, modes = ring(4000, 0)
    pair = zoo.create("gan", x, network="residual", hidden=[48, 48], critic_hidden=[64, 64], noise=1e-3)
    posterior = inference.svi(pair, x, batch=64, steps=600, penalty=0.05, cooling=600, compile=False)
    new = posterior.generate(2000)
    assert near(new, modes, SPREADS["ring"])[0] == 8
    nearest = torch.cdist(new, modes).argmin(1).bincount(minlength=8)
    assert nearest.min() > 2000 / 8 / 3
    assert posterior.fidelity().missed == 0


def test_convolutions_are_drawn_so_that_numbers_stay_as_far_spread():
    pair = zoo.create("gan", dim=1024, latents=64, network="convolution", hidden=[64, 64, 64])
    pair.start(torch.zeros(1, 1024))
    with torch.no_grad():
        made = pair.generator(torch.randn(100, 64)).unflatten(1, (32, 32))[:, 2:-2, 2:-2]
    assert 0.5 < made.square().mean() * (1 + 0.2**2) / 2 < 2


def test_without_an_encoder_latents_are_moved_about_their_prior():
    moved = linear("gan").traverse(1)
    np.testing.assert_allclose(moved.values[[0, -1]], norm.ppf([0.025, 0.975]), atol=0.1)
    assert list(moved.changes.index) == ["1", "0"]
    assert moved.changes["change"].iloc[0] == pytest.approx(-3 * float(moved.values[-1] - moved.values[0]))
    assert torch.equal(linear("gan").expected([[1.0, 1.0]]), torch.tensor([[3.0, -2.0]]))
    with pytest.raises(TypeError, match="use the pair 'bigan'"):
        linear("gan").interpolate([[0.0, 0.0]], [[1.0, 1.0]])


def test_what_needs_a_density_is_refused_with_what_to_use_instead():
    posterior = linear("bigan")
    for call in (posterior.loo, lambda: posterior.score(np.zeros((2, 2))), lambda: inference.compare({"a": posterior, "b": posterior})):
        with pytest.raises(TypeError, match=r"use posterior\.fidelity"):
            call()


@pytest.mark.parametrize("loc", [0.02, 0.5, 0.97])
def test_shades_have_the_masses_density_and_mean_of_a_normal_held_between_0_and_1(loc):
    law = CensoredNormal(torch.tensor(loc), torch.tensor(0.1))

    def density(x: float) -> float:
        return law.log_prob(torch.tensor(x)).exp().item()

    inside, weighed = (quad(f, 0, 1, epsabs=1e-12)[0] for f in (density, lambda x: x * density(x)))
    assert inside + density(0.0) + density(1.0) == pytest.approx(1.0, abs=1e-9)
    assert law.mean.item() == pytest.approx(weighed + density(1.0), abs=1e-9)
    drawn = law.sample((20_000,))
    assert 0 <= drawn.min() <= drawn.max() <= 1
    assert drawn.mean().item() == pytest.approx(law.mean.item(), abs=4 * 0.1 / 20_000**0.5)
