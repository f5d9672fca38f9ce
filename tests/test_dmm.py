"""The deep Markov model: its linear case against the exact Gaussian one, and what no linear model sees."""

import functools

import numpy as np
import pytest
import torch
from torch import Tensor

import inference
import zoo
from inference.diagnostics.codes import codes
from tests.oracles import dmm as oracle

STEPS = 12
RUN = {"seed": 1, "device": "cpu", "compile": False}


@functools.cache
def fading(holes: bool) -> Tensor:
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
def linear() -> inference.Posterior:
    """A fit to the series with holes."""
    x = fading(holes=True)
    pair = zoo.create("dmm", x, states=2, hidden=[], memory=8)
    assert pair.mask
    return inference.svi(pair, x, steps=500, lr=0.03, **RUN)


@pytest.mark.parametrize("holes", [False, True])
def test_the_linear_one_comes_near_the_exact_evidence_and_does_not_pass_it(holes):
    x, posterior = fading(holes), linear()
    evidence = oracle.log_evidence(posterior.pair, x)
    elbo = torch.stack([posterior.score(x, samples=1, seed=seed).sum() for seed in range(20)])
    assert elbo.mean() < evidence + 4 * elbo.std() / 20**0.5
    assert elbo.mean() > evidence - 0.4 * len(x)
    assert posterior.score(x, samples=300).sum().item() == pytest.approx(evidence, abs=0.02 * len(x))


def near(found: Tensor, mean: np.ndarray, sd: np.ndarray, where: np.ndarray, within: float) -> None:
    """So many sds apart at most."""
    assert np.abs((found.numpy() - mean)[where] / sd[where]).max() < within


def test_states_holes_and_what_comes_next_are_those_of_one_dense_gaussian():
    x, posterior = fading(holes=True)[:12], linear()
    encoded, imputed, following = posterior.encode(x), posterior.impute(x), posterior.forecast(x, 2)
    assert posterior.paths(x).shape == (1, 1, 12, STEPS, 2)
    for n, row in enumerate(x.numpy()):
        last = np.flatnonzero(~np.isnan(row).all(1))[-1] + 1
        going_on = np.arange(STEPS)[:, None] < last
        mean, sd = oracle.conditional(posterior.pair, row, "states")
        near(encoded.mean[n], mean, sd, going_on & (sd > 0), 0.5)
        np.testing.assert_allclose(encoded.sd[n][:last], sd[:last], rtol=0.35)
        mean, sd = oracle.conditional(posterior.pair, row, "numbers")
        gaps = np.isnan(row) & going_on
        if gaps.any():
            near(imputed.mean[n], mean, sd, gaps, 0.5)
            np.testing.assert_allclose(imputed.sd[n].numpy()[gaps], sd[gaps], rtol=0.35)
        longer = np.concatenate([row[:last], np.full((2, 2), np.nan)])
        mean, sd = (moment[last:] for moment in oracle.conditional(posterior.pair, longer, "numbers"))
        near(following.mean[n], mean, sd, sd > 0, 0.25)
        np.testing.assert_allclose(following.sd[n], sd, rtol=0.15)


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
    pair = zoo.create("dmm", x[:100], states=1, hidden=[16], memory=16, noise=0.2)
    deep = inference.svi(pair, x[:100], steps=600, lr=0.02, batch=25, **RUN)
    # It begins about its mode, and a linear model of one state needs no more series than these to know it.
    flat = inference.svi(zoo.create("lgssm", x[:30]), x[:30], steps=1, draws=20, **RUN)
    gain = (deep.score(x[100:], samples=300) - flat.score(x[100:])).mean() / 20
    errors = [float((p.reconstruct(x[100:]) - truth[100:]).square().mean() ** 0.5) for p in (deep, flat)]
    assert gain > 0.25  # nats a step
    assert errors[0] < 0.8 * errors[1]


def test_what_the_guide_does_not_know_is_refused():
    x = fading(holes=False)[:3]
    posterior = inference.svi(zoo.create("dmm", x, hidden=[4], memory=4), x, steps=1, **RUN)
    with pytest.raises(TypeError, match="given the past alone it says nothing; cut the series there"):
        posterior.filter(x)
    with pytest.raises(TypeError, match="learnt as a point"):
        inference.mcmc(posterior.pair, x)
    with pytest.raises(ValueError, match=r"row 1, time 2: 3 is not between 0 and 1"):
        zoo.create("dmm", [[0.0, 1.0, 1.0], [0.0, 1.0, 3.0]], likelihood="bernoulli")


def test_series_of_another_length_and_new_ones():
    x = fading(holes=False)
    posterior = inference.svi(zoo.create("dmm", x, hidden=[4], memory=4), x, steps=5, **RUN)
    assert posterior.encode(x[:, :5]).mean.shape == (60, 5, 2)
    assert posterior.score(x[:, :5]).shape == (60,)
    assert posterior.generate(7).shape == (7, STEPS, 2)


def test_a_state_counts_once_among_the_latents_of_a_row_though_it_has_a_number_a_step():
    x = fading(holes=False)
    posterior = inference.svi(zoo.create("dmm", x, states=3, hidden=[4], memory=4), x, steps=5, **RUN)
    assert next(codes(posterior)).evidence.split(" latents")[0].endswith("of 3")
