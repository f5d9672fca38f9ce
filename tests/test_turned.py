"""The law of matrices turned by any rotation, and the guide of factors that it makes."""

import functools
import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris
from torch import Tensor

import inference
import zoo
from inference.diagnostics.khat import gap, khat
from zoo.distributions.turned import Turned, log_volume, uniform_rotation

IRIS = load_iris().data


def law(rows: int = 4, factors: int = 2) -> Turned:
    torch.manual_seed(1)
    spread = 0.2 + 0.2 * torch.rand(factors, factors)
    return Turned(0.5 + torch.rand(rows), torch.randn(rows, factors), 0.3 * torch.randn(factors), spread, 0.2 + 0.2 * torch.rand(factors))


@pytest.mark.parametrize(("rows", "factors"), [(3, 1), (4, 2), (6, 3), (2, 2)])
def test_the_density_is_that_of_its_parts_by_the_jacobian_of_putting_them_together(rows, factors):
    turned = law(rows, factors)
    below, above = torch.tril_indices(factors, factors), torch.triu_indices(factors, factors, 1)
    complement = torch.linalg.svd(turned.axes)[0][:, factors:]
    start = uniform_rotation(torch.randn(factors, factors))

    def put_together(triangle: Tensor, off: Tensor, angles: Tensor) -> Tensor:
        t = torch.zeros(factors, factors).index_put((below[0], below[1]), triangle)
        skew = torch.zeros(factors, factors).index_put((above[0], above[1]), angles)
        return (turned.unit * ((turned.axes + complement @ off) @ t @ torch.matrix_exp(skew - skew.mT) @ start)).flatten()

    t = torch.diag(0.5 + torch.rand(factors)) + torch.randn(factors, factors).tril(-1)
    off = 0.3 * torch.randn(rows - factors, factors)
    parts = (t[below[0], below[1]], off, torch.zeros(len(above[0])))
    columns = [j.flatten(1) for j in torch.autograd.functional.jacobian(put_together, parts)]
    logs = t.diagonal().log()
    by_parts = torch.distributions.Normal(turned.lengths, turned.spread.diagonal()).log_prob(logs).sum() - logs.sum()
    by_parts += sum(torch.distributions.Normal(0.0, turned.spread[i, j]).log_prob(t[i, j]) for i in range(factors) for j in range(i))
    by_parts += torch.distributions.Normal(0.0, turned.off).log_prob(off).sum()
    truth = by_parts - log_volume(factors) - torch.linalg.slogdet(torch.cat(columns, 1)).logabsdet
    found = turned.log_prob(put_together(*parts).reshape(rows, factors))
    torch.testing.assert_close(found, truth, rtol=1e-9, atol=1e-9)


def test_the_density_adds_up_to_one():
    turned = law(2, 2)
    draws = turned.rsample((200_000,))
    # The mean of p(draw) / q(draw) under q is one for every density p; this one lies well within q.
    inside = torch.distributions.Normal(draws[0].flatten(), 0.12).log_prob(draws.flatten(1)).sum(1)
    ratios = (inside - turned.log_prob(draws)).exp()
    error = ratios.std() / len(ratios) ** 0.5
    assert error < 0.05
    assert (ratios.mean() - 1).abs() < 4 * error


def test_no_rotation_is_told_from_another():
    turned, draws = law(5, 3), law(5, 3).rsample((50,))
    rotation = uniform_rotation(torch.randn(50, 3, 3))
    torch.testing.assert_close(turned.log_prob(draws @ rotation), turned.log_prob(draws), rtol=1e-9, atol=1e-9)
    pairs = turned.rsample((20_000,))
    error = pairs.std(0) / len(pairs) ** 0.5
    assert (pairs.mean(0).abs() < 4 * error).all()


def test_its_gradient_is_that_of_its_density():
    turned = law(4, 2)
    assert torch.autograd.gradcheck(turned.log_prob, turned.rsample().detach().requires_grad_())


@pytest.mark.parametrize("size", [1, 2, 3])
def test_the_volume_of_the_rotations_is_that_of_spheres(size):
    spheres = [2 * math.pi ** ((k + 1) / 2) / math.gamma((k + 1) / 2) for k in range(size)]
    assert log_volume(size) == pytest.approx(math.log(np.prod(spheres)))


def test_rotations_are_uniform():
    drawn = uniform_rotation(torch.randn(40_000, 3, 3))
    torch.testing.assert_close(drawn @ drawn.mT, torch.eye(3).expand(40_000, 3, 3), rtol=0, atol=1e-12)
    # Of a uniform rotation, entries and the determinant have mean zero; the squares of entries a third.
    assert (drawn.mean(0).abs() < 4 / (3 * 40_000) ** 0.5).all()
    assert (drawn.square().mean(0) - 1 / 3).abs().max() < 0.01
    assert torch.linalg.det(drawn).mean().abs() < 0.02


@functools.cache
def fitted(name: str, factors: int) -> inference.Posterior:
    return inference.svi(zoo.create(name, IRIS, factors=factors), IRIS, seed=1, device="cpu", compile=False)


@pytest.mark.parametrize(("name", "factors"), [("ppca", 2), ("fa", 1)])
def test_factors_fitted_as_they_come_are_believed(name, factors):
    posterior = fitted(name, factors)
    report = inference.diagnose(posterior)
    assert report.ok, str(report)
    assert khat(posterior) < 0.6
    assert gap(posterior) < 0.3
