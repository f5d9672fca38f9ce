"""Series whose states each have a regression of their own on the steps before."""

import numpy as np
import pytest
import torch

import inference
import zoo
from inference import Posterior
from inference.program import Program
from tests.oracles import autoregression as by_hand
from tests.oracles import hmm as oracle

ONE = {"locs": torch.tensor([[1.0]]), "coefficients": torch.tensor([[[0.5, -0.3]]]), "scales": torch.tensor([[0.4]])}
CENTER = 2.0


def _known(values, draws: int, **given) -> Posterior:
    """A posterior whose draws are all the same."""
    pair = zoo.create("hmm", emission="autoregressive", center=CENTER, **given)
    x = torch.randn(2, 5)
    how = inference.svi(pair, x, steps=1, draws=1, device="cpu", compile=False).how
    values = {n: v.to(x) for n, v in values.items()} | {"transition": torch.full((pair.states, pair.states), 1 / pair.states)}
    values["initial"] = values["transition"][0]
    return Posterior(pair, {n: v.expand(1, draws, *v.shape) for n, v in values.items()}, {}, how, None)


def test_several_columns_and_lags_have_the_density_by_hand():
    x = torch.randn(3, 4, 2).cumsum(1)
    x[1, 2:] = torch.nan
    pair = zoo.create("hmm", x, states=2, emission="autoregressive", lags=2, lag_scale=0.7)
    program = Program(pair, x)
    values = {name: site["value"] for name, site in program.trace({}, x).nodes.items() if name in program.parameters}
    truth = oracle.log_joint(pair, {n: v.numpy() for n, v in values.items()}, x.numpy())
    assert program.log_joint(values, x).item() == pytest.approx(truth, rel=1e-10)


def test_beside_other_families_only_its_own_columns_count():
    x = torch.stack([torch.randn(2, 6).cumsum(1), torch.randint(0, 5, (2, 6)).double()], -1)
    x[0, 3, 1] = torch.nan
    pair = zoo.create("hmm", x, emission=["autoregressive", "poisson"], lags=2)
    law, rows = Program(pair, x).observation({}, x)
    own = zoo.create("hmm", x[..., :1], emission="autoregressive", lags=2)
    block, counts = law.emission.blocks
    values = {name: getattr(block, name).numpy() for name in ("locs", "coefficients", "scales")}
    terms = law.emission.log_steps(rows)
    for n in range(2):
        truth = by_hand.emission(own.hyperparameters, values, x[n, :, :1].numpy())
        np.testing.assert_allclose(terms[n] - counts.log_prob(rows[n, :, None, 1:]), truth, atol=1e-10)
    assert law.fill(rows).isfinite().all()


def test_a_forecast_of_one_state_is_that_of_the_autoregression():
    posterior, count, steps = _known(ONE, 4, states=1, lags=2), 20_000, 4
    x = torch.tensor([[1.5, 3.0, 2.5, torch.nan, torch.nan], [0.5, torch.nan, torch.nan, torch.nan, torch.nan]])
    found = posterior.forecast(x, steps, samples=count)
    # How a shock goes on: 1, a, a^2 + b, ...
    a, b = 0.5, -0.3
    echo = [1.0, a]
    for _ in range(steps):
        echo.append(a * echo[-1] + b * echo[-2])
    for n, past in enumerate(([3.0, 2.5], [CENTER, 0.5])):
        values = [v - CENTER for v in past]
        for t in range(steps):
            values.append(1.0 - CENTER + a * values[-1] + b * values[-2])
            sd = 0.4 * np.sqrt(np.square(echo[: t + 1]).sum())
            assert found.mean[n, t].item() == pytest.approx(values[-1] + CENTER, abs=5 * sd / count**0.5)
            assert found.sd[n, t].item() == pytest.approx(sd, rel=0.04)


def test_new_series_and_the_ends_of_short_ones_follow_the_autoregression():
    count = 20_000
    posterior = _known(ONE, count, states=1, lags=2)
    new = posterior.generate(count)
    values = [0.0, 0.0]
    for _ in range(5):
        values.append(1.0 - CENTER + 0.5 * values[-1] - 0.3 * values[-2])
    mean = torch.tensor(values[2:]) + CENTER
    assert ((new.mean(0) - mean).abs() < 5 * new.std(0) / count**0.5).all()
    centered = new - mean
    lagged = (centered[:, 0] * centered[:, 1]).mean()
    assert abs(lagged - 0.5 * 0.4**2) < 5 * (centered[:, 0] * centered[:, 1]).std() / count**0.5
    x = torch.tensor([[1.5, 3.0, 2.5, torch.nan, torch.nan]])
    filled = posterior.impute(x)
    first = CENTER - 1.0 + 0.5 * 0.5 - 0.3 * 1.0
    assert filled.mean[0, 3].item() == pytest.approx(first, abs=5 * 0.4 / count**0.5)
    assert filled.mean[0, 4].item() == pytest.approx(CENTER - 1.0 + 0.5 * (first - CENTER) - 0.3 * 0.5, abs=5 * 0.5 / count**0.5)


@pytest.mark.parametrize("name", ["hmm", "hsmm"])
def test_states_that_differ_in_their_regression_alone_are_told_apart(name):
    states = (torch.arange(200) // 25) % 2
    x = torch.zeros(1, 200)
    for t in range(1, 200):
        x[0, t] = torch.tensor([-0.7, 0.8])[states[t]] * x[0, t - 1] + torch.randn(())
    pair = zoo.create(name, x, emission="autoregressive", center=0.0)
    posterior = inference.svi(pair, x, steps=60, draws=50, restarts=2, device="cpu", compile=False)
    found = np.asarray(posterior.mean("coefficients")).ravel()
    assert sorted(found) == pytest.approx([-0.7, 0.8], abs=0.2)
    told = posterior.decode(x).states[0] == states
    assert max(told.double().mean(), 1 - told.double().mean()) > 0.8
    forecast = posterior.forecast(x, 2)
    assert forecast.mean.isfinite().all()


def test_gaps_are_refused_where_they_are():
    x = torch.randn(2, 6)
    fitted = inference.svi(zoo.create("hmm", x, emission="autoregressive"), x, steps=1, draws=2, device="cpu", compile=False)
    x[1, 2] = torch.nan
    for ask in (lambda: zoo.create("hmm", x, emission="autoregressive"), lambda: fitted.encode(x), lambda: fitted.impute(x)):
        with pytest.raises(ValueError, match="row 1, time 2: missing in the midst of a series, which an autoregressive emission cannot"):
            ask()
    several = torch.stack([torch.randn(1, 5), torch.ones(1, 5)], -1)
    several[0, 4, 0] = torch.nan
    with pytest.raises(ValueError, match="row 0, time 4, column 0: missing in the midst"):
        zoo.create("hmm", several, emission=["autoregressive", "poisson"])
    with pytest.raises(ValueError, match="lags=0"):
        zoo.create("hmm", emission="autoregressive", lags=0)
