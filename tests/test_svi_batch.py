"""Several starts as one batch, the optimisers and their steps, and the step as a graph."""

import arviz_stats
import numpy as np
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

import inference
from inference.fitting.guides import starts
from inference.fitting.optimiser import NAMES
from inference.fitting.restarts import Batch, fit_batch
from inference.fitting.schedule import APART, Constant, Cosine, Cycles, Settling
from inference.graphs.functorch import traceable
from inference.graphs.graph import traced
from inference.objectives import NegativeELBO
from inference.program import Program
from inference.recipe import Recipe
from tests.test_svi import Normal, _truth

Values = dict[str, Tensor]


def _made(x: Tensor, locs: list[float], particles: int = 4, guide: str | None = None) -> tuple[NegativeELBO, Values]:
    """An objective and a start at each of `locs`."""
    objective, values = starts(Program(Normal(), x), guide, [x] * len(locs), lambda p, g: NegativeELBO(p, g, particles))
    name = "guide.loc_unconstrained" if guide == "map" else "pair.q_loc_unconstrained"
    return objective, values | {name: torch.tensor(locs)}


def test_a_batch_of_points_takes_the_steps_that_each_takes_alone():
    x, recipe = torch.randn(9) + 1, Recipe(steps=30, schedule="constant")
    objective, values = _made(x[:, None], [-2.0, 0.5, 4.0], 1, "map")
    together = fit_batch(objective, values, x[:, None], recipe)
    for i in range(3):
        alone = fit_batch(objective, {n: v[i : i + 1] for n, v in values.items()}, x[:, None], recipe)
        torch.testing.assert_close(together.loss[:, i], alone.loss[:, 0], rtol=1e-12, atol=0)
        assert together.one(i).keys() == alone.one(0).keys()
        torch.testing.assert_close(together.one(i), alone.one(0), rtol=1e-12, atol=0)
    assert not torch.equal(together.loss[-1, 0], together.loss[-1, 2])


def test_starts_of_other_parameters_are_refused():
    x = torch.randn(9, 1)
    objective, _ = _made(x, [0.0])
    with pytest.raises(ValueError, match=r"the starts are of q_loc; the guide's parameters are pair\.q_loc_unconstrained, "):
        fit_batch(objective, {"q_loc": torch.zeros(1)}, x)


def test_starts_have_their_own_noise():
    x = torch.randn(9, 1)
    fits = fit_batch(*_made(x, [1.0, 1.0]), x, Recipe(steps=3))
    assert (fits.loss[:, 0] != fits.loss[:, 1]).all()


def test_all_starts_of_a_batch_settle_and_one_that_fails_stops_none():
    x = torch.randn(9) + 1
    fits = fit_batch(*_made(x[:, None], [-3.0, torch.nan, 3.0, 1.0]), x[:, None])
    mean, sd = _truth(x)
    assert fits.stopped.startswith("converged")
    fitted = fits.parameters["pair.q_loc_unconstrained"]
    assert ((fitted - mean).abs() < 0.02 * sd).tolist() == [True, False, True, True]
    assert fits.final.isinf().tolist() == [False, True, False, False]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own, as it imports its compiler
def test_interpreted_traced_and_compiled_steps_agree(caplog):
    x = torch.randn(9, 1)
    objective, values = _made(x, [0.5])
    parameters = {n: v[0] for n, v in values.items()}
    function = torch.func.grad_and_value(objective.loss)
    runs = [traced(function, parameters, x, missing=False, compile=compile) for compile in (False, True)]
    found = []
    with traceable():
        for run in (function, *runs):
            torch.manual_seed(5)
            found.append(run(parameters, x))
    for grads, loss in found[1:]:
        torch.testing.assert_close(loss, found[0][1], rtol=1e-9, atol=0)
        torch.testing.assert_close(grads, found[0][0], rtol=1e-9, atol=1e-12)
    assert "could not compile" not in caplog.text


@pytest.mark.parametrize("name", NAMES)
def test_every_optimiser_goes_down_and_goes_on_from_an_export(name):
    x = torch.randn(9, 1)
    lr = {"Adadelta": 10.0, "SGD": 0.01, "ASGD": 0.01}.get(name, 0.05)
    made = _made(x, [5.0, -5.0])
    first, second = (Batch(*made, x, Recipe(steps=40, lr=lr, optimiser=name, compile=False)) for _ in range(2))
    first.advance(20)
    saved = first.export()
    first.advance(20)
    second.adopt(*saved)
    second.advance(20)
    assert all(torch.equal(value, second.parameters[n]) for n, value in first.parameters.items())
    losses = [batch.export()[0]["losses"] for batch in (first, second)]
    assert torch.equal(*losses)
    assert (losses[0][-1] < losses[0][0]).all()


def test_a_clipped_gradient_has_the_norm_asked_for_and_a_short_one_is_left_alone():
    x = torch.randn(9, 1)
    objective, values = _made(x, [5.0, -3.0])
    moved = {}
    for clip in (None, 0.1, 1e9):
        torch.manual_seed(1)
        fits = fit_batch(objective, values, x, Recipe(steps=1, lr=1.0, optimiser="SGD", schedule="constant", clip=clip))
        moved[clip] = torch.stack([fits.parameters[n] - v for n, v in values.items()], 1)
    assert torch.equal(moved[1e9], moved[None])
    torch.testing.assert_close(moved[0.1].norm(dim=1), torch.full((2,), 0.1))
    torch.testing.assert_close(moved[0.1] / 0.1, moved[None] / moved[None].norm(dim=1, keepdim=True))


def test_the_rates_of_the_schedules():
    assert [Cosine(100).rate(i) for i in (0, 50, 100)] == pytest.approx([1.0, 0.5, 0.0])
    assert Constant(100).rate(99) == 1.0
    settling, flat = Settling(5000), torch.randn(300, 2)
    assert not settling.done(flat, False)
    assert (settling.rate(300), settling.since) == (0.3, 300)
    falling = torch.cat([flat, torch.linspace(9, 0, 300)[:, None] + flat])
    assert not settling.done(falling, False)
    assert settling.since == 300


@pytest.mark.parametrize(
    ("schedule", "said"), [("constant", "the loss no longer falls"), ("cosine", "the loss no longer falls"), ("cycles", "twice the steps")]
)
def test_a_schedule_of_all_steps_tells_whether_the_loss_has_settled(schedule, said):
    x = torch.randn(9) + 1
    fitted = inference.svi(Normal(), x, steps=900, schedule=schedule, draws=5, device="cpu")
    assert fitted.how["stopped"].startswith(f"converged after 900 steps: {said}")
    assert fitted.pair.q_loc.item() == pytest.approx(_truth(x)[0], abs=0.05 * _truth(x)[1])
    short = inference.svi(Normal(), x + 100, steps=600, schedule=schedule, draws=5, device="cpu")
    assert short.how["stopped"].startswith("reached the limit of 600 steps")


def test_cycles_tell_what_twice_the_steps_gained_and_not_what_a_lower_rate_did():
    assert [Cycles(900, 1).rate(i) for i in (0, 150, 300, 600, 900)] == pytest.approx([1.0, 0.5, 1.0, 0.5, 0.0])
    noise = torch.randn(900, 1)
    # A loss that falls only because the rate does, and one that the steps themselves lower.
    floor = torch.tensor([Cycles(900, 1).rate(i) for i in range(900)])[:, None]
    heard, loud, falling = Cycles(900, 1), Cycles(900, 1), Cycles(900, 1)
    assert heard.done(9 * floor + 0.1 * noise, True)
    assert heard.heard
    assert loud.done(9 * floor + 20 * noise, True)
    assert not loud.heard
    assert not falling.done(9 * floor + noise - torch.linspace(0, 9, 900)[:, None], True)
    assert falling.unsettled.startswith("the loss still settling: twice the steps gained 5.48 nats")
    assert falling.unsettled.endswith("as if each of 1 numbers inferred had moved by 3.3 standard deviations (0.2 is let be)")


@pytest.mark.parametrize(("numbers", "settled"), [(0, False), (1, False), (500, False), (600, True)])
def test_what_twice_the_steps_gained_is_held_against_how_many_numbers_are_inferred(numbers, settled):
    # Of 600 numbers that share 11 nats each moves by sqrt(2 * 11 / 600) = 0.19 standard deviations; of 500, by 0.21.
    losses = torch.randn(900, 1) + torch.cat([torch.full((300, 1), 11.0), torch.zeros(600, 1)])
    schedule = Cycles(900, numbers)
    assert schedule.done(losses, True) == settled
    assert schedule.heard
    assert "gained 11 nats" in schedule.reason


def test_a_move_that_is_let_be_is_one_that_chains_are_granted():
    first = torch.randn(4000, dtype=torch.double)
    first = (first - first.mean()) / first.std()
    pair = np.stack([first.numpy(), (first + APART).numpy()])
    assert float(arviz_stats.rhat(pair, method="identity", chain_axis=0, draw_axis=1)) == pytest.approx(1.01, abs=1e-3)
    moved = torch.distributions.kl_divergence(dist.Normal(APART, 1.0), dist.Normal(0.0, 1.0))
    assert float(moved) == pytest.approx(APART**2 / 2)


class Weighed(Normal):
    """Its rows are shifted by a point that the model learns, which has no scale, and the guide has a network."""

    def __init__(self) -> None:
        super().__init__()
        self.shift, self.q_net = torch.nn.Parameter(torch.zeros(3)), torch.nn.Linear(2, 2)


@pytest.mark.parametrize("guide", [None, "map"])
def test_the_numbers_inferred_are_those_of_shared_latents(guide):
    assert _made(torch.randn(9, 1), [0.0], guide=guide)[0].inferred == 1
    assert NegativeELBO(Program(Weighed(), torch.randn(9, 1)), Weighed().guide).inferred == 1


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"optimiser": "Adamm"}, "no optimiser 'Adamm'; did you mean 'Adam'"),
        ({"optimiser": "LBFGS"}, "no optimiser 'LBFGS'"),
        ({"schedule": "cosin"}, "no schedule 'cosin'; did you mean 'cosine'"),
        ({"clip": 0.0}, "clip=0.0 must be a positive number"),
        ({"patience": 0}, "patience=0 must be a whole number of at least 1"),
        ({"compile": "no"}, "compile='no' must be 'auto', True or False"),
    ],
)
def test_settings_are_refused_by_name(given, said):
    with pytest.raises(ValueError, match=said):
        inference.svi(Normal(), torch.randn(9), device="cpu", **given)
