"""The variational autoencoder: its linear case against principal components, its likelihoods, its codes on real digits."""

import functools

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from torch import Tensor

import inference
import zoo
from inference import as_table
from tests.oracles import vae as oracle
from zoo.distributions.low_rank import LowRankGaussian

LATENTS = 3


@functools.cache
def wine(holes: bool = False) -> Tensor:
    """Thirteen measurements of 178 wines, standardised; a tenth of them missing if `holes`."""
    torch.manual_seed(0)
    x = zoo.data.load("wine").x
    x = (x - x.mean(0)) / x.std(0)
    return torch.where(torch.rand_like(x) < 0.1, torch.nan, x) if holes else x


@functools.cache
def linear(holes: bool = False) -> inference.Posterior:
    x = wine(holes)
    pair = zoo.create("vae", x, latents=LATENTS, hidden=[], likelihood="gaussian")
    return inference.svi(pair, x, steps=600 if holes else 1200, lr=0.03, seed=1, device="cpu", compile=False)


def law_of(posterior: inference.Posterior) -> LowRankGaussian:
    """The distribution of a row under the fitted weights, the codes integrated out."""
    mean, loadings, noise = (torch.as_tensor(part) for part in oracle.linear(posterior.pair))
    return LowRankGaussian(mean, loadings, noise.expand(len(mean)))


def test_the_linear_one_reaches_the_maximum_likelihood_of_principal_components():
    x, posterior = wine(), linear()
    values = np.linalg.eigvalsh(np.cov(x.numpy().T, bias=True))[::-1]
    noise, columns = values[LATENTS:].mean(), x.shape[1]
    kept = np.log(values[:LATENTS]).sum() + (columns - LATENTS) * np.log(noise)
    most = -0.5 * (columns * np.log(2 * np.pi) + kept + columns)
    reached = law_of(posterior).log_prob(x).mean().item()
    assert most - 0.005 < reached <= most + 1e-10
    # And the guide is exact there: a single draw knows the density, on average over rows.
    assert posterior.score(x, samples=1).mean().item() == pytest.approx(reached, abs=0.02)
    np.testing.assert_allclose(oracle.linear(posterior.pair)[2] ** 2, noise, rtol=0.02)


def test_the_columns_of_the_linear_decoder_are_the_principal_directions():
    _, loadings, noise = oracle.linear(linear().pair)
    directions = PCA(LATENTS).fit(wine().numpy())
    order = np.argsort(-np.linalg.norm(loadings, axis=0))
    cosines = np.abs(directions.components_ @ (loadings / np.linalg.norm(loadings, axis=0))[:, order])
    np.testing.assert_allclose(cosines, np.eye(LATENTS), atol=0.1)
    lengths = np.linalg.norm(loadings[:, order], axis=0) ** 2 + noise**2
    np.testing.assert_allclose(lengths, directions.explained_variance_, rtol=0.05)


def test_codes_and_reconstructions_of_the_linear_one_are_those_of_the_closed_form():
    x, posterior = wine(), linear()
    law, found = law_of(posterior), posterior.encode(x)
    torch.testing.assert_close(found.mean, law.latents(x)["z"].mean, rtol=0, atol=0.15)
    torch.testing.assert_close(posterior.reconstruct(x, samples=1000), law.reconstruct(x), rtol=0, atol=0.12)


def test_rows_with_holes_are_fitted_scored_and_filled():
    x, posterior = wine(holes=True), linear(holes=True)
    assert posterior.pair.mask
    law, holes = law_of(posterior), x.isnan()
    torch.testing.assert_close(posterior.score(x, samples=1000), law.expand([len(x)]).log_prob(x), rtol=0, atol=0.1)
    mean, sd = posterior.impute(x[:40])
    fills = law.expand([2000, 40]).fill(x[:40])
    torch.testing.assert_close(mean, fills.mean(0), rtol=0, atol=0.15)
    torch.testing.assert_close(sd, fills.std(0), rtol=0, atol=0.1)
    assert (mean - wine()[:40])[holes[:40]].square().mean() < 0.9 * wine()[:40][holes[:40]].square().mean()


@functools.cache
def digits() -> tuple[inference.Posterior, Tensor, Tensor]:
    """A short fit to the first 1200 digits, and those it was not given."""
    x = zoo.data.load("digits").x
    pair = zoo.create("vae", x, latents=8, hidden=[64])
    return inference.svi(pair, x[:1200], batch=100, steps=700, device="cpu", compile=False), x[:1200], x[1200:]


def test_digits_are_told_better_than_by_their_columns():
    posterior, fitted, unseen = digits()
    mean = fitted.mean(0).clamp(1e-3, 1 - 1e-3)
    by_columns = (unseen * mean.log() + (1 - unseen) * (1 - mean).log()).sum(1).mean()
    assert posterior.score(unseen).mean() > by_columns + 2.5  # nats an image
    assert by_columns < -26
    error = (posterior.reconstruct(unseen) - unseen).square().mean()
    assert error < 0.5 * (fitted.mean(0) - unseen).square().mean()


def test_pixels_that_are_covered_are_filled_better_than_by_their_means():
    posterior, fitted, unseen = digits()
    covered = unseen[:30].clone()
    covered[:, 24:40] = torch.nan
    found = posterior.impute(covered)
    error, naive = ((guess - unseen[:30])[:, 24:40].square().mean() for guess in (found.mean, fitted.mean(0).expand(30, -1)))
    assert error < 0.7 * naive
    assert (found.sd[:, 24:40] > 0).any(1).all()
    assert (found.sd[:, :24] == 0).all()


def test_the_report_shows_images_through_their_codes(tmp_path):
    posterior, *_ = digits()
    report = inference.diagnose(posterior)
    assert {"active latents", "k-hat by row", "density"} <= {f.name for f in report.findings}
    figure = posterior.pair.picture(posterior)
    assert [axes.get_ylabel() for axes in figure.axes[::10]] == ["seen", "through its code", "new"]
    assert "The data and the model" in report.to_html(tmp_path / "report.html").read_text()


def _short(x: Tensor, **given) -> inference.Posterior:
    return inference.svi(zoo.create("vae", x, hidden=[8], **given), x, steps=300, device="cpu", compile=False)


def test_categories_are_learnt_and_have_no_mean():
    torch.manual_seed(2)
    one = torch.randint(0, 3, (300, 1))
    x = one.expand(-1, 4).clone().double()
    posterior = _short(x, latents=1, likelihood="categorical")
    assert posterior.pair.likelihood.categories == 3
    # Three kinds of rows: log 3 nats to name one, against 4 log 3 for columns by themselves.
    assert -4 * np.log(3) + 2.5 < posterior.score(x[:50]).mean() <= -np.log(3) + 0.1
    new = posterior.generate(200)
    assert set(new.unique().tolist()) <= {0.0, 1.0, 2.0}
    assert (new == new[:, :1]).all(1).double().mean() > 0.7
    with pytest.raises(TypeError, match="no mean"):
        posterior.reconstruct(x)
    holes = x[:3].clone()
    holes[:, 0] = torch.nan
    torch.testing.assert_close(posterior.impute(holes).mean[:, 0], x[:3, 1], rtol=0, atol=0.25)
    assert [axes.get_xlabel() for axes in posterior.pair.picture(posterior).axes] == ["code 0"]


def test_shades_have_a_density():
    torch.manual_seed(0)
    shade = torch.rand(300, 1)
    x = (shade + 0.05 * torch.randn(300, 5)).clamp(0, 1)
    posterior = _short(x, latents=1, likelihood="continuous_bernoulli")
    assert posterior.score(x).mean() > 0.2  # against 0, of rows that are uniform
    new = posterior.generate(500)
    assert ((new >= 0) & (new <= 1)).all()
    assert np.corrcoef(new.numpy().T)[0, 1] > 0.2


def test_a_fixed_noise_is_not_learnt():
    posterior = _short(wine(), latents=2, likelihood="gaussian", noise=0.7)
    assert posterior.pair.likelihood.noise.item() == pytest.approx(0.7)
    assert "likelihood.noise_unconstrained" not in dict(posterior.pair.named_parameters())


def test_restarts_begin_at_other_weights_and_the_seed_fixes_them():
    x = wine()
    pair = zoo.create("vae", x, latents=2, hidden=[4], likelihood="gaussian")
    both = [inference.svi(pair, x, steps=50, restarts=3, seed=5, device="cpu", compile=False) for _ in range(2)]
    losses = both[0].how["restarts"]
    assert len(set(losses)) == 3
    assert both[1].how["restarts"] == losses
    assert both[0].stats["loss"][-50:].mean() == pytest.approx(min(losses))


def test_rows_that_are_streamed_are_fitted(tmp_path):
    np.save(tmp_path / "x.npy", wine().numpy())
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    pair = zoo.create("vae", wine(), latents=2, likelihood="gaussian")
    posterior = inference.svi(pair, mapped, batch=32, steps=60, device="cpu", compile=False)
    assert posterior.table is None
    assert posterior.score(wine()).isfinite().all()
    assert [f.name for f in inference.diagnose(posterior).findings] == ["loss", "predictive checks"]
    assert inference.load(posterior.save(tmp_path / "saved")).generate(3).shape == (3, 13)


ROWS = np.array([[0.0, 1.0, 0.5], [1.0, 0.0, 0.2]])
REFUSED = {
    "outside": (np.array([[0, 12, 1], [1, 0, 1]]), {}, ["column '1'", "row 0", "12 is not between 0 and 1", "divide", "gaussian"]),
    "no category": (np.array([[0, 1, 1], [1, 0.5, 1]]), {"likelihood": "categorical", "categories": 2}, ["column '1'", "row 1", "0.5"]),
    "no latents": (ROWS, {"latents": 0}, ["latents=0", "greater than 0"]),
    "more latents than pixels": (ROWS, {"latents": 4}, ["latents=4", "3 columns"]),
    "row of nothing": (np.array([[0, 1, 1], [np.nan] * 3]), {}, ["row 1", "no value"]),
    "column of nothing": (np.array([[0, np.nan, 1], [1, np.nan, 0]]), {}, ["column '1'", "no value"]),
    "one row": (ROWS[:1], {}, ["1 row cannot", "in common"]),
    "layer of nothing": (ROWS, {"hidden": [0]}, ["hidden=[0]", "greater than 0"]),
    "unknown likelihood": (ROWS, {"likelihood": "poisson"}, ["likelihood='poisson'", "bernoulli"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_it_cannot_read_is_refused(case):
    x, given, parts = REFUSED[case]
    with pytest.raises(ValueError) as caught:
        zoo.create("vae", x, **given)
    assert [part for part in parts if part not in str(caught.value)] == []


def test_mcmc_is_refused_and_the_card_says_why():
    with pytest.raises(TypeError, match="VariationalAutoencoder: mcmc does not suit it: the weights.*use svi"):
        inference.mcmc(zoo.create("vae", ROWS), ROWS)
    card = zoo.card("vae")
    assert "inference.svi(pair, x)" in card
    assert "Not suited to mcmc: the weights" in card
    assert "inference.mcmc(pair, x)" in zoo.card("gmm")


def test_sizes_are_read_off_the_rows():
    pair = zoo.create("vae", np.array([[0.0, 1.0, np.nan], [1.0, 0.0, 1.0]]), hidden=[7, 5])
    assert pair.hyperparameters["dim"] == 3
    assert pair.mask
    assert [tuple(layer.weight.shape) for layer in pair.decoder[::2]] == [(7, 2), (5, 7), (3, 5)]
    assert [tuple(layer.weight.shape) for layer in pair.q_encoder[::2]] == [(5, 6), (7, 5), (4, 7)]
    assert not zoo.create("vae", as_table(wine()), likelihood="gaussian").mask
