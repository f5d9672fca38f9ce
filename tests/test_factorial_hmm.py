"""What is asked of the factorial hidden Markov model's series, against every path of every chain."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

import inference
import zoo
from inference import Posterior
from inference.program import Program
from tests.oracles import factorial_hmm as oracle
from tests.oracles import hmm
from zoo.distributions.zero_sum import axes, zero_sum_normal

# Chains and states in the order in which they are told.
KNOWN = {
    "transition": torch.tensor([[[0.9, 0.1], [0.2, 0.8]], [[0.6, 0.4], [0.3, 0.7]]], dtype=torch.double),
    "loc": torch.tensor([0.5, -1.0], dtype=torch.double),
    "contributions": torch.tensor([[[-1.0, 1.0], [-2.5, 2.5]], [[-0.5, 0.5], [1.0, -1.0]]], dtype=torch.double),
    "noise": torch.tensor([0.8, 0.6], dtype=torch.double),
}
ARRAYS = {name: value.numpy() for name, value in KNOWN.items()}
STATES = np.array(oracle.joint(ARRAYS))


def _series() -> Tensor:
    """Two series of five steps: with gaps, and cut short."""
    x = 2 * torch.randn(2, 5, 2, generator=torch.Generator().manual_seed(4))
    x[0, 2], x[0, 3, 1], x[1, 3:] = torch.nan, torch.nan, torch.nan
    return x


@pytest.fixture(scope="module")
def posterior() -> Posterior:
    """One whose draws are all the same."""
    pair = zoo.create("factorial_hmm", dim=2, initial="uniform").double()
    fitted = inference.svi(pair, _series(), steps=1, draws=1, device="cpu", compile=False)
    return Posterior(pair, {name: value.expand(1, 4, *value.shape) for name, value in KNOWN.items()}, {}, fitted.how, None)


def _each(states: np.ndarray) -> np.ndarray:
    """(..., M, K) of each chain, from probabilities (..., K^M) of the product states."""
    return np.stack([np.stack([states[..., STATES[:, m] == k].sum(-1) for k in (0, 1)], -1) for m in (0, 1)], -2)


def _terms(row: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return np.full(4, 0.25), oracle.product(ARRAYS), oracle.emission(ARRAYS, row)


def test_encode_decode_and_filter_are_those_of_all_paths(posterior):
    x = _series()
    smoothed, filtered, decoded = posterior.encode(x), posterior.filter(x), posterior.decode(x)
    assert smoothed.shape == filtered.shape == (2, 5, 2, 2)
    assert torch.equal(decoded.agreement, torch.ones(2, 5, 2))
    for n, row in enumerate(x.numpy()):
        start, moves, terms = _terms(row)
        np.testing.assert_allclose(smoothed[n], _each(hmm.smoothed(start, moves, terms)), atol=1e-12)
        np.testing.assert_array_equal(decoded.states[n], STATES[list(hmm.likeliest(start, moves, terms))])
        for t in range(x.shape[1]):
            np.testing.assert_allclose(filtered[n, t], _each(hmm.smoothed(start, moves, terms[: t + 1])[-1]), atol=1e-12)
    steps = posterior.score_steps(x)
    torch.testing.assert_close(steps.sum(1), posterior.score(x))
    np.testing.assert_allclose(posterior.score(x), [hmm.log_row(*_terms(row)) for row in x.numpy()], rtol=1e-10)


def test_expected_transitions_are_those_of_each_chain(posterior):
    x = _series()
    law, rows = Program(posterior.pair, x).observation(KNOWN, x)
    for n, row in enumerate(x.numpy()):
        start, moves, terms = _terms(row[: 5 if n == 0 else 3])
        truth, total = np.zeros((2, 2, 2)), hmm.log_row(start, moves, terms)
        for path, weight in hmm.paths(start, moves, terms):
            for before, after in zip(STATES[list(path)], STATES[list(path)[1:]], strict=False):
                truth[[0, 1], before, after] += np.exp(weight - total)
        np.testing.assert_allclose(law.smoothed(rows)[1][n], truth, atol=1e-10)


def test_paths_and_holes_are_drawn_given_the_series(posterior):
    x, count = _series(), 8000
    many = {name: draws[:, :1].expand(1, count, *draws.shape[2:]) for name, draws in posterior.draws.items()}
    sampled = Posterior(posterior.pair, many, {}, posterior.how, None)
    paths, found = sampled.paths(x)[0], sampled.impute(x)
    assert paths.shape == (count, 2, 5, 2)
    for n, row in enumerate(x.numpy()):
        states = hmm.smoothed(*_terms(row))
        shares = (2 * paths[:, n, :, 0] + paths[:, n, :, 1])[..., None] == torch.arange(4)
        assert (np.abs(shares.double().mean(0).numpy() - states) <= 5 * np.sqrt(states * (1 - states) / count) + 1e-9).all()
        means = ARRAYS["loc"] + np.stack([ARRAYS["contributions"][:, [0, 1], s].sum(1) for s in STATES])
        mean = states @ means
        sd = np.sqrt(states @ (means**2) - mean**2 + ARRAYS["noise"] ** 2)
        holes = np.isnan(row)
        assert (np.abs(found.mean[n].numpy() - mean)[holes] <= (5 * sd / count**0.5)[holes]).all()
        np.testing.assert_allclose(found.sd[n].numpy()[holes], sd[holes], rtol=0.05)


def test_a_forecast_sets_out_from_the_last_step_seen(posterior):
    x, count = _series(), 20_000
    found, filtered = posterior.forecast(x, 3, samples=count), posterior.filter(x)
    assert found.states.shape == (2, 3, 2, 2)
    for n, last in ((0, 4), (1, 2)):
        # What each chain does next depends on its own state alone.
        states = filtered[n, last]
        for t in range(3):
            states = torch.einsum("mj,mjk->mk", states, KNOWN["transition"])
            assert ((found.states[n, t] - states).abs() < 5 * (states * (1 - states) / count).sqrt()).all()
            mean = KNOWN["loc"] + torch.einsum("dmk,mk->d", KNOWN["contributions"], states)
            assert ((found.mean[n, t] - mean).abs() < 5 * found.sd[n, t] / count**0.5).all()


def test_one_chain_is_a_hidden_markov_model():
    x = _series()
    pair, plain = zoo.create("factorial_hmm", chains=1, states=3, dim=2), zoo.create("hmm", states=3, dim=2, covariance="diag")
    program, other = Program(pair, x), Program(plain, x)
    values = {name: site["value"] for name, site in program.trace({}, x).nodes.items() if name in program.parameters}
    same = {
        "transition": values["transition"][0],
        "initial": values["initial"][0],
        "locs": values["loc"] + values["contributions"][:, 0].mT,
        "precisions": values["noise"].pow(-2).expand(3, -1),
    }
    torch.testing.assert_close(program.log_rows(values, x), other.log_rows(same, x))


def test_chains_find_what_made_the_series():
    pair = zoo.create("factorial_hmm", dim=2)
    how = inference.svi(pair, torch.randn(1, 120, 2), steps=1, draws=1, device="cpu", compile=False).how
    truth = {**KNOWN, "initial": torch.full((2, 2), 0.5)}
    x = Posterior(pair, {name: value[None, None] for name, value in truth.items()}, {}, how, None).generate(1, seed=2)
    fitted = inference.mcmc(zoo.create("factorial_hmm", x), x, chains=4, warmup=80, draws=80, device="cpu", compile=False)
    assert inference.diagnose(fitted).table["rhat"].max() < 1.1
    for name, value in KNOWN.items():
        draws = fitted.aligned[name].flatten(0, 1)
        assert ((draws.mean(0) - value).abs() < 4 * draws.std(0)).all(), name
    assert len(fitted.pair.picture(fitted).axes) == 3


def test_a_frame_of_series_is_decoded_chain_by_chain():
    frame = pd.DataFrame(_series()[..., 0].numpy())
    fitted = inference.svi(zoo.create("factorial_hmm", frame), frame, steps=2, draws=5, device="cpu", compile=False)
    states, shares = fitted.decode(frame).states, fitted.encode(frame)
    assert (list(states.columns), states.index.names) == (["state0", "state1"], ["series", "time"])
    assert shares.columns.names == ["chain_of_states", "state"]
    np.testing.assert_array_equal(shares.to_numpy().reshape(2, 5, 2, 2), fitted.encode(_series()[..., 0]))


def test_numbers_that_add_up_to_zero_have_the_conditional_density():
    basis = axes(4, torch.ones(1))
    torch.testing.assert_close(basis.mT @ basis, torch.eye(3))
    torch.testing.assert_close(basis.sum(0), torch.zeros(3))
    law = zero_sum_normal(torch.tensor([0.5, 2.0]), 4)
    value = law.sample()
    torch.testing.assert_close(value.sum(-1), torch.zeros(2))
    free = value @ basis
    truth = torch.distributions.Normal(0.0, torch.tensor([[0.5], [2.0]])).log_prob(free).sum(-1)
    torch.testing.assert_close(law.log_prob(value), truth)


@pytest.mark.parametrize(
    ("x", "given", "said"),
    [
        ([[1.0, 2.0]], {"chains": 11}, "11 chains of 2 states have 2048 states together, and at most 1024"),
        ([[1.0, 2.0]], {"states": 1}, "states=1"),
        ([[1.0, 2.0]], {"chains": 0}, "chains=0"),
        ([[3.0, 3.0]], {}, "constant"),
        ([1.0, 2.0, 3.0], {}, "3 series of one step each"),
    ],
)
def test_bad_input_is_refused_at_the_door(x, given, said):
    with pytest.raises(ValueError, match=said):
        zoo.create("factorial_hmm", x, **given)
