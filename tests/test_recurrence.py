"""The linear recurrence of series, and the Gaussian chains that are drawn by it."""

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from torch import Tensor
from torch.func import grad, vmap

from inference.graphs.graph import traced
from zoo.series.gaussian_chain import GaussianChain
from zoo.series.recurrence import follow, scan

STEPS = 7


def one_by_one(gates: Tensor, inputs: Tensor, backwards: bool = False) -> Tensor:
    """Slow and obvious."""
    order = range(STEPS)[:: -1 if backwards else 1]
    found, state = {}, torch.zeros_like(inputs[..., 0, :])
    for t in order:
        found[t] = state = gates[..., t, :] * state + inputs[..., t, :]
    return torch.stack([found[t] for t in range(STEPS)], -2)


def weighed(function, gates: Tensor, inputs: Tensor, backwards: bool) -> Tensor:
    states = function(gates, inputs, backwards)
    return (states.square() * torch.linspace(1, 2, states.numel()).reshape(states.shape)).sum()


@pytest.mark.parametrize("backwards", [False, True])
def test_the_recurrence_and_its_gradient_are_those_of_a_loop(backwards):
    gates, inputs = torch.randn(2, 3, 4, STEPS, 2)
    torch.testing.assert_close(follow(gates, inputs, backwards), one_by_one(gates, inputs, backwards))
    ours, truth = (grad(lambda *given, f=f: weighed(f, *given, backwards), (0, 1))(gates, inputs) for f in (follow, one_by_one))
    torch.testing.assert_close(ours, truth)
    # In a batch of which one argument is shared, as in a graph of fits.
    batch = vmap(grad(lambda g, u: weighed(follow, g, u, backwards), (0, 1)), (0, None))
    graph = traced(batch, gates, inputs[0], missing=False)
    assert not graph.interpreted
    for row, shared in enumerate(zip(*graph(gates, inputs[0]), strict=True)):
        torch.testing.assert_close(shared, grad(lambda *given: weighed(one_by_one, *given, backwards), (0, 1))(gates[row], inputs[0]))


@pytest.mark.parametrize("steps", [1, 2, STEPS, 16])
def test_the_scan_of_other_devices_is_the_loop(steps):
    gates, inputs = torch.randn(2, 3, steps, 2)
    torch.testing.assert_close(scan(gates, inputs), follow(gates, inputs))


def chain() -> GaussianChain:
    """Two series, of which the second ends early."""
    torch.manual_seed(1)
    gates, shifts, scales = torch.rand(3, 2, STEPS, 2) + 0.1
    going_on = torch.arange(STEPS) < torch.tensor([[STEPS], [4]])
    return GaussianChain(gates, shifts, scales, torch.tensor([[1.0, 0.5], [-0.3, 2.0]]), going_on)


def dense(law: GaussianChain, row: int) -> tuple[np.ndarray, np.ndarray]:
    """The mean and the covariance of all numbers of a path, (T K,), step by step."""
    axes = law.axes.numpy()
    means, covariance = np.zeros((STEPS, 2)), np.zeros((STEPS, STEPS, 2, 2))
    for t in range(STEPS):
        going_on = bool(law.going_on[row, t])
        turned = axes if going_on else np.eye(2)
        keeps = axes @ np.diag(law.gates[row, t].numpy()) @ np.linalg.inv(axes)
        means[t] = keeps @ means[t - 1] * (t > 0) + turned @ law.shifts[row, t].numpy()
        for s in range(t):
            covariance[t, s] = keeps @ covariance[t - 1, s]
            covariance[s, t] = covariance[t, s].T
        own = turned @ np.diag(law.scales[row, t].numpy() ** 2) @ turned.T
        covariance[t, t] = keeps @ covariance[t - 1, t - 1] @ keeps.T * (t > 0) + own
    return means.ravel(), covariance.transpose(0, 2, 1, 3).reshape(2 * STEPS, 2 * STEPS)


def test_a_chain_is_one_gaussian_vector():
    law, value = chain(), torch.randn(2, STEPS, 2)
    draws = law.rsample((20_000,))
    for row in range(2):
        mean, covariance = dense(law, row)
        assert law.log_prob(value)[row].item() == pytest.approx(multivariate_normal.logpdf(value[row].flatten(), mean, covariance))
        np.testing.assert_allclose(law.mean[row].flatten(), mean, atol=1e-12)
        np.testing.assert_allclose(law.variance[row].flatten(), np.diag(covariance), atol=1e-12)
        sds = np.sqrt(np.diag(covariance))
        np.testing.assert_allclose((draws[:, row].flatten(1).mean(0).numpy() - mean) / sds, 0, atol=5 * 20_000**-0.5)
        found = np.cov(draws[:, row].flatten(1).numpy().T)
        np.testing.assert_allclose((found - covariance) / np.outer(sds, sds), 0, atol=8 * 20_000**-0.5)


def test_after_the_end_of_a_series_a_chain_is_standard_normal():
    law = chain()
    assert law.mean[1, 4:].eq(0).all()
    assert law.variance[1, 4:].eq(1).all()
