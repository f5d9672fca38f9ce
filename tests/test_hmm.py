"""The hidden Markov model against brute force and published maxima, and what is asked of its series."""

import dataclasses
import itertools

import numpy as np
import pytest
import torch
from scipy.stats import poisson
from torch import Tensor

import inference
import zoo
from inference import Posterior
from inference.answers import sequences
from inference.program import Program
from tests.oracles import hmm as oracle
from zoo.series import quantities
from zoo.series.hidden_markov import stationary


def _tensor(values: list) -> Tensor:
    return torch.tensor(values, dtype=torch.double)


MOVES = _tensor([[0.8, 0.15, 0.05], [0.1, 0.7, 0.2], [0.25, 0.05, 0.7]])
KNOWN = {
    "poisson": {"rates": _tensor([[1.0], [4.0], [9.0]])},
    "categorical": {"probabilities": _tensor([[0.1, 0.8, 0.1], [0.2, 0.2, 0.6], [0.7, 0.2, 0.1]])[:, None]},
    "gaussian": {"locs": _tensor([[-2.0], [0.5], [3.0]]), "precision_trils": _tensor([0.8, 1.1, 0.6])[:, None, None]},
}
EMISSIONS = pytest.mark.parametrize("emission", list(KNOWN))


def _known(emission: str, draws: int = 1) -> tuple[Posterior, dict[str, Tensor]]:
    """A posterior whose draws are all the same, and what they are."""
    pair = zoo.create("hmm", states=3, emission=emission, categories=3, initial="uniform")
    values = {"transition": MOVES, **KNOWN[emission]}
    fitted = inference.svi(pair, _series(emission), steps=1, draws=1, device="cpu", compile=False)
    repeated = {name: value.expand(1, draws, *value.shape) for name, value in values.items()}
    return Posterior(pair, repeated, {}, fitted.how, None), values


def _series(emission: str) -> Tensor:
    """Two series of six steps: one with a gap, one cut short."""
    generator = torch.Generator().manual_seed(4)
    x = torch.randint(0, 3, (2, 6), generator=generator).double() * (1.0 if emission == "categorical" else 2.5)
    x = x.floor() if emission == "poisson" else x
    x[0, 2], x[1, 4:] = torch.nan, torch.nan
    return x


def _terms(emission: str, values: dict[str, Tensor], x: Tensor) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Start, transition and log emission terms of every series, for the oracle."""
    given = zoo.create("hmm", states=3, emission=emission, categories=3, initial="uniform").hyperparameters
    arrays = {name: value.numpy() for name, value in values.items()}
    return [(*oracle.chain(given, arrays), oracle.emission(given, arrays, row)) for row in x[..., None].numpy()]


@EMISSIONS
def test_encode_decode_and_filter_are_those_of_all_paths(emission):
    posterior, values = _known(emission)
    x = _series(emission)
    smoothed, filtered, (path, agreement) = posterior.encode(x), posterior.filter(x), posterior.decode(x)
    assert torch.equal(agreement, torch.ones(x.shape))
    for n, (start, moves, terms) in enumerate(_terms(emission, values, x)):
        np.testing.assert_allclose(smoothed[n], oracle.smoothed(start, moves, terms), atol=1e-12)
        assert tuple(path[n].tolist()) == oracle.likeliest(start, moves, terms)
        for t in range(x.shape[1]):
            np.testing.assert_allclose(filtered[n, t], oracle.smoothed(start, moves, terms[: t + 1])[-1], atol=1e-12)


@EMISSIONS
def test_the_steps_scores_are_those_of_the_series_so_far(emission):
    posterior, values = _known(emission)
    x = _series(emission)
    steps = posterior.score_steps(x)
    torch.testing.assert_close(steps.sum(1), posterior.score(x))
    for n, (start, moves, terms) in enumerate(_terms(emission, values, x)):
        so_far = [oracle.log_row(start, moves, terms[: t + 1]) for t in range(x.shape[1])]
        np.testing.assert_allclose(steps[n], np.diff(so_far, prepend=0.0), atol=1e-10)


def test_scores_of_steps_weigh_the_draws_by_what_they_said_of_the_steps_before():
    x, pair = zoo.data.load("earthquakes").x[:, :12], zoo.create("hmm", emission="poisson", center=20.0)
    posterior = inference.svi(pair, x, steps=50, draws=40, device="cpu", compile=False)
    each = torch.stack([posterior.score(x[:, : t + 1])[0] for t in range(12)])
    torch.testing.assert_close(posterior.score_steps(x)[0], each.diff(prepend=torch.zeros(1)))


@EMISSIONS
def test_sampled_paths_have_the_smoothed_probabilities(emission):
    posterior, values = _known(emission, draws=4000)
    x = _series(emission)
    paths = posterior.paths(x)
    assert paths.shape == (1, 4000, *x.shape)
    shares = torch.stack([(paths == k).double().mean((0, 1)) for k in range(3)], -1)
    truth = posterior.encode(x)
    assert ((shares - truth).abs() <= 5 * (truth * (1 - truth) / 4000).sqrt() + 1e-3).all()
    assert not torch.equal(posterior.paths(x, seed=1), paths)


def test_impute_is_the_mean_over_the_states_of_a_gap():
    posterior, values = _known("poisson", draws=20_000)
    x = _series("poisson")
    (mean, sd), rates = posterior.impute(x), values["rates"][:, 0].numpy()
    probabilities = posterior.encode(x).numpy()
    for n, t in x.isnan().nonzero().tolist():
        truth = probabilities[n, t] @ rates
        variance = probabilities[n, t] @ (rates + rates**2) - truth**2
        assert mean[n, t].item() == pytest.approx(truth, abs=5 * (variance / 20_000) ** 0.5)
        assert sd[n, t].item() == pytest.approx(variance**0.5, rel=0.05)


def test_a_forecast_sets_out_from_the_last_step_seen():
    posterior, values = _known("poisson")
    x, steps = _series("poisson"), 4
    found = posterior.forecast(x, steps, samples=20_000)
    filtered, rates = posterior.filter(x), values["rates"][:, 0]
    for n, last in ((0, 5), (1, 3)):
        states = filtered[n, last]
        for t in range(steps):
            states = states @ MOVES
            assert ((found.states[n, t] - states).abs() < 5 * (states * (1 - states) / 20_000).sqrt()).all()
            mean = states @ rates
            variance = states @ (rates + rates.square()) - mean.square()
            assert found.mean[n, t] == pytest.approx(mean.item(), abs=5 * (variance.item() / 20_000) ** 0.5)
            assert found.sd[n, t] == pytest.approx(variance.sqrt().item(), rel=0.05)
            below = sum(states[k] * poisson.cdf(found.high[n, t], rates[k]) for k in range(3))
            assert 0.94 < below < 0.99
    assert (found.low <= found.mean).all()
    assert (found.mean <= found.high).all()


def test_new_series_follow_the_chain():
    posterior, values = _known("poisson")
    long = zoo.create("hmm", states=3, emission="poisson", initial="stationary")
    how = {**posterior.how, "row_shape": [400]}
    new = Posterior(long, posterior.draws, {}, how, None).generate(300)
    share, rates = stationary(MOVES), values["rates"][:, 0]
    mean = (share @ rates).item()
    lagged = torch.einsum("j,jk,j,k->", share, MOVES, rates, rates).item() - mean**2
    centered = new - mean
    by_series = centered.mean(1)
    assert by_series.mean().abs() < 4 * by_series.std() / 300**0.5
    products = (centered[:, :-1] * centered[:, 1:]).mean(1)
    assert (products.mean() - lagged).abs() < 4 * products.std() / 300**0.5


def test_the_stationary_distribution_is_left_alone_by_the_transition():
    share = stationary(MOVES)
    torch.testing.assert_close(share @ MOVES, share)
    assert share.sum().item() == pytest.approx(1)
    assert stationary(torch.ones(1, 1)).item() == 1


@pytest.mark.parametrize("covariance", ["full", "tied", "diag", "spherical"])
def test_every_pattern_of_holes_is_integrated_out(covariance):
    x = torch.tensor(list(itertools.product([0.3, torch.nan], repeat=3)))[None].expand(2, -1, -1).clone()
    x[1] += 0.5
    pair = zoo.create("hmm", states=2, dim=3, covariance=covariance)
    program = Program(pair, x)
    values = {name: site["value"] for name, site in program.trace({}, x).nodes.items() if name in program.parameters}
    truth = oracle.log_joint(pair, {n: v.numpy() for n, v in values.items()}, x[:, :5].numpy())
    assert Program(pair, x[:, :5]).log_joint(values, x[:, :5]).item() == pytest.approx(truth, rel=1e-10)


@pytest.mark.parametrize("emission", list(oracle.SHOWN))
def test_every_familys_density_is_scipys(emission):
    pair = zoo.create("hmm", emission=emission, dim=2, center=[0.7, 1.6], spread=[1.2, 0.8], categories=3)
    x = torch.tensor([[[1.0, 1.0], [0.0, 1.0], [torch.nan, 1.0], [1.0, torch.nan]]])
    x = x + 0.3 if emission in ("exponential", "gamma", "student") else x
    program = Program(pair, x)
    values = {name: site["value"] for name, site in program.trace({}, x).nodes.items() if name in program.parameters}
    truth = oracle.log_joint(pair, {n: v.numpy() for n, v in values.items()}, x.numpy())
    assert program.log_joint(values, x).item() == pytest.approx(truth, rel=1e-9)


def test_a_chain_that_falls_into_parts_has_equal_shares_and_spoils_no_other_draw():
    found = torch.func.vmap(stationary)(torch.stack([torch.eye(3, dtype=torch.double), MOVES]))
    torch.testing.assert_close(found[0], torch.full((3,), 1 / 3, dtype=torch.double))
    torch.testing.assert_close(found[1], stationary(MOVES))
    rare = torch.tensor([[1 - 1e-4, 1e-4], [3e-4, 1 - 3e-4]], dtype=torch.float32)
    torch.testing.assert_close(stationary(rare), torch.tensor([0.75, 0.25], dtype=torch.float32), rtol=1e-3, atol=0)


def test_states_are_renumbered_along_both_axes_of_the_transition():
    posterior, values = _known("poisson")
    order = torch.tensor([2, 0, 1])
    turned = {"transition": MOVES[order][:, order], "rates": values["rates"][order]}
    draws = {name: torch.stack([values[name], turned[name]])[None] for name in values}
    aligned = Posterior(posterior.pair, draws, {}, posterior.how, None).aligned
    for name in values:
        torch.testing.assert_close(aligned[name][0, 1], values[name])
        torch.testing.assert_close(aligned[name][0, 0], values[name])


def test_series_of_other_lengths_can_be_asked_about():
    posterior, _ = _known("poisson")
    x = _series("poisson")
    longer = torch.cat([x, torch.full((2, 3), torch.nan)], 1)
    torch.testing.assert_close(posterior.log_likelihood(longer), posterior.log_likelihood(x))
    torch.testing.assert_close(posterior.encode(longer)[:, :6], posterior.encode(x))
    assert posterior.decode(x[:, :2]).states.shape == (2, 2)


def test_a_forecast_of_no_steps_and_questions_to_other_pairs_are_refused():
    posterior, _ = _known("poisson")
    with pytest.raises(ValueError, match="steps=0 must be a whole number of at least 1"):
        posterior.forecast(_series("poisson"), 0)
    faithful = zoo.data.load("faithful").x
    mixture = inference.svi(zoo.create("gmm", faithful), faithful, steps=1, draws=2, device="cpu", compile=False)
    for ask in (mixture.filter, mixture.decode, mixture.paths, mixture.score_steps, lambda x: mixture.forecast(x, 2)):
        with pytest.raises(TypeError, match="no series with hidden states"):
            ask(faithful)


def test_a_forecast_is_made_of_some_rows_at_a_time(monkeypatch):
    posterior, _ = _known("poisson")
    x = _series("poisson").repeat(6, 1)
    monkeypatch.setattr(sequences, "CELLS", 3000)
    found = posterior.forecast(x, 7, samples=100)
    assert found.mean.shape == (12, 7)
    assert found.states.shape == (12, 7, 3)
    torch.testing.assert_close(found.states.sum(-1), torch.ones(12, 7))
    with pytest.raises(ValueError, match="4000 samples of 100000 steps are too many"):
        posterior.forecast(x, 100_000)


@pytest.mark.parametrize("emission", ["poisson", "categorical"])
def test_a_data_set_that_does_not_move_as_the_chain_does_is_told(emission):
    posterior, _ = _known(emission, draws=200)
    long = Posterior(posterior.pair, posterior.draws, {}, {**posterior.how, "row_shape": [200]}, None)
    x = long.generate(4).double()
    x[1, 50:60], x[2, 150:] = torch.nan, torch.nan
    still = x.sort(1).values
    name = "autocorrelation" if emission == "poisson" else "changes"
    for series, fits in ((x, True), (still, False)):
        found = dataclasses.replace(long, table=inference.as_table(series)).check(draws=100).table.loc[name]
        assert bool(found["p"] > 0.02) == fits


def test_quantities_of_steps_pass_over_gaps():
    x = torch.tensor([[[1.0, 0.0], [torch.nan, 1.0], [2.0, 1.0], [4.0, 0.0]], [[3.0, 2.0], [5.0, 2.0], [torch.nan, 2.0], [torch.nan] * 2]])
    values = x[..., 0] - 3.0
    lagged = (values[0, 2] * values[0, 3] + values[1, 0] * values[1, 1]) / 2
    spread = values[~values.isnan()].square().mean()
    assert quantities.autocorrelation(x, 0) == lagged / spread
    assert quantities.changes(x, 1) == 2 / 5
