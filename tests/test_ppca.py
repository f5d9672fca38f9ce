"""PPCA and factor analysis, against closed forms and published figures."""

import numpy as np
import pytest
import scipy.stats as st
import torch
from sklearn import decomposition
from sklearn.datasets import load_iris

import inference
import zoo
from inference.missing import known_missing
from zoo.distributions.low_rank import LowRankGaussian

IRIS = load_iris().data
FLAT = {"loc_scale": 1e4, "loading_scale": 1e4, "noise_scale": 1e4}


def gaussian(dim: int = 5, factors: int = 2) -> LowRankGaussian:
    torch.manual_seed(0)
    return LowRankGaussian(torch.randn(dim), torch.randn(dim, factors), 0.3 + torch.rand(dim))


def dense(law: LowRankGaussian) -> tuple[np.ndarray, np.ndarray]:
    return law.loc.numpy(), (law.loadings @ law.loadings.mT + law.noise.square().diag()).numpy()


def rows_with_holes(law: LowRankGaussian, count: int = 8) -> torch.Tensor:
    x = law.sample((count,))
    x[1, 0], x[2, 1:4], x[3] = torch.nan, torch.nan, torch.nan
    return x


@pytest.mark.parametrize(("factors", "published"), [(1, -470.6695), (2, -404.9628), (3, -379.9146)])
def test_the_likeliest_ppca_of_iris_is_tipping_and_bishops(factors, published):
    point = inference.svi(zoo.create("ppca", IRIS, factors=factors, **FLAT), IRIS, guide="map")
    assert point.log_likelihood(IRIS).sum().item() == pytest.approx(published, abs=0.01)
    assert point.log_likelihood(IRIS).sum().item() == pytest.approx(decomposition.PCA(factors).fit(IRIS).score(IRIS) * 150, abs=0.01)


def test_the_likeliest_factor_analysis_is_scikit_learns():
    point = inference.svi(zoo.create("fa", IRIS, factors=1, **FLAT), IRIS, guide="map")
    theirs = decomposition.FactorAnalysis(1, tol=1e-4, max_iter=10_000).fit(IRIS).score(IRIS)
    assert point.log_likelihood(IRIS).sum().item() / 150 == pytest.approx(theirs, abs=0.01)


def test_density_is_that_of_the_dense_covariance():
    law = gaussian()
    mean, covariance = dense(law)
    x = rows_with_holes(law)
    for row, log in zip(x.numpy(), law.expand((len(x),)).log_prob(x), strict=True):
        seen = ~np.isnan(row)
        truth = st.multivariate_normal(mean[seen], covariance[np.ix_(seen, seen)]).logpdf(row[seen]) if seen.any() else 0.0
        assert log.item() == pytest.approx(truth, abs=1e-10)
    complete = law.sample((6,))
    with known_missing(True):
        careful = law.log_prob(complete)
    torch.testing.assert_close(law.log_prob(complete), careful, rtol=1e-12, atol=1e-12)


def test_latents_given_a_row_are_regressed_on_what_is_seen_of_it():
    law = gaussian()
    mean, covariance = dense(law)
    x, w = rows_with_holes(law), law.loadings.numpy()
    found = law.latents(x)["z"]
    for i, row in enumerate(x.numpy()):
        seen = ~np.isnan(row)
        gain = w[seen].T @ np.linalg.inv(covariance[np.ix_(seen, seen)])
        np.testing.assert_allclose(found.mean[i], gain @ (row - mean)[seen], atol=1e-10)
        np.testing.assert_allclose(found.covariance_matrix[i], np.eye(2) - gain @ w[seen], atol=1e-10)
    np.testing.assert_allclose(law.reconstruct(x), mean + found.mean.numpy() @ w.T, atol=1e-10)


def test_holes_are_filled_from_their_conditional():
    law = gaussian()
    mean, covariance = dense(law)
    row = rows_with_holes(law)[2]
    drawn = law.fill(row.expand(20_000, -1)).numpy()
    seen = ~np.isnan(row.numpy())
    assert (drawn[:, seen] == row.numpy()[seen]).all()
    gain = covariance[np.ix_(~seen, seen)] @ np.linalg.inv(covariance[np.ix_(seen, seen)])
    left = covariance[np.ix_(~seen, ~seen)] - gain @ covariance[np.ix_(seen, ~seen)]
    error = drawn[:, ~seen].mean(0) - (mean[~seen] + gain @ (row.numpy() - mean)[seen])
    assert (np.abs(error) < 4 * np.sqrt(np.diag(left) / len(drawn))).all()
    np.testing.assert_allclose(np.cov(drawn[:, ~seen].T), left, atol=0.05)


def test_relevance_turns_off_what_the_data_do_not_need():
    torch.manual_seed(1)
    loadings = 2 * torch.randn(8, 2)
    x = LowRankGaussian(torch.zeros(8), loadings, torch.tensor(0.5)).sample((300,))
    posterior = inference.svi(zoo.create("ppca", x, factors=4, ard=True), x, particles=4)
    variances = posterior.mean("variances")
    # The variance of 300 numbers is known within a few times sqrt(2 / 300).
    np.testing.assert_allclose(variances[:2], torch.linalg.eigvalsh(loadings.mT @ loadings).flip(0), rtol=0.3)
    assert (variances[2:] < 0.1).all()  # of noise that has 0.25
    relevance = posterior.mean("relevance")
    assert (relevance[2:] > 5 * relevance[:2].max()).all()


def test_chains_whose_factors_are_turned_agree_once_aligned():
    pair = zoo.create("ppca", IRIS, factors=2)
    posterior = inference.mcmc(pair, IRIS, kernel="hmc", warmup=100, draws=100, seed=1)
    table = inference.diagnose(posterior).table
    own = [label for label in table.index if label.startswith("loadings")]
    assert (table["rhat"] < 1.05).all()
    assert table["rhat_raw"][own].max() > table["rhat"][own].max() + 0.02
    # The variances along the axes do not depend on the prior much: those of the closed form.
    eigenvalues = np.linalg.eigvalsh(np.cov(IRIS.T, bias=True))[::-1]
    found, error = posterior.mean("variances"), posterior.draws["variances"].std((0, 1)).numpy()
    assert (np.abs(found - (eigenvalues[:2] - eigenvalues[2:].mean())) < error).all()
    # And of a guide that turns its draws too.
    guide = inference.svi(pair, IRIS, seed=1, device="cpu", compile=False)
    between = inference.agreement(guide, posterior)
    assert (between["apart"].abs() < 0.2 + 3 * between["error"]).all(), str(between)
    assert between["wider"].between(0.75, 1.33).all(), str(between)
    mean, sd = posterior.encode(IRIS)
    assert mean.shape == sd.shape == (150, 2)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"factors": 4}, "factors=4 must be fewer than the 4 columns"),
        ({"factors": 0}, "greater than 0"),
        ({"spread": [1.0, 2.0]}, "2 numbers and there are 4 columns"),
    ],
)
def test_sizes_that_cannot_be_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        zoo.create("ppca", IRIS, **settings)
