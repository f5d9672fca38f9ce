"""The autoencoder: its linear case against principal components, and its codes of real digits."""

import functools

import numpy as np
import pytest
import torch
from scipy.linalg import subspace_angles
from sklearn.decomposition import PCA
from torch import Tensor

import inference
import zoo

LATENTS = 3


@functools.cache
def wine() -> Tensor:
    """Thirteen measurements of 178 wines, standardised."""
    x = zoo.data.load("wine").x.double()
    return (x - x.mean(0)) / x.std(0)


@functools.cache
def linear() -> inference.Posterior:
    pair = zoo.create("autoencoder", wine(), latents=LATENTS, hidden=[], likelihood="gaussian")
    return inference.svi(pair, wine(), steps=1500, lr=0.03, seed=1, device="cpu", compile=False)


def test_the_linear_one_spans_the_principal_components():
    directions = PCA(LATENTS).fit(wine().numpy())
    found = linear().pair.decoder[0].weight.detach().numpy()
    assert subspace_angles(found, directions.components_.T).max() < 0.03


def test_the_linear_one_reconstructs_as_principal_components_do():
    directions = PCA(LATENTS).fit(wine().numpy())
    theirs = directions.inverse_transform(directions.transform(wine().numpy()))
    found = linear().reconstruct(wine())
    np.testing.assert_allclose(found, theirs, atol=0.05)
    # Principal components have the least squared error, which the learnt noise is the root of.
    best = np.square(wine().numpy() - theirs).mean()
    assert best <= (wine() - found).square().mean() < 1.001 * best
    assert linear().pair.likelihood.noise.item() == pytest.approx(best**0.5, rel=0.01)


def test_a_code_is_a_point():
    mean, sd = linear().encode(wine())
    assert (sd == 0).all()
    torch.testing.assert_close(linear().pair.law_of_codes(linear().pair.seen(wine())).mean.detach(), mean)


def test_holes_are_filled_by_what_their_codes_make_of_them():
    x = wine()[:20].clone()
    x[:, 5:7] = torch.nan
    mean, sd = linear().impute(x)
    # To leave the rest of the row as it is, a hole must be where the code of the filled row puts it.
    again = linear().reconstruct(mean)
    noise = linear().pair.likelihood.noise.item()
    assert (again - mean)[:, 5:7].abs().mean() < 0.2 * noise
    assert (mean - wine()[:20])[:, 5:7].square().mean() < 0.8 * wine()[:20, 5:7].square().mean()
    assert (sd[:, 5:7] > 0.5 * noise).all()


def test_digits_go_through_their_codes(tmp_path):
    x = zoo.data.load("digits").x
    pair = zoo.create("autoencoder", x, latents=8, hidden=[64])
    posterior = inference.svi(pair, x[:1200], batch=100, steps=600, device="cpu", compile=False)
    unseen = x[1200:]
    principal = PCA(8).fit(x[:1200].numpy())
    theirs = principal.inverse_transform(principal.transform(unseen.numpy()))
    error = (posterior.reconstruct(unseen) - unseen).square().mean().item()
    assert error < 1.05 * np.square(theirs - unseen.numpy()).mean()
    report = inference.diagnose(posterior)
    assert {"active latents", "codes"} <= {f.name for f in report.findings}
    assert [axes.get_ylabel() for axes in posterior.pair.picture(posterior).axes[::10]] == ["seen", "through its code"]
    assert "A point" not in report.verdict
    assert "generate does not suit it" in report.to_html(tmp_path / "report.html").read_text()


def test_a_code_as_long_as_its_row_is_refused():
    with pytest.raises(ValueError, match="latents=13 must be fewer than the 13 columns"):
        zoo.create("autoencoder", wine(), latents=13, likelihood="gaussian")
