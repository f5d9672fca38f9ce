"""What is asked of the hidden semi-Markov model's series, against every way to cut them into visits."""

import numpy as np
import pytest
import torch
from scipy.stats import nbinom
from torch import Tensor

import inference
import zoo
from inference import Posterior
from inference.program import Program
from tests.oracles import hsmm as oracle
from zoo.distributions.off_diagonal import departures, off_diagonal
from zoo.series.durations import NegativeBinomialDurations

KNOWN = {
    "initial": torch.tensor([0.5, 0.2, 0.3], dtype=torch.double),
    "transition": torch.tensor([[0.0, 0.7, 0.3], [0.4, 0.0, 0.6], [0.9, 0.1, 0.0]], dtype=torch.double),
    "stays": torch.tensor([0.5, 1.5, 2.5], dtype=torch.double),
    "stay_dispersions": torch.tensor([0.8, 5.0, 2.0], dtype=torch.double),
    "rates": torch.tensor([[1.0], [4.0], [9.0]], dtype=torch.double),
}
ARRAYS = {name: value.numpy() for name, value in KNOWN.items()}


def _series() -> Tensor:
    """Two series of six steps: one with a gap, one cut short."""
    x = torch.randint(0, 12, (2, 6), generator=torch.Generator().manual_seed(4)).double()
    x[0, 2], x[1, 4:] = torch.nan, torch.nan
    return x


@pytest.fixture(scope="module")
def posterior() -> Posterior:
    """One whose draws are all the same."""
    pair = zoo.create("hsmm", states=3, emission="poisson", longest=5)
    fitted = inference.svi(pair, _series(), steps=1, draws=1, device="cpu", compile=False)
    return Posterior(pair.double(), {n: v.expand(1, 4, *v.shape) for n, v in KNOWN.items()}, {}, fitted.how, None)


def _paths(posterior: Posterior, row: np.ndarray) -> list:
    return oracle.paths(posterior.pair.hyperparameters, ARRAYS, row[:, None])


def test_encode_decode_and_filter_are_those_of_all_segmentations(posterior):
    x = _series()
    smoothed, filtered, decoded = posterior.encode(x), posterior.filter(x), posterior.decode(x)
    steps = posterior.score_steps(x)
    for n, row in enumerate(x.numpy()):
        found = _paths(posterior, row)
        np.testing.assert_allclose(smoothed[n], oracle.smoothed(found, 6, 3), atol=1e-10)
        assert tuple(decoded.states[n].tolist()) == max(found, key=lambda way: way[1])[0]
        so_far = [oracle.log_row(posterior.pair.hyperparameters, ARRAYS, row[: t + 1, None]) for t in range(6)]
        np.testing.assert_allclose(steps[n], np.diff(so_far, prepend=0.0), atol=1e-10)
        for t in range(6):
            np.testing.assert_allclose(filtered[n, t], oracle.smoothed(_paths(posterior, row[: t + 1]), t + 1, 3)[-1], atol=1e-10)


def test_holes_are_filled_and_what_follows_is_drawn_given_the_series(posterior):
    x, count = _series(), 20_000
    many = {name: draws[:, :1].expand(1, count, *draws.shape[2:]) for name, draws in posterior.draws.items()}
    filled = Posterior(posterior.pair, many, {}, posterior.how, None).impute(x)
    found, rates = posterior.forecast(x, 3, samples=count), ARRAYS["rates"][:, 0]
    for n, row in enumerate(x.numpy()):
        last = (6, 4)[n]
        longer = np.concatenate([row[:last], np.full(3, np.nan)])
        states = oracle.smoothed(_paths(posterior, longer), len(longer), 3)
        moments = [(states @ rates)[:, None], (states @ (rates + rates**2))[:, None]]
        mean, sd = moments[0][:, 0], np.sqrt(moments[1] - moments[0] ** 2)[:, 0]
        assert (np.abs(found.states[n].numpy() - states[last:]) <= 5 * np.sqrt(states * (1 - states))[last:] / count**0.5).all()
        assert (np.abs(found.mean[n].numpy() - mean[last:]) <= 5 * sd[last:] / count**0.5).all()
        np.testing.assert_allclose(found.sd[n], sd[last:], rtol=0.05)
        for t in np.flatnonzero(np.isnan(row[: len(longer)])):
            assert abs(filled.mean[n, t].item() - mean[t]) <= 5 * sd[t] / count**0.5


def test_new_series_visit_states_as_the_model_says(posterior):
    new, count = posterior.generate(20_000), 20_000
    states = oracle.smoothed(_paths(posterior, np.full(6, np.nan)), 6, 3)
    rates = ARRAYS["rates"][:, 0]
    mean = states @ rates
    sd = np.sqrt(states @ (rates + rates**2) - mean**2)
    assert (np.abs(new.double().mean(0).numpy() - mean) <= 5 * sd / count**0.5).all()


def test_visits_without_memory_are_a_hidden_markov_model():
    x = torch.randint(0, 8, (2, 30)).double()
    x[0, 5:9] = torch.nan
    pair, plain = zoo.create("hsmm", states=3, emission="poisson", longest=400), zoo.create("hmm", states=3, emission="poisson")
    values = {**KNOWN, "stay_dispersions": torch.ones(3)}
    staying = (KNOWN["stays"] / (1 + KNOWN["stays"]))[:, None]
    same = {n: KNOWN[n] for n in ("initial", "rates")} | {"transition": (1 - staying) * KNOWN["transition"] + staying * torch.eye(3)}
    torch.testing.assert_close(Program(pair, x).log_rows(values, x), Program(plain, x).log_rows(same, x))
    torch.testing.assert_close(Program(pair, x).derive(values, x)["log_dwell"], Program(plain, x).derive(same, x)["log_dwell"])


def test_a_visit_that_is_sure_to_last_is_told_from_one_that_is_not():
    # Visits of five steps: a Markov chain of the same mean has more of one and of ten.
    states = (torch.arange(200) // 5) % 2
    x = (2.0 * states + torch.randn(200))[None]
    pairs = (zoo.create("hsmm", x, duration="poisson"), zoo.create("hmm", x))
    semi, plain = (inference.svi(pair, x, steps=100, draws=200, device="cpu", compile=False) for pair in pairs)
    assert abs(np.exp(semi.mean("log_dwell")) - 5).max() < 1.0
    right = [(p.decode(x).states[0] == states).double().mean().item() for p in (semi, plain)]
    assert right[0] > right[1] + 0.02
    assert float(semi.score(x)) > float(plain.score(x)) + 5


def test_the_start_of_durations_is_where_they_were_drawn():
    durations, counts = NegativeBinomialDurations(2, 200, stay=5.0, shape=2.0), torch.zeros(2, 200)
    for k, (mean, dispersion) in enumerate(((4.0, 1.0), (20.0, 8.0))):
        more = nbinom.rvs(dispersion, dispersion / (dispersion + mean), size=4000, random_state=k)
        counts[k] = torch.bincount(torch.as_tensor(more).clamp(max=199), minlength=200)
    durations.start(counts)
    torch.testing.assert_close(durations.stays.q_log.exp(), torch.tensor([4.0, 20.0]), rtol=0.1, atol=0)
    torch.testing.assert_close(durations.dispersions.q_log.exp(), torch.tensor([1.0, 8.0]), rtol=0.2, atol=0)


def test_rows_that_never_stay_have_the_dirichlet_density():
    concentration = 0.5 + torch.rand(4, 3)
    law = off_diagonal(concentration)
    value = law.sample()
    assert departures.check(value)
    assert not departures.check(value + 0.1 * torch.eye(4))
    others = torch.stack([torch.cat([row[:k], row[k + 1 :]]) for k, row in enumerate(value)])
    torch.testing.assert_close(law.log_prob(value), torch.distributions.Dirichlet(concentration).log_prob(others).sum())
    free = torch.distributions.biject_to(departures)
    torch.testing.assert_close(free(free.inv(value)), value)


@pytest.mark.parametrize(
    ("x", "given", "said"),
    [
        ([[1.0, 2.0]], {"states": 1}, "states=1"),
        ([[1.0, 2.0]], {"longest": 1}, "longest=1"),
        ([[1.0, 2.0]], {"duration": "poison"}, "duration='poison'"),
        ([[1.0, 2.5]], {"emission": "poisson"}, "row 0, time 1: 2.5 is no count"),
        ([1.0, 2.0, 3.0], {}, "3 series of one step each"),
        ([[3.0, 3.0]], {}, "constant"),
    ],
)
def test_bad_input_is_refused_at_the_door(x, given, said):
    with pytest.raises(ValueError, match=said):
        zoo.create("hsmm", x, **given)


@pytest.mark.parametrize("emission", [{}, {"covariance": "diag"}, {"emission": "mixture"}])
def test_what_follows_a_complete_series_is_what_an_unseen_end_would_be(emission):
    x = torch.tensor([0.1, -0.2, 0.0, 5.1, 4.8, 5.2, 5.0, 0.2, 0.1, -0.1])[None]
    fit = inference.svi(zoo.create("hsmm", x, states=2, longest=4, **emission), x, steps=50, draws=20, compile=False, progress=False)
    ahead = fit.forecast(x, steps=3, samples=8000).states
    unseen = fit.encode(torch.cat([x, torch.full((1, 3), torch.nan)], 1))[:, -3:]
    torch.testing.assert_close(ahead, unseen, rtol=0, atol=4 * 0.5 / 8000**0.5)
