"""The operator under linear Gaussian state space models, against one dense Gaussian."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.stats import multivariate_normal
from torch import Tensor
from torch.func import grad_and_value, vmap

import zoo
from inference.graphs.graph import traced
from zoo.series import kalman, over_series

SERIES, STEPS, STATES, COLUMNS = 3, 6, 3, 2
SIZES = [(STATES,), (STATES, STATES), (STATES,), (COLUMNS, STATES), (COLUMNS,), (SERIES, STEPS, COLUMNS)]


def _models(*batch: int) -> tuple[Tensor, ...]:
    """Free arguments: turned into variances where they are such by `_positive`."""
    return tuple(0.6 * torch.randn(*batch, *size) for size in SIZES)


def _positive(start: Tensor, transition: Tensor, drift: Tensor, loadings: Tensor, noise: Tensor, x: Tensor) -> tuple[Tensor, ...]:
    return start.exp(), transition, drift.exp(), loadings, noise.exp(), x


def _holes(x: Tensor) -> Tensor:
    """A gap, a number missing by itself, a beginning that was not seen, and a series cut short."""
    holes = torch.zeros(SERIES, STEPS, COLUMNS)
    holes[0, 2], holes[0, 4, 1], holes[1, :2], holes[2, 3:] = torch.nan, torch.nan, torch.nan, torch.nan
    return x + holes


def _moments(start: Tensor, transition: Tensor, drift: Tensor, loadings: Tensor, noise: Tensor) -> tuple[np.ndarray, ...]:
    """Dense covariances: of all states (T K), of states with numbers (T K, T D), of all numbers (T D)."""
    steps = [start.diag()]
    for _ in range(STEPS - 1):
        steps.append(transition @ steps[-1] @ transition.mT + drift.diag())
    states = torch.zeros(STEPS, STATES, STEPS, STATES)
    for t in range(STEPS):
        for later in range(t, STEPS):
            states[later, :, t] = torch.linalg.matrix_power(transition, later - t) @ steps[t]
            states[t, :, later] = states[later, :, t].mT
    across = torch.einsum("tkul,dl->tkud", states, loadings)
    numbers = torch.einsum("dk,tkue->tdue", loadings, across) + torch.einsum("tu,de->tdue", torch.eye(STEPS), noise.diag())
    return tuple(c.reshape(c.shape[0] * c.shape[1], -1).numpy() for c in (states, across, numbers))


def _conditional(moments: tuple[np.ndarray, ...], series: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """Log evidence, and means and variances of the states (T, K) given what is seen of a series (T, D)."""
    states, across, numbers = moments
    seen = ~np.isnan(series.ravel())
    if not seen.any():
        return 0.0, np.zeros((len(series), STATES)), np.diag(states).reshape(len(series), -1)
    covariance, values = numbers[np.ix_(seen, seen)], series.ravel()[seen]
    weights = np.linalg.solve(covariance, across[:, seen].T).T
    variances = np.diag(states - weights @ across[:, seen].T)
    logs = multivariate_normal(np.zeros(len(values)), covariance).logpdf(values)
    return logs, (weights @ values).reshape(len(series), -1), variances.reshape(len(series), -1)


def test_evidence_smoothing_and_filter_are_those_of_one_dense_gaussian():
    *model, x = _positive(*_models())
    x = _holes(x)
    evidence, (means, variances) = kalman.log_evidence(*model, x), kalman.smoothed(*model, x)
    filtered, spreads, increments = kalman.filtered(*model, x)
    moments = _moments(*model)
    for n, series in enumerate(x.numpy()):
        logs, mean, variance = _conditional(moments, series)
        assert evidence[n].item() == pytest.approx(logs, abs=1e-10)
        np.testing.assert_allclose(means[n], mean, atol=1e-10)
        np.testing.assert_allclose(variances[n], variance, atol=1e-10)
        so_far = [_conditional(moments, np.where(np.arange(STEPS)[:, None] <= t, series, np.nan)) for t in range(STEPS)]
        np.testing.assert_allclose(increments[n], np.diff([logs for logs, _, _ in so_far], prepend=0.0), atol=1e-10)
        np.testing.assert_allclose(filtered[n], [mean[t] for t, (_, mean, _) in enumerate(so_far)], atol=1e-10)
        np.testing.assert_allclose(spreads[n], [variance[t] for t, (_, _, variance) in enumerate(so_far)], atol=1e-10)


def _objective(*free: Tensor) -> Tensor:
    """Of one model and several series with holes."""
    return kalman.log_evidence(*_positive(*free[:-1], _holes(free[-1]))).square().sum()


def test_gradient_under_vmap_is_that_of_finite_differences():
    given = _models(2)
    grads, _ = vmap(grad_and_value(_objective, argnums=tuple(range(6))))(*given)
    for i, grad in enumerate(grads):
        for entry in range(grad[0].numel()):
            step = torch.zeros_like(grad[0]).view(-1).index_fill(0, torch.tensor(entry), 1e-5).view_as(grad[0])
            up, down = (vmap(_objective)(*given[:i], given[i] + s, *given[i + 1 :]) for s in (step, -step))
            torch.testing.assert_close(grad.flatten(1)[:, entry], (up - down) / 2e-5, rtol=1e-6, atol=1e-5)


def test_gradient_is_right_outside_of_functorch_too():
    assert torch.autograd.gradcheck(kalman.log_evidence, tuple(t.requires_grad_() for t in (t.detach() for t in _positive(*_models()))))


def test_it_is_one_node_of_a_traced_graph():
    given, function = _models(2), vmap(grad_and_value(_objective, argnums=tuple(range(6))))
    graph = traced(function, *given, missing=True)
    assert graph._run.__self__.code.count("kalman_evidence.default") == 1
    torch.testing.assert_close(graph(*given), function(*given))


def test_the_operators_are_declared_as_torch_wants_them():
    torch.library.opcheck(kalman._evidence, (*kalman.together(kalman.DIMS, *_positive(*_models())), True))


def test_single_precision_is_near_double_precision_and_threads_change_nothing(monkeypatch):
    given = kalman.together(kalman.DIMS, *_positive(*_models()))
    doubles = kalman._evidence(*given, True)
    for single, double in zip(kalman._evidence(*(t.float() for t in given), True), doubles, strict=True):
        torch.testing.assert_close(single.double(), double, rtol=1e-4, atol=1e-4)
    monkeypatch.setattr(over_series, "SHARE", 1)
    torch.set_num_threads(2)
    assert all(map(torch.equal, kalman._evidence(*given, True), doubles))
    torch.set_num_threads(1)


def test_states_follow_their_transition():
    transition, shocks = torch.randn(2, STATES, STATES), torch.randn(5, 2, STEPS, STATES)
    states = vmap(kalman.follow, in_dims=(None, 0))(transition, shocks)
    torch.testing.assert_close(states[:, :, 0], shocks[:, :, 0])
    stepped = torch.einsum("nij,bntj->bnti", transition, states[:, :, :-1])
    torch.testing.assert_close(states[:, :, 1:], stepped + shocks[:, :, 1:])


def test_a_long_series_keeps_its_precision():
    # States that do not last: every number is on its own.
    steps = 300_000
    x = torch.linspace(-2, 2, steps)[None, :, None]
    found = kalman.log_evidence(torch.tensor([0.7]), torch.zeros(1, 1), torch.tensor([0.7]), torch.ones(1, 1), torch.tensor([0.3]), x)
    assert found.item() == pytest.approx(torch.distributions.Normal(0.0, 1.0).log_prob(x).sum().item(), rel=1e-13)


def test_the_niles_local_level_has_its_published_maximum():
    # Durbin & Koopman 2012, section 2.10: variances 15099 of the noise and 1469.1 of the level. The log likelihoods there, of a start
    # that is diffuse, or nearly, are those of the R package KFAS.
    x = zoo.data.load("nile").x.double()[..., None]

    def log_likelihood(noise: Tensor, level: Tensor, start: float) -> Tensor:
        return kalman.log_evidence(torch.tensor([start]), torch.eye(1), level[None], torch.eye(1), noise[None], x).sum()

    def loss(logs: np.ndarray) -> tuple[float, np.ndarray]:
        free = torch.tensor(logs, requires_grad=True)
        minus = -log_likelihood(*free.exp(), start=1e11)
        minus.backward()
        return minus.item(), free.grad.numpy()

    found = minimize(loss, np.log([10_000.0, 1_000.0]), jac=True, method="BFGS", options={"gtol": 1e-6})
    best = torch.tensor(np.exp(found.x))
    np.testing.assert_allclose(best, [15098.53, 1469.18], rtol=1e-5)
    assert log_likelihood(*best, start=1e11).item() + 0.5 * np.log(2 * np.pi * 1e11) == pytest.approx(-632.5456, abs=1e-4)
    assert log_likelihood(*best, start=1e7).item() == pytest.approx(-641.5856, abs=1e-4)
