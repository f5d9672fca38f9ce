"""The Gaussian mixture against closed forms, Bayes' rule by hand, and published figures."""

import itertools

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import gamma, norm
from torch.func import grad

import inference
import zoo
from inference.graphs.functorch import traceable
from inference.missing import known_missing
from inference.program import Program
from tests.oracles import gmm as oracle

COVARIANCES = ["full", "tied", "diag", "spherical"]


def _one(covariance: str, **more) -> inference.Pair:
    return zoo.create("gmm", components=1, dim=2, covariance=covariance, center=[0.3, -0.4], spread=[1.5, 0.7], shrinkage=0.5, **more)


def _of_draw(pair: inference.Pair, values: dict[str, torch.Tensor], x: torch.Tensor) -> inference.Posterior:
    """A posterior of the single draw `values`."""
    posterior = inference.svi(pair, torch.randn(20, x.shape[1]), steps=1, draws=1, device="cpu")
    return inference.Posterior(pair, {n: v[None, None] for n, v in values.items()}, {}, posterior.how, None)


def _values(covariance: str, dim: int) -> tuple[dict[str, torch.Tensor], np.ndarray]:
    """Two components, and their covariance matrices."""
    values = {"weights": torch.tensor([0.3, 0.7]), "locs": torch.randn(2, dim)}
    if covariance == "diag":
        values["precisions"] = torch.rand(2, dim) + 0.5
        return values, np.stack([np.diag(1 / row) for row in values["precisions"].numpy()])
    values["precision_trils"] = torch.randn(2, dim, dim).tril(-1) + torch.eye(dim)
    return values, np.linalg.inv((values["precision_trils"] @ values["precision_trils"].mT).numpy())


def _location(pair: inference.Pair) -> torch.Tensor:
    """The guide's mean of the only component's location."""
    return (pair.center + pair.spread * pair.q_offsets[0]).detach()


def _every_pattern(dim: int) -> torch.Tensor:
    holes = torch.tensor(list(itertools.product([False, True], repeat=dim)))
    return torch.where(holes, torch.nan, torch.randn(holes.shape))


def test_the_oracles_integral_is_the_one_on_a_grid():
    groups, freedom, rate, shrinkage = [np.array([[0.3], [-0.7]]), np.array([[1.1]])], 2.5, 0.8, 0.6
    precision = np.exp(np.linspace(-9, 6, 801))
    logs = gamma.logpdf(precision, 0.5 * freedom, scale=2 / rate) + np.log(precision) + np.log(15 / 800)
    locs = np.linspace(-60, 60, 4001)
    for rows in groups:
        scale = precision[:, None] ** -0.5
        inner = norm.logpdf(locs, 0, scale / shrinkage**0.5) + sum(norm.logpdf(value, locs, scale) for value in rows[:, 0])
        logs = logs + logsumexp(inner, 1) + np.log(locs[1] - locs[0])
    assert oracle.log_marginal(groups, freedom, np.array([[rate]]), shrinkage) == pytest.approx(logsumexp(logs), abs=1e-6)


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_one_component_has_its_closed_form_posterior(covariance):
    pair, x = _one(covariance), torch.randn(12, 2) @ torch.tensor([[1.0, 0.6], [0.0, 0.8]]) + 1
    posterior = inference.svi(pair, x, steps=600, draws=100, device="cpu")
    truth = oracle.posterior_of_one(pair, x)
    fitted = posterior.pair
    np.testing.assert_allclose(_location(fitted), truth["loc"], atol=2e-4)
    np.testing.assert_allclose(fitted.q_shrinkage[0].item(), truth["shrinkage"], rtol=2e-4)
    if "df" in truth:
        tril = fitted.covariance.q_scale_tril.detach().reshape(2, 2)
        np.testing.assert_allclose(fitted.covariance.q_df.item(), truth["df"], rtol=2e-4)
        np.testing.assert_allclose(tril @ tril.mT, truth["scale"], rtol=1e-3, atol=1e-6)
    else:
        np.testing.assert_allclose(fitted.covariance.q_shape.detach().reshape(truth["shape"].shape), truth["shape"], rtol=2e-4)
        np.testing.assert_allclose(fitted.covariance.q_rate.detach().reshape(truth["rate"].shape), truth["rate"], rtol=2e-4)
    assert -posterior.stats["loss"][-50:].mean().item() == pytest.approx(oracle.log_evidence(pair, x), abs=1e-4)


def test_a_bad_start_finds_the_closed_form_too(monkeypatch):
    pair, x = _one("diag"), torch.randn(12, 2) + 1
    monkeypatch.setattr(type(pair), "start", lambda self, x: None)
    posterior = inference.svi(pair, x, steps=1500, lr=0.1, particles=2, draws=1000, device="cpu")
    truth = oracle.posterior_of_one(pair, x)
    elbo = posterior.stats["lp"] - posterior.stats["log_q"]
    np.testing.assert_allclose(_location(posterior.pair), truth["loc"], atol=0.05)
    assert elbo.mean().item() == pytest.approx(oracle.log_evidence(pair, x), abs=0.1)


@pytest.mark.parametrize("covariance", ["full", "diag"])
def test_rows_with_every_pattern_of_holes(covariance):
    pair, x = zoo.create("gmm", components=2, dim=3, covariance=covariance), _every_pattern(3)
    values, covariances = _values(covariance, 3)
    precisions = np.linalg.inv(covariances)
    truth = [oracle.log_row(values["weights"].numpy(), values["locs"].numpy(), precisions, row) for row in x.numpy()]
    np.testing.assert_allclose(Program(pair, x).log_rows(values, x).numpy(), truth, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("covariance", ["full", "diag"])
def test_encode_is_bayes_rule(covariance):
    pair, x = zoo.create("gmm", components=2, dim=3, covariance=covariance), _every_pattern(3)
    values, covariances = _values(covariance, 3)
    found = _of_draw(pair, values, x).encode(x).numpy()
    first = values["locs"].numpy()[:, 0].argsort()
    truth = [oracle.bayes_rule(values["weights"].numpy(), values["locs"].numpy(), covariances, row)[first] for row in x.numpy()]
    np.testing.assert_allclose(found, truth, rtol=1e-9)


@pytest.mark.parametrize("covariance", ["full", "diag"])
def test_impute_is_the_exact_conditional_of_known_parameters(covariance):
    pair, x = zoo.create("gmm", components=1, dim=3, covariance=covariance), _every_pattern(3)
    values, covariances = _values(covariance, 3)
    count = 20_000
    one = {n: v[:1].expand(1, count, 1, *v.shape[1:]) for n, v in values.items()} | {"weights": torch.ones(1, count, 1)}
    known = _of_draw(pair, {n: v[0, 0] for n, v in one.items()}, x)
    filled = inference.Posterior(pair, one, {}, known.how, None).impute(x)
    for row, mean, sd in zip(x, filled.mean, filled.sd, strict=True):
        hole = row.isnan()
        truth, spread = oracle.exact_conditional(row.numpy(), values["locs"][0].numpy(), covariances[0])
        error = spread.diagonal() ** 0.5 / count**0.5
        assert (np.abs(mean[hole].numpy() - truth) < 5 * error).all()
        assert (np.abs(sd[hole].numpy() - spread.diagonal() ** 0.5) < 5 * error).all()
        assert torch.equal(mean[~hole], row[~hole])
        assert not sd[~hole].any()
    assert torch.equal(known.encode(x), torch.ones(len(x), 1))


@pytest.mark.parametrize(
    ("name", "covariance", "freedom", "figure", "within"),
    [("galaxies", "full", 1e-6, -203.179, 0.002), ("faithful", "tied", 1 + 1e-6, -1126.326, 0.02)],
)
def test_maximum_likelihood_is_that_of_mclust(name, covariance, freedom, figure, within):
    # The figures are those of mclust 6 (models V and EEE, three components). A tied precision keeps a trace of the locations'
    # prior, three rows' worth in 275, which costs 0.008.
    x = zoo.data.load(name).x
    flat = {"component_scale": 1e-4, "shrinkage": 1e-8, "freedom": freedom, "concentration": 1.0}
    pair = zoo.create("gmm", x, components=3, covariance=covariance, **flat)
    posterior = inference.svi(pair, x, guide="map", steps=1000, lr=0.1, restarts=2, device="cpu")
    assert posterior.log_likelihood(x).sum().item() == pytest.approx(figure, abs=within)


def test_a_tiny_weight_counts_as_it_is_in_float32():
    torch.set_default_dtype(torch.float32)
    pair, x = zoo.create("gmm", components=2, dim=1), torch.tensor([[60.0], [0.3]])
    program = Program(pair, x)
    known = {"locs": torch.tensor([[0.0], [60.0]]), "precision_trils": torch.ones(2, 1, 1)}
    weights = torch.tensor([1.0, 1e-12])
    with traceable():
        slope = grad(lambda w: program.log_rows({"weights": w, **known}, x)[0])(weights)
    truth = oracle.log_row(weights.double().numpy(), np.array([[0.0], [60.0]]), np.ones((2, 1, 1)), np.array([60.0]))
    assert program.log_rows({"weights": weights, **known}, x)[0].item() == pytest.approx(truth, rel=1e-5)
    assert slope[1].item() == pytest.approx(1e12, rel=1e-4)


def test_a_singular_covariance_with_holes_has_no_density_and_does_not_crash():
    # A sampler tries such places on its way; they must be a divergence, not the end of the run.
    pair, x = zoo.create("gmm", components=1, dim=3), torch.tensor([[0.1, 0.2, torch.nan]])
    trils = torch.eye(3)[None].clone()
    trils[0, 1, 0] = -1e9
    values = {"weights": torch.ones(1), "locs": torch.zeros(1, 3), "precision_trils": trils}
    program = Program(pair, x)
    with traceable(), known_missing(True):
        assert not program.log_joint(values, x).isfinite()
