"""The ELBO with a weight on the divergence of codes: its closed forms in the linear case, and what warm-up and free bits do."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.func import grad

import inference
import zoo
from inference.amortised import moments
from inference.objectives import MeanFieldELBO
from inference.program import Program
from inference.weighted import WeightedELBO
from tests.oracles import vae as oracle


def wine() -> Tensor:
    x = zoo.data.load("wine").x
    return (x - x.mean(0)) / x.std(0, correction=0)


def linear(noise: float, **options) -> inference.Posterior:
    pair = zoo.create("vae", wine(), latents=3, hidden=[], likelihood="gaussian", noise=noise)
    return inference.svi(pair, wine(), objective="beta", **options, steps=800, lr=0.03, seed=1, device="cpu", compile=False)


def divergences(posterior: inference.Posterior) -> Tensor:
    """(Q,) the mean KL of each latent from its standard normal prior."""
    program = Program(posterior.pair, wine())
    with torch.no_grad():
        mean, square = moments(program, {}, program.x)["z"]
    return 0.5 * (square - 1 - (square - mean.square()).log()).mean(0)


@pytest.mark.parametrize(("beta", "noise"), [(4.0, 0.5), (0.5, 1.4)])
def test_the_linear_one_finds_the_principal_directions_less_beta_times_the_noise(beta, noise):
    """Divided by beta, the objective is the ELBO with a noise of variance beta * noise^2, whose maximum Tipping & Bishop give."""
    _, loadings, _ = oracle.linear(linear(noise, beta=beta, warmup=100).pair)
    values = np.linalg.eigvalsh(np.cov(wine().numpy().T, bias=True))[::-1][:3]
    lengths = np.linalg.svd(loadings, compute_uv=False) ** 2
    np.testing.assert_allclose(lengths, values - beta * noise**2, rtol=0.04, atol=0.03)


def test_free_bits_keep_latents_that_the_elbo_gives_up():
    given_up, kept = divergences(linear(1.7)), divergences(linear(1.7, free_bits=0.2))
    assert (given_up > 0.05).sum() == 1  # of the eigenvalues 4.7, 2.5 and 1.4 one is above 1.7^2
    assert kept.min() > 0.17


def objective(**options) -> tuple[WeightedELBO, dict[str, Tensor]]:
    pair = zoo.create("vae", wine(), latents=2, hidden=[4], likelihood="gaussian", **options.pop("given", {}))
    made = WeightedELBO(Program(pair, wine()), pair.guide, **options)
    torch.manual_seed(0)
    return made, {name: 0.3 * torch.randn_like(p) for name, p in made.named_parameters()}


def stepped(made: WeightedELBO, parameters: dict[str, Tensor], done: int) -> tuple[Tensor, dict[str, Tensor], Tensor]:
    """A step's loss, its gradient, and what was carried on."""

    def loss(parameters: dict[str, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        value, carried = made.step(parameters, wine(), {"done": torch.tensor(float(done))})
        return value, (value, carried["done"])

    torch.manual_seed(5)
    slopes, (value, done) = grad(loss, has_aux=True)(parameters)
    return value, slopes, done


@pytest.mark.parametrize("given", [{}, {"prior": "mixture"}, {"covariance": "full"}], ids=str)
def test_the_weight_rises_and_the_loss_is_told_at_the_last(given):
    rising, parameters = objective(beta=3.0, warmup=10, given=dict(given))
    half, whole = (objective(beta=beta, given=dict(given))[0] for beta in (1.5, 3.0))
    value, slopes, done = stepped(rising, parameters, 4)
    assert done == 5
    torch.testing.assert_close(slopes, stepped(half, parameters, 0)[1])
    torch.testing.assert_close(value, stepped(whole, parameters, 0)[0])
    torch.testing.assert_close(stepped(rising, parameters, 9)[1], stepped(whole, parameters, 0)[1])
    torch.manual_seed(5)
    torch.testing.assert_close(whole.loss(parameters, wine()), value)


@pytest.mark.parametrize("given", [{}, {"prior": "mixture"}, {"covariance": "full"}], ids=str)
def test_at_weight_one_it_is_the_elbo(given):
    made, parameters = objective(given=dict(given))
    elbo = MeanFieldELBO(made.program, made.guide)
    torch.manual_seed(5)
    expected = elbo.loss(parameters, wine())
    torch.testing.assert_close(stepped(made, parameters, 0)[0], expected)


REFUSED = {
    "no codes": ("gmm", {}, ["GaussianMixture has none", "'elbo'"]),
    "negative": ("vae", {"beta": -1.0}, ["beta=-1.0", "at least 0"]),
    "not a number": ("vae", {"free_bits": "one"}, ["free_bits='one'", "at least 0"]),
    "no steps": ("vae", {"warmup": 0}, ["warmup=0", "at least 1"]),
    "of another": ("vae", {"objective": "elbo", "beta": 2.0}, ["beta=2.0", "objective='beta'", "'elbo' has none"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_weighted_is_refused(case):
    name, given, parts = REFUSED[case]
    x = torch.rand(10, 3)
    with pytest.raises(ValueError) as caught:
        inference.svi(zoo.create(name, x), x, **{"objective": "beta", **given}, device="cpu")
    assert [part for part in parts if part not in str(caught.value)] == []
