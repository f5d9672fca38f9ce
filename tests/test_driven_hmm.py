"""Hidden Markov models whose transitions and emissions depend on covariates."""

import numpy as np
import pytest
import torch
from torch import Tensor

import inference
import zoo
from inference import Posterior
from inference.program import Program
from tests.oracles import covariates as by_hand
from tests.oracles import hmm as oracle
from tests.oracles.short_series import counts, numbers, several

SEVERAL = ["student", "negative_binomial", "gamma", "bernoulli"]
QUICK = {"device": "cpu", "compile": False, "progress": False}


def _beside(x: np.ndarray) -> Tensor:
    return torch.as_tensor(by_hand.beside(x.reshape(*x.shape[:2], -1)))


def _drawn(program: Program) -> dict[str, Tensor]:
    sites = program.trace({}, program.x).nodes
    return {name: sites[name]["value"] for name in program.parameters}


def _known(pair, x: Tensor, draws: int, **values: Tensor) -> Posterior:
    """A posterior whose draws are all these values."""
    draws = {name: value.expand(1, draws, *value.shape) for name, value in values.items()}
    return Posterior.of(pair, draws, {}, {"method": "svi"}, inference.as_table(x))


@pytest.fixture(scope="module")
def posterior() -> Posterior:
    x = _beside(numbers(1))
    x[1, 1, 0] = torch.nan
    return inference.svi(zoo.create("hmm", x, covariates=2), x, steps=2, draws=20, **QUICK)


@pytest.mark.parametrize("act_on", ["transition", "emission", "both"])
@pytest.mark.parametrize(
    ("emission", "x"), [("gaussian", numbers(2)), ("poisson", counts()), ("exponential", counts() + 0.5), (SEVERAL, several())]
)
def test_every_family_has_the_density_by_hand(emission, x, act_on):
    x = _beside(x)
    pair = zoo.create("hmm", x, states=2, emission=emission, covariates=2, act_on=act_on, effect_scale=0.7, shrinkage=0.3)
    x[0, 1, : pair.dim] = torch.nan
    x[2, 2:] = torch.nan
    program = Program(pair, x)
    values = _drawn(program)
    assert ("effects" in values, "transition_effects" in values) == (act_on != "transition", act_on != "emission")
    truth = oracle.log_joint(pair, {n: v.numpy() for n, v in values.items()}, x.numpy())
    assert program.log_joint(values, x).item() == pytest.approx(truth, rel=1e-10)


def test_without_effects_it_is_the_one_without_covariates():
    x = _beside(numbers(2))
    pair = zoo.create("hmm", x, covariates=2)
    plain = zoo.create("hmm", x[..., :2], center=pair.hyperparameters["center"][:2], spread=pair.hyperparameters["spread"][:2])
    program = Program(pair, x)
    values = _drawn(program)
    values |= {name: torch.zeros_like(values[name]) for name in ("effects", "transition_effects")}
    same = Program(plain, x[..., :2]).log_rows(values, x[..., :2])
    torch.testing.assert_close(program.log_rows(values, x), same, rtol=1e-12, atol=1e-12)


def test_states_are_those_of_all_paths():
    x = _beside(numbers(1))
    x[1, 1, 0] = torch.nan
    x[3, 2:] = torch.nan
    pair = zoo.create("hmm", x, states=3, covariates=2)
    program = Program(pair, x)
    values = _drawn(program)
    law, rows = program.observation(values, x)
    arrays = {name: value.numpy() for name, value in values.items()}
    probabilities, moves = law.smoothed(rows)
    for n in range(4):
        row = x[n].numpy()
        chain = by_hand.chain(pair.hyperparameters, arrays, row), by_hand.emission(pair.hyperparameters, arrays, row)
        np.testing.assert_allclose(probabilities[n], oracle.smoothed(*chain[0], chain[1]), atol=1e-10)
        assert tuple(law.decode(rows)[n].tolist()) == oracle.likeliest(*chain[0], chain[1])
        expected = np.zeros((3, 3))
        total = oracle.log_row(*chain[0], chain[1])
        for path, weight in oracle.paths(*chain[0], chain[1]):
            for t in range(1, 2 if n == 3 else 3):
                expected[path[t - 1], path[t]] += np.exp(weight - total)
        np.testing.assert_allclose(moves[n], expected, atol=1e-10)
    torch.testing.assert_close(law.increments(rows).sum(-1), law.log_prob(rows))
    torch.testing.assert_close(law.filter(rows).probs[:, -1], probabilities[:, -1])


def _planted(series: int, steps: int) -> tuple[Tensor, Tensor]:
    """Series that switch between two states the more readily the larger a covariate is, with slopes of -1 and 2 on another; the states."""
    generator = np.random.default_rng(3)
    given = generator.normal(size=(series, steps, 2)) + np.array([1.0, 5.0])
    states = np.zeros((series, steps), int)
    for t in range(1, steps):
        leaves = 1 / (1 + np.exp(2.5 - 1.5 * (given[:, t, 0] - 1.0)))
        states[:, t] = np.where(generator.random(series) < leaves, 1 - states[:, t - 1], states[:, t - 1])
    shown = np.array([0.0, 3.0])[states] + np.array([-1.0, 2.0])[states] * (given[..., 1] - 5.0) + 0.5 * generator.normal(size=states.shape)
    return torch.as_tensor(np.concatenate([shown[..., None], given], -1)), torch.as_tensor(states)


def test_planted_effects_are_found():
    x, states = _planted(20, 60)
    pair = zoo.create("hmm", x, covariates=2)
    posterior = inference.svi(pair, x, steps=250, draws=200, **QUICK)
    found = posterior.mean("effects")[:, 0]
    order = np.argsort(found[:, 1])
    np.testing.assert_allclose(found[order, 1], [-1.0, 2.0], atol=0.1)
    np.testing.assert_allclose(found[:, 0], 0.0, atol=0.1)
    np.testing.assert_allclose(posterior.mean("locs")[order, 0], [0.0, 3.0], atol=0.15)
    # Effects on the logits of staying and of leaving add up to zero: half of the difference each.
    moves = posterior.mean("transition_effects")[order][:, :, order]
    np.testing.assert_allclose([moves[0, 0, 1], moves[1, 0, 0]], 0.75, atol=0.2)
    np.testing.assert_allclose(moves[:, 1], 0.0, atol=0.2)
    decoded = torch.as_tensor(np.argsort(order))[posterior.decode(x).states.long()]
    assert (decoded == states).double().mean() > 0.95


ONE = {"locs": torch.tensor([[1.0]]), "effects": torch.tensor([[[0.5, -2.0]]]), "precisions": torch.tensor([[4.0]])}
CENTER = [0.0, 1.0, -1.0]


def test_a_forecast_of_one_state_is_that_of_the_regression():
    x = _beside(numbers(1))
    x[1, 1:] = torch.nan
    pair = zoo.create("hmm", states=1, covariates=2, covariance="diag", center=CENTER)
    values = ONE | {"transition": torch.ones(1, 1), "initial": torch.ones(1)}
    posterior, count = _known(pair, x, 4, **values), 20_000
    given = torch.randn(4, 3, 2)
    found = posterior.forecast(x, 3, given=given, samples=count)
    mean = 1.0 + (given - torch.tensor(CENTER[1:])) @ torch.tensor([0.5, -2.0])
    assert found.mean.shape == (4, 3, 3)
    assert ((found.mean[..., 0] - mean).abs() < 5 * 0.5 / count**0.5).all()
    torch.testing.assert_close(found.sd[..., 0], torch.full((4, 3), 0.5), rtol=0.04, atol=0.0)
    torch.testing.assert_close(found.mean[..., 1:], given)
    same = posterior.forecast(x, 3, given=given[0], samples=count)
    torch.testing.assert_close(same.mean[0], found.mean[0])


def test_a_forecast_knows_the_states_that_covariates_lead_to():
    x = _beside(numbers(1))
    x[2, 2:] = torch.nan
    pair = zoo.create("hmm", x, states=2, covariates=2, act_on="transition")
    values = _drawn(Program(pair, x))
    posterior = _known(pair, x, 1, **values)
    given, count = 3 * torch.randn(4, 2, 2), 20_000
    states = posterior.forecast(x, 2, given=given, samples=count).states
    arrays = {name: posterior.aligned[name][0, 0].numpy() for name in values}
    for n, seen in enumerate((3, 3, 2, 3)):
        row = np.concatenate([x[n, :seen].numpy(), np.concatenate([np.full((2, 1), np.nan), given[n].numpy()], 1)])
        terms = by_hand.emission(pair.hyperparameters, arrays, row)
        truth = oracle.smoothed(*by_hand.chain(pair.hyperparameters, arrays, row), terms)[seen:]
        np.testing.assert_allclose(states[n], truth, atol=5 * 0.5 / count**0.5)


def test_past_the_end_of_a_series_covariates_may_be_missing_and_count_for_nothing(posterior):
    x = _beside(numbers(1))
    longer = torch.cat([x, torch.full((4, 2, 3), torch.nan)], 1)
    torch.testing.assert_close(posterior.log_likelihood(longer), posterior.log_likelihood(x))
    starts = []
    for series in (x, longer):
        pair = zoo.create("hmm", x, covariates=2)
        torch.manual_seed(0)
        pair.start(series)
        starts.append(dict(pair.named_parameters()))
    torch.testing.assert_close(*starts)
    filled = posterior.impute(longer)
    assert filled.mean[:, 3:].isnan().all()
    torch.testing.assert_close(filled.mean[:, :3], x)
    told = longer.clone()
    told[..., 1:] = 0.5
    assert posterior.impute(told).mean.isfinite().all()


def test_one_step_and_one_state_are_enough_to_be_asked_about(posterior):
    x = _beside(numbers(1))
    assert posterior.encode(x[:, :1]).shape == (4, 1, 2)
    assert posterior.paths(x[:, :1]).shape == (1, 20, 4, 1)
    assert {"effects"} == {name for name in Program(zoo.create("hmm", x, states=1, covariates=2), x).parameters if "effects" in name}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"covariates": 3}, "covariates=3: these rows have 3 columns, so that none is left"),
        ({"covariates": 1, "dim": 1}, r"reads series of 2 columns \(dim=1, covariates=1\), and these have 3"),
        ({"covariates": 2, "emission": "categorical"}, "emission='categorical': covariates cannot move categories"),
        ({"covariates": 2, "emission": "autoregressive"}, "act_on='transition'"),
        ({"covariates": -1}, "covariates=-1"),
        ({"covariates": 2, "center": [0.0]}, "center has 1 numbers and there are 3 columns"),
    ],
)
def test_covariates_that_cannot_be_are_refused(given, said):
    x = _beside(np.abs(numbers(1)).round())
    with pytest.raises(ValueError, match=said):
        zoo.create("hmm", x, **given)


def test_what_is_not_told_of_covariates_is_refused_where_it_is_needed(posterior):
    x = _beside(numbers(1))
    refused = {
        "the last 2 columns of its rows are given, and not drawn by the model; say what they are in the 5 steps": {},
        r"given= must be of shape \(5, 2\) or \(4, 5, 2\), not \(2, 5\)": {"given": torch.zeros(2, 5)},
        "given=nan in the steps to come": {"given": torch.full((5, 2), torch.nan)},
    }
    for said, given in refused.items():
        with pytest.raises(ValueError, match=said):
            posterior.forecast(x, 5, **given)
    plain = zoo.create("hmm", x[..., :1])
    plain = _known(plain, x[..., :1], 1, **_drawn(Program(plain, x[..., :1])))
    with pytest.raises(ValueError, match="has no covariates, so that given= says nothing"):
        plain.forecast(x[..., :1], 5, given=torch.zeros(5, 2))
    x[1, 1, 2] = torch.nan
    for ask in (lambda: posterior.encode(x), lambda: inference.svi(posterior.pair, x)):
        with pytest.raises(ValueError, match="row 1, time 1, covariate 1: missing .1 such values in all., and covariates are given"):
            ask()


def test_series_with_covariates_are_replicated_kept_and_pictured(posterior, tmp_path):
    x = posterior.table.x
    tree = posterior.to_arviz(groups="all")
    assert tree["posterior_predictive"]["x"].shape == (1, 20, 4, 3, 1)
    assert tree["prior_predictive"]["x"].shape[2:] == (4, 3, 1)
    np.testing.assert_allclose(tree["constant_data"]["x_given"], x[..., 1:])
    assert list(tree["posterior"]["transition_effects"].dims[2:]) == ["state", "covariate", "next"]
    again = inference.load(posterior.save(tmp_path / "fit"))
    torch.testing.assert_close(again.table.x, x, equal_nan=True)
    assert len(again.pair.picture(again).axes) == 8
    filled = posterior.generate(given=x)
    torch.testing.assert_close(filled[..., 1:], x[..., 1:])
    assert filled.isfinite().all()


def test_an_autoregression_may_have_covariates_in_its_transitions():
    x = torch.cat([torch.randn(3, 8, 1).cumsum(1), torch.randn(3, 8, 1)], -1)
    pair = zoo.create("hmm", x, emission="autoregressive", covariates=1, act_on="transition")
    found = _known(pair, x, 5, **_drawn(Program(pair, x))).forecast(x, 2, given=torch.zeros(2, 1), samples=50)
    assert found.mean.isfinite().all()
    assert found.mean.shape == (3, 2, 2)
