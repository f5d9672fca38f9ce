"""The deep Markov model: its linear case against the exact Gaussian one, and what no linear model sees."""

import functools

import numpy as np
import pytest
import torch
from torch import Tensor

import inference
import zoo
from tests.oracles import dmm as oracle

STEPS = 12


@functools.cache
def fading(holes: bool = False) -> Tensor:
    """Sixty series of two columns that show two states, one of which lasts; some with gaps and an early end if `holes`."""
    rng, x = np.random.default_rng(0), []
    z = rng.normal(size=(60, 2))
    for _ in range(STEPS):
        x.append(z @ np.array([[1.0, 0.5], [-0.4, 1.2]]) + 0.5 * rng.normal(size=(60, 2)) + 1.0)
        z = z * [0.95, 0.5] + rng.normal(size=(60, 2)) * [0.3, 0.8]
    x = np.stack(x, 1)
    if holes:
        x[::4, 5:7], x[1::4, 9:], x[2::4, 3, 0] = np.nan, np.nan, np.nan
    return torch.as_tensor(x)


@functools.cache
def linear(holes: bool = False) -> inference.Posterior:
    x = fading(holes)
    pair = zoo.create("dmm", x, states=2, hidden=[], memory=8)
    return inference.svi(pair, x, steps=500, lr=0.03, seed=1, device="cpu", compile=False)


@pytest.mark.parametrize("holes", [False, True])
def test_the_linear_one_comes_near_the_exact_evidence_and_does_not_pass_it(holes):
    x, posterior = fading(holes), linear(holes)
    evidence = oracle.log_evidence(posterior.pair, x)
    elbo = torch.stack([posterior.score(x, samples=1, seed=seed).sum() for seed in range(20)])
    print(holes, evidence, elbo.mean(), elbo.std(), posterior.score(x, samples=300).sum(), posterior.how["steps"], posterior.how["seconds"])
    assert elbo.mean() < evidence + 4 * elbo.std() / 20**0.5
    assert elbo.mean() > evidence - 60 * (0.3 if holes else 0.15)  # nats a series
    assert posterior.score(x, samples=300).sum().item() == pytest.approx(evidence, abs=0.02 * 60)


def test_states_holes_and_what_comes_next_are_those_of_one_dense_gaussian():
    x, posterior = fading(holes=True)[:12], linear(holes=True)
    encoded, imputed = posterior.encode(x), posterior.impute(x)
    longer = torch.cat([x[:, :-1], x.new_full((12, 3, 2), torch.nan)], 1)
    following = posterior.forecast(x, 2)
    for n, row in enumerate(x.numpy()):
        last = np.flatnonzero(~np.isnan(row).all(1))[-1] + 1
        for found, of in ((encoded, "states"), (imputed, "numbers")):
            mean, sd = oracle.conditional(posterior.pair, row, of)
            print(n, of, np.abs((found.mean[n].numpy() - mean) / sd)[:last].max(), (found.sd[n].numpy() / sd)[:last].min())
        mean, sd = oracle.conditional(posterior.pair, longer[n].numpy(), "numbers")
        print(following.mean[n], mean[last : last + 2], following.sd[n], sd[last : last + 2])


@functools.cache
def parabola() -> tuple[Tensor, Tensor]:
    """A hundred and twenty series that jump about a parabola, which no linear model tells from noise: seen, and as they are."""
    rng, z = np.random.default_rng(1), []
    now = rng.uniform(-0.6, 0.9, size=120)
    for _ in range(20):
        z.append(now)
        now = 1 - 1.7 * now**2 + 0.03 * rng.normal(size=120)
    z = torch.as_tensor(np.stack(z, 1))
    return z + 0.2 * torch.as_tensor(rng.normal(size=z.shape)), z


def test_what_is_not_linear_is_recovered_better_than_by_a_linear_model():
    x, truth = parabola()
    given = {"seed": 1, "device": "cpu", "compile": False}
    deep = inference.svi(zoo.create("dmm", x[:100], states=1, hidden=[16], memory=16), x[:100], steps=1500, batch=50, **given)
    flat = inference.svi(zoo.create("lgssm", x[:100]), x[:100], steps=200, **given)
    gain = (deep.score(x[100:], samples=300) - flat.score(x[100:])).mean() / 20
    errors = [float((p.reconstruct(x[100:]) - truth[100:]).square().mean() ** 0.5) for p in (deep, flat)]
    print(gain, errors, deep.how["seconds"], flat.how["seconds"])
