"""The deep Markov model: its linear case against the exact Gaussian one, and what no linear model sees."""

import functools

import numpy as np
import pytest
import torch
from torch import Tensor

import inference
import zoo
from tests.oracles import dmm as oracle

LINEAR = {"states": 2, "hidden": [], "memory": 8}


@functools.cache
def turning(holes: bool = False) -> Tensor:
    """Forty series of two columns that show a state that turns and fades; some with gaps and an early end if `holes`."""
    rng = np.random.default_rng(0)
    turn = 0.95 * np.array([[np.cos(0.6), -np.sin(0.6)], [np.sin(0.6), np.cos(0.6)]])
    z, x = rng.normal(size=(40, 2)), []
    for _ in range(15):
        x.append(z @ np.array([[1.0, 0.5], [-0.4, 1.2]]) + 0.5 * rng.normal(size=(40, 2)) + 1.0)
        z = z @ turn.T + 0.4 * rng.normal(size=(40, 2))
    x = np.stack(x, 1)
    if holes:
        x[::4, 6:9], x[1::4, 11:], x[2::4, 3, 0] = np.nan, np.nan, np.nan
    return torch.as_tensor(x)


@functools.cache
def linear(holes: bool = False) -> inference.Posterior:
    x = turning(holes)
    return inference.svi(zoo.create("dmm", x, **LINEAR), x, steps=1500, lr=0.02, seed=1, device="cpu", compile=False)


def elbo(posterior: inference.Posterior, x: Tensor) -> Tensor:
    """(20,) the ELBO of all series, by single draws."""
    return torch.stack([posterior.score(x, samples=1, seed=seed).sum() for seed in range(20)])


@pytest.mark.parametrize("holes", [False, True])
def test_the_linear_one_comes_near_the_exact_evidence_and_does_not_pass_it(holes):
    x, posterior = turning(holes), linear(holes)
    evidence, found = oracle.log_evidence(posterior.pair, x), elbo(posterior, x)
    assert found.mean() < evidence + 4 * found.std() / 20**0.5
    assert found.mean() > evidence - 40 * (0.2 if holes else 0.1)  # nats a series of 15 steps
    assert posterior.score(x, samples=300).sum().item() == pytest.approx(evidence, abs=0.5)
    # And it is as good a model as the one that is known: no worse than what maximum likelihood makes of a vector autoregression.
    assert evidence > -2.6 * float((~x.isnan()).sum()) / 2


def exact(x: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Means and covariance of the states (T K) of the linear one given a series (T, D)."""
    return oracle.conditional(linear(bool(x.isnan().any())).pair, x.numpy())
