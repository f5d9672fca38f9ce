"""Rows through their latents: by the latents' law in closed form, where each is summed or integrated out."""

import pytest
import torch

import inference
import zoo
from tests.linear import posterior_of
from zoo.fa import FactorAnalysis


def test_a_mixture_weighs_its_locations_by_the_probabilities_of_the_row():
    x = zoo.data.load("faithful").frame.iloc[:40]
    posterior = inference.svi(zoo.create("gmm", x), x, steps=30, draws=50, device="cpu", compile=False)
    found = posterior.reconstruct(x)
    assert list(found.columns) == list(x.columns)
    values = {name: draws[0] for name, draws in posterior.draws.items()}
    truth = torch.zeros(40, 2)
    for draw in range(50):
        one = {name: value[None, draw : draw + 1] for name, value in values.items()}
        single = inference.Posterior(posterior.pair, one, {}, posterior.how, posterior.table)
        truth += torch.tensor(single.encode(x).to_numpy()) @ values["locs"][draw] / 50
    torch.testing.assert_close(torch.tensor(found.to_numpy()), truth)


def test_factors_give_the_rows_without_their_noise():
    torch.manual_seed(0)
    loadings, loc = torch.randn(4, 1), torch.randn(4)
    x = loc + torch.randn(30, 1) @ loadings.mT + 0.1 * torch.randn(30, 4)
    draws = {"loc": loc, "loadings": loadings, "noise": torch.full((4,), 0.1), "variances": loadings.square().sum(0)}
    posterior = posterior_of(FactorAnalysis(1, 4), x, {name: value[None, None] for name, value in draws.items()})
    gain = loadings.mT / (loadings.square().sum() + 0.01)
    torch.testing.assert_close(posterior.reconstruct(x), loc + (x - loc) @ gain.mT @ loadings.mT)


def test_series_are_not_reconstructed():
    x = torch.randn(3, 8)
    posterior = inference.svi(zoo.create("hmm", x), x, steps=10, draws=5, device="cpu", compile=False)
    with pytest.raises(TypeError, match="no latent by which they could be reconstructed"):
        posterior.reconstruct(x)
