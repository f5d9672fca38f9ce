"""What is asked of the linear Gaussian state space model's series, against one dense Gaussian."""

import numpy as np
import pytest
import torch
from scipy.stats import norm
from torch import Tensor

import inference
import zoo
from inference import Posterior
from tests.oracles import lgssm as oracle

# States in the order, and with the signs, in which they are told.
KNOWN = {
    "loc": torch.tensor([0.5, -1.0], dtype=torch.double),
    "loadings": torch.tensor([[0.4, 1.0], [0.8, -0.5]], dtype=torch.double),
    "persistence": torch.tensor([-0.4, 0.9], dtype=torch.double),
    "noise": torch.tensor([0.3, 0.6], dtype=torch.double),
}
ARRAYS = {name: value.numpy() for name, value in KNOWN.items()}


def _series() -> Tensor:
    """Three series of seven steps: with gaps, cut short, and whole."""
    x = torch.randn(3, 7, 2, generator=torch.Generator().manual_seed(4))
    x[0, 2], x[0, 5, 1], x[1, 4:] = torch.nan, torch.nan, torch.nan
    return x


@pytest.fixture(scope="module")
def posterior() -> Posterior:
    """One whose draws are all the same."""
    pair = zoo.create("lgssm", states=2, dim=2)
    fitted = inference.svi(pair, _series(), steps=1, draws=1, device="cpu", compile=False)
    return Posterior(pair, {name: value.expand(1, 4, *value.shape) for name, value in KNOWN.items()}, {}, fitted.how, None)


def _so_far(row: np.ndarray, steps: int) -> np.ndarray:
    return np.where(np.arange(len(row))[:, None] < steps, row, np.nan)


def test_encode_and_filter_are_those_of_one_dense_gaussian(posterior):
    x = _series()
    smoothed, filtered = posterior.encode(x), posterior.filter(x)
    assert smoothed.mean.shape == filtered.sd.shape == (3, 7, 2)
    for n, row in enumerate(x.numpy()):
        mean, sd = oracle.conditional(ARRAYS, row, "states")
        np.testing.assert_allclose(smoothed.mean[n], mean, atol=1e-10)
        np.testing.assert_allclose(smoothed.sd[n], sd, atol=1e-8)
        np.testing.assert_allclose(posterior.reconstruct(x)[n], ARRAYS["loc"] + mean @ ARRAYS["loadings"].T, atol=1e-10)
        for t in range(x.shape[1]):
            if not np.isnan(_so_far(row, t + 1)).all():
                mean, sd = oracle.conditional(ARRAYS, _so_far(row, t + 1), "states")
                np.testing.assert_allclose(filtered.mean[n, t], mean[t], atol=1e-10)
                np.testing.assert_allclose(filtered.sd[n, t], sd[t], atol=1e-8)


def test_the_steps_scores_are_those_of_the_series_so_far(posterior):
    x = _series()
    steps = posterior.score_steps(x)
    torch.testing.assert_close(steps.sum(1), posterior.score(x))
    for n, row in enumerate(x.numpy()):
        so_far = [oracle.log_row(ARRAYS, _so_far(row, t + 1)) for t in range(x.shape[1])]
        np.testing.assert_allclose(steps[n], np.diff(so_far, prepend=0.0), atol=1e-10)


def _are_draws_of(found: Tensor, mean: np.ndarray, sd: np.ndarray) -> None:
    """Independent draws (draw, ...) have the mean and sd."""
    count = len(found)
    assert (np.abs(found.mean(0).numpy() - mean) <= 5 * sd / count**0.5 + 1e-12).all()
    np.testing.assert_allclose(found.std(0), sd, rtol=5 / (2 * count) ** 0.5, atol=1e-12)


def test_paths_are_draws_of_the_states_given_the_series(posterior):
    x, count = _series(), 20_000
    many = {name: draws[:, :1].expand(1, count, *draws.shape[2:]) for name, draws in posterior.draws.items()}
    paths = Posterior(posterior.pair, many, {}, posterior.how, None).paths(x)
    assert paths.shape == (1, count, 3, 7, 2)
    states, across, numbers = oracle.moments(ARRAYS, x.shape[1])
    for n, row in enumerate(x.numpy()):
        _are_draws_of(paths[0, :, n], *oracle.conditional(ARRAYS, row, "states"))
        # And they move together as they should.
        seen = ~np.isnan(row.ravel())
        covariance = states - across[:, seen] @ np.linalg.solve(numbers[np.ix_(seen, seen)], across[:, seen].T)
        np.testing.assert_allclose(np.cov(paths[0, :, n].flatten(1).T), covariance, atol=6 / count**0.5)


def test_holes_are_filled_from_the_rest_of_the_series(posterior):
    x, count = _series(), 4000
    many = {name: draws[:, :1].expand(1, count, *draws.shape[2:]) for name, draws in posterior.draws.items()}
    found = Posterior(posterior.pair, many, {}, posterior.how, None).impute(x)
    for n, row in enumerate(x.numpy()):
        holes = np.isnan(row)
        mean, sd = (moment[holes] for moment in oracle.conditional(ARRAYS, row, "numbers"))
        assert (np.abs(found.mean[n].numpy()[holes] - mean) <= 5 * sd / count**0.5).all()
        np.testing.assert_allclose(found.sd[n].numpy()[holes], sd, rtol=5 / (2 * count) ** 0.5)


def test_a_forecast_follows_the_last_step_seen(posterior):
    x, count, steps = _series(), 20_000, 3
    found = posterior.forecast(x, steps, samples=count)
    assert found.mean.shape == found.states.mean.shape == (3, steps, 2)
    for n, row in enumerate(x.numpy()):
        last = np.flatnonzero(~np.isnan(row).all(1))[-1] + 1
        longer = np.concatenate([row[:last], np.full((steps, 2), np.nan)])
        for given, of in ((found, "numbers"), (found.states, "states")):
            mean, sd = (moment[last:] for moment in oracle.conditional(ARRAYS, longer, of))
            assert (np.abs(given.mean[n].numpy() - mean) <= 5 * sd / count**0.5).all()
            np.testing.assert_allclose(given.sd[n], sd, rtol=5 / (2 * count) ** 0.5)
        mean, sd = (moment[last:] for moment in oracle.conditional(ARRAYS, longer, "numbers"))
        np.testing.assert_allclose(norm.cdf(found.low[n], mean, sd), 0.05, atol=0.01)
        np.testing.assert_allclose(norm.cdf(found.high[n], mean, sd), 0.95, atol=0.01)


def test_new_series_have_the_models_moments(posterior):
    new = posterior.generate(20_000).flatten(1)
    _, _, numbers = oracle.moments(ARRAYS, 7)
    np.testing.assert_allclose(np.cov(new.T), numbers, atol=6 * numbers.max() / len(new) ** 0.5)
    np.testing.assert_allclose(new.mean(0), np.tile(ARRAYS["loc"], 7), atol=5 * (numbers.max() / len(new)) ** 0.5)


def test_continuous_states_have_no_decoded_path(posterior):
    with pytest.raises(TypeError, match="its states are continuous, and no path of them is decoded; encode gives their means"):
        posterior.decode(_series())


def test_chains_find_what_made_the_series():
    pair = zoo.create("lgssm", states=2, dim=3)
    truth = {
        "loc": torch.tensor([1.0, 0.0, -2.0]),
        "loadings": torch.tensor([[0.5, 2.0], [-1.0, 1.5], [1.5, 0.0]]),
        "persistence": torch.tensor([0.3, 0.95]),
        "noise": torch.tensor([0.5, 0.4, 0.6]),
    }
    blank = torch.zeros(1, 100, 3)
    how = inference.svi(pair, blank + torch.randn(1, 100, 3), steps=1, draws=1, device="cpu", compile=False).how
    x = Posterior(pair, {name: value[None, None] for name, value in truth.items()}, {}, how, None).generate(1, seed=2)
    fitted = inference.mcmc(zoo.create("lgssm", x, states=2), x, chains=8, warmup=80, draws=80, device="cpu")
    report = inference.diagnose(fitted)
    assert report.table["rhat"].max() < 1.1
    for name, value in truth.items():
        draws = fitted.aligned[name].flatten(0, 1)
        assert ((draws.mean(0) - value).abs() < 3.5 * draws.std(0)).all(), name


def test_bad_series_are_refused():
    with pytest.raises(ValueError, match="constant"):
        zoo.create("lgssm", torch.ones(1, 20))
    with pytest.raises(ValueError, match="series of one step each have no dynamics"):
        zoo.create("lgssm", torch.randn(20, 1))
    with pytest.raises(ValueError, match="there are 5 states; ask for fewer"):
        zoo.create("lgssm", torch.randn(1, 4), states=5)
