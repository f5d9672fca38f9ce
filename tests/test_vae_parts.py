"""The variational autoencoder's other priors and guides: what each must do better at than the usual one."""

import functools

import numpy as np
import pytest
import torch
from torch import Tensor

import inference
import zoo
from inference import as_table
from tests.oracles import vae as oracle


def fitted(x: Tensor, steps: int, batch: int | None = None, **given) -> inference.Posterior:
    torch.manual_seed(0)
    return inference.svi(zoo.create("vae", x, **given), x, batch=batch, steps=steps, device="cpu", compile=False)


def halves() -> tuple[Tensor, Tensor]:
    """1200 digits to fit, and the rest."""
    return zoo.data.load("digits").x.tensor_split([1200])


@functools.cache
def digits(prior: str, covariance: str) -> inference.Posterior:
    x, _ = halves()
    return fitted(x, 500, 100, latents=8, hidden=[64], prior=prior, covariance=covariance)


def test_a_mixture_for_a_prior_tells_unseen_digits_better():
    *_, unseen = halves()
    usual, mixed = (digits(prior, "diag").score(unseen).mean() for prior in ("normal", "mixture"))
    assert mixed > usual + 0.2  # nats an image


def test_a_mixture_for_a_prior_finds_the_clusters_of_its_rows():
    torch.manual_seed(1)
    turned = torch.linalg.qr(torch.randn(5, 5)).Q[:2]
    x = (torch.randint(0, 2, (400, 2)) * 6.0 - 3.0 + 0.3 * torch.randn(400, 2)) @ turned + 0.1 * torch.randn(400, 5)
    usual, mixed = (fitted(x, 600, latents=2, hidden=[], likelihood="gaussian", prior=prior) for prior in ("normal", "mixture"))
    found = [oracle.log_evidence(posterior.pair, x.numpy()) / len(x) for posterior in (usual, mixed)]
    assert found[1] > found[0] + 0.5
    new = mixed.generate(1000) @ turned.mT
    assert (new.abs() > 1.5).double().mean() > 0.8  # and of a Normal with the same moments 62%


def test_a_full_covariance_is_nearer_to_the_law_of_codes():
    *_, unseen = halves()
    # By a single draw a score is the ELBO, on average over draws.
    bounds = {
        name: np.mean([digits("normal", name).score(unseen, samples=1, seed=seed).mean().item() for seed in range(10)])
        for name in ("diag", "full")
    }
    assert bounds["full"] > bounds["diag"] + 0.05


@pytest.mark.parametrize(("given", "parts"), [({"prior": "vamp"}, ["prior='vamp'", "mixture"]), ({"components": 0}, ["components=0"])])
def test_parts_that_there_are_not_are_refused(given, parts):
    with pytest.raises(ValueError) as caught:
        zoo.create("vae", **given)
    assert [part for part in parts if part not in str(caught.value)] == []


def test_holes_stay_where_a_guide_cannot_follow():
    pair = zoo.create("vae", latents=1, dim=2, hidden=[], likelihood="gaussian", noise=1.0, center=0.0, spread=1.0, mask=True)
    with torch.no_grad():
        pair.decoder[0].weight.copy_(torch.tensor([[1.0], [100.0]]))
        # Of rows filled far off, the guide expects codes farther off, and is so sure that densities elsewhere are below any number.
        pair.q_encoder[0].weight.copy_(torch.tensor([[0.0, 10.0, 0.0, 0.0], [0.0, -6.0, 0.0, 0.0]]))
        for net in (pair.decoder, pair.q_encoder):
            net[0].bias.zero_()
    x = torch.tensor([[0.0, torch.nan]]).repeat(40, 1)
    mean, sd = inference.Posterior.of(pair, {}, {}, {"method": "svi"}, as_table(x)).impute(x)
    exact = (100**2 / 2 + 1) ** 0.5
    assert mean[:, 1].abs().max() < 5 * exact / 20**0.5
    assert sd[:, 1].square().mean().sqrt() == pytest.approx(exact, rel=0.3)
