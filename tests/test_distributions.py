"""Distributions, supports and the flat vector against scipy, automatic Jacobians and closed-form conditionals."""

import itertools

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal, wishart
from torch.distributions import biject_to

from inference.graphs.unconstrained import Flat
from inference.missing import known_missing
from inference.program import Program
from inference.supports import VectorToCholesky, cholesky
from tests.oracles import gmm as oracle
from zoo.distributions.gaussian import DiagonalGaussian, Gaussian
from zoo.distributions.wishart import WishartTril
from zoo.gmm import GaussianMixture


def _tril(dim: int) -> torch.Tensor:
    return torch.randn(dim, dim).tril(-1) + torch.diag(torch.rand(dim) + 0.5)


def _covariance(tril: torch.Tensor) -> np.ndarray:
    return np.linalg.inv((tril @ tril.mT).numpy())


def _every_pattern(dim: int) -> torch.Tensor:
    """(2^dim, dim) rows, each with another set of holes."""
    holes = torch.tensor(list(itertools.product([False, True], repeat=dim)))
    return torch.where(holes, torch.nan, torch.randn(holes.shape))


@pytest.mark.parametrize("dim", [1, 2, 4])
def test_wishart_density_is_scipys_with_the_jacobian(dim):
    scale, tril, df = _tril(dim), _tril(dim), torch.tensor(dim + 0.7)
    lower = torch.tril_indices(dim, dim)

    def product(entries):
        matrix = torch.zeros(dim, dim).index_put((lower[0], lower[1]), entries)
        return (matrix @ matrix.mT)[lower[0], lower[1]]

    jacobian = torch.autograd.functional.jacobian(product, tril[lower[0], lower[1]])
    truth = wishart.logpdf((tril @ tril.mT).numpy(), df.item(), (scale @ scale.mT).numpy()) + torch.linalg.slogdet(jacobian)[1].item()
    assert WishartTril(df, scale).log_prob(tril).item() == pytest.approx(truth, rel=1e-10)


def test_wishart_draws_have_its_moments():
    scale, df, count = _tril(3), 4.5, 100_000
    trils = WishartTril(torch.tensor(df), scale).sample((count,))
    products = trils @ trils.mT
    square = scale @ scale.mT
    variance = df * (square.square() + square.diagonal()[:, None] * square.diagonal())
    assert trils.triu(1).abs().max() == 0
    assert trils.diagonal(dim1=-2, dim2=-1).min() > 0
    assert ((products.mean(0) - df * square).abs() < 5 * (variance / count).sqrt()).all()
    torch.testing.assert_close(products.var(0), variance, rtol=0.06, atol=0)


def test_wishart_in_a_batch_is_each_by_itself():
    dfs = torch.tensor([2.0, 3.0, 5.5])
    scale, trils = (torch.stack([_tril(2) for _ in range(3)]) for _ in range(2))
    each = [WishartTril(df, s).log_prob(t) for df, s, t in zip(dfs, scale, trils, strict=True)]
    torch.testing.assert_close(WishartTril(dfs, scale).log_prob(trils), torch.stack(each))
    expanded = WishartTril(dfs[0], scale[0]).expand((3,))
    assert expanded.sample().shape == (3, 2, 2)
    torch.testing.assert_close(expanded.log_prob(trils[:1].expand(3, 2, 2)), WishartTril(dfs[0], scale[0]).log_prob(trils[0]).expand(3))


@pytest.mark.parametrize("full", [True, False])
def test_gaussian_density_is_scipys_for_every_pattern_of_holes(full):
    x, loc, tril = _every_pattern(3), torch.randn(3), _tril(3)
    scale = torch.rand(3) + 0.5
    gaussian = Gaussian(loc, tril, holes=True) if full else DiagonalGaussian(loc, scale)
    covariance = _covariance(tril) if full else np.diag(scale.numpy() ** 2)
    truth = [oracle.log_normal(row, loc.numpy(), covariance) for row in x.numpy()]
    np.testing.assert_allclose(gaussian.log_prob(x).numpy(), truth, rtol=1e-10, atol=1e-12)


def test_complete_rows_take_either_way_to_the_same_density():
    x, loc, tril = torch.randn(6, 4), torch.randn(4), _tril(4)
    truth = multivariate_normal.logpdf(x.numpy(), loc.numpy(), _covariance(tril))
    np.testing.assert_allclose(Gaussian(loc, tril).log_prob(x).numpy(), truth, rtol=1e-10)
    with known_missing(True):
        np.testing.assert_allclose(Gaussian(loc, tril, holes=True).log_prob(x).numpy(), truth, rtol=1e-10)


@pytest.mark.parametrize("full", [True, False])
def test_gradients_are_finite_and_right_with_holes(full):
    x, loc, tril, scale = _every_pattern(3), torch.randn(3), _tril(3), torch.rand(3) + 0.5

    def density(loc, shape):
        return (Gaussian(loc, shape.tril(), holes=True) if full else DiagonalGaussian(loc, shape)).log_prob(x)

    leaves = loc.requires_grad_(), (tril if full else scale).requires_grad_()
    grads = torch.autograd.grad(density(*leaves).sum(), leaves)
    assert all(g.isfinite().all() and g.abs().max() > 0 for g in grads)
    assert torch.autograd.gradcheck(density, leaves)


def test_a_singular_covariance_is_no_density_and_no_crash():
    tril = torch.eye(3)
    tril[1, 0] = -1e9
    x = torch.tensor([[0.1, 0.2, torch.nan], [0.1, torch.nan, 0.3]])
    logs = Gaussian(torch.zeros(3), tril, holes=True).log_prob(x)
    assert not logs[0].isfinite()
    assert logs[1].isfinite()


def test_gaussian_draws_have_its_moments():
    loc, tril, count = torch.randn(3), _tril(3), 100_000
    draws = Gaussian(loc, tril).sample((count,))
    covariance = torch.as_tensor(_covariance(tril))
    assert ((draws.mean(0) - loc).abs() < 5 * (covariance.diagonal() / count).sqrt()).all()
    torch.testing.assert_close(draws.mT.cov(), covariance, rtol=0.05, atol=0.02 * covariance.abs().max().item())


@pytest.mark.parametrize("full", [True, False])
def test_fill_draws_from_the_exact_conditional(full):
    loc, tril, scale, count = torch.randn(3), _tril(3), torch.rand(3) + 0.5, 50_000
    covariance = _covariance(tril) if full else np.diag(scale.numpy() ** 2)
    for row in _every_pattern(3)[1:]:
        hole = row.isnan()
        rows = row.expand(count, 3)
        made = Gaussian(loc.expand(count, 3), tril, holes=True) if full else DiagonalGaussian(loc.expand(count, 3), scale)
        filled = made.fill(rows)
        mean, spread = (torch.as_tensor(v) for v in oracle.exact_conditional(row.numpy(), loc.numpy(), covariance))
        assert torch.equal(filled[:, ~hole], rows[:, ~hole])
        assert ((filled[:, hole].mean(0) - mean).abs() < 5 * (spread.diagonal() / count).sqrt()).all()
        found = filled[:, hole].mT.cov().reshape(spread.shape)
        error = ((spread.square() + spread.diagonal()[:, None] * spread.diagonal()) / count).sqrt()
        assert ((found - spread).abs() < 5 * error).all()


@pytest.mark.parametrize("dim", [1, 2, 4])
def test_the_bijection_to_cholesky_factors(dim):
    bijection, vector = VectorToCholesky(), torch.randn(dim * (dim + 1) // 2)
    matrix = bijection(vector)
    assert cholesky.check(matrix)
    assert matrix.shape == bijection.forward_shape(vector.shape)
    assert vector.shape == bijection.inverse_shape(matrix.shape)
    torch.testing.assert_close(bijection.inv(matrix), vector)
    lower = torch.tril_indices(dim, dim)
    jacobian = torch.autograd.functional.jacobian(lambda v: bijection(v)[lower[0], lower[1]], vector)
    torch.testing.assert_close(bijection.log_abs_det_jacobian(vector, matrix), torch.linalg.slogdet(jacobian)[1])
    assert biject_to(cholesky) == bijection


def test_the_bijection_of_a_batch_is_each_by_itself():
    vectors = torch.randn(4, 5, 6)
    matrices = VectorToCholesky()(vectors)
    assert matrices.shape == (4, 5, 3, 3)
    torch.testing.assert_close(matrices[2, 3], VectorToCholesky()(vectors[2, 3]))
    torch.testing.assert_close(VectorToCholesky().inv(matrices), vectors)


@pytest.mark.parametrize("covariance", ["full", "tied", "diag", "spherical"])
def test_a_flat_vector_there_and_back(covariance):
    flat = Flat(Program(GaussianMixture(3, 2, covariance=covariance), torch.randn(5, 2)).parameters)
    vector = torch.randn(flat.size)
    values, log_jacobian = flat.constrain_with_jacobian(vector)
    torch.testing.assert_close(flat.flatten(values), vector)
    assert all(torch.equal(v, flat.constrain(vector)[n]) for n, v in values.items())
    assert values["weights"].sum().item() == pytest.approx(1)
    # The simplex has one entry fewer than its vector shows, and a Cholesky factor zeros: leave out what is not free.
    jacobian = torch.autograd.functional.jacobian(lambda v: _free(flat.constrain(v)), vector)
    torch.testing.assert_close(log_jacobian, torch.linalg.slogdet(jacobian)[1])


def _free(values):
    parts = []
    for name, value in values.items():
        if name == "weights":
            value = value[:-1]
        if name == "precision_trils":
            rows, columns = torch.tril_indices(*value.shape[-2:])
            value = value[..., rows, columns]
        parts.append(value.reshape(-1))
    return torch.cat(parts)
