"""Angles are checked as points on a circle, and the steps of series together."""

import math

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from inference import Pair, Posterior, as_table
from inference.diagnostics.predictive_picture import _told
from inference.diagnostics.quantities import BY_COLUMN, of_any
from zoo.series.quantities import persistence
from zoo.series.von_mises import VonMises

ANGLES = ["direction", "resultant", "q25", "median", "q75"]


class Wind(Pair):
    """Directions about one, told from 0 to a whole turn.

    | symbol | distribution     | shape | meaning       |
    |--------|------------------|-------|---------------|
    | loc    | Normal(0, 1)     | ()    | the direction |
    | x      | VonMises(loc, 4) | (N,)  | angles        |
    """

    angles = (0.0,)

    def __init__(self) -> None:
        pass

    def model(self, x: Tensor, size: int | None = None) -> None:
        loc = pyro.sample("loc", dist.Normal(x.new_zeros(()), 1.0))
        with self.rows(x, size):
            pyro.sample("x", VonMises(loc, loc.new_tensor(4.0), 0.0), obs=x[:, 0])


def wind(moved: float) -> Posterior:
    """Of 200 angles that lie `moved` from what the draws say."""
    torch.manual_seed(0)
    x = torch.remainder(VonMises(torch.zeros(200), torch.tensor(4.0)).sample() + moved, 2 * math.pi)[:, None]
    draws = {"loc": 0.03 * torch.randn(4, 100)}
    return Posterior.of(Wind(), draws, {}, {"method": "nuts", "settings": {}, "seed": 0, "seconds": 1.0}, as_table(x))


def test_angles_on_both_sides_of_where_a_turn_begins_are_one_heap():
    table = wind(0.0).check(draws=100).table
    assert list(table.index) == ANGLES
    assert (table["p_all"] > 0.05).all()
    # As of 200 numbers of variance 1 / (4 A(4)), where A(4) = 0.864 is the resultant.
    assert table["sd"]["direction"] == pytest.approx((1 / (200 * 4 * 0.864) + 0.03**2) ** 0.5, rel=0.3)
    assert table["mean"]["resultant"] == pytest.approx(0.864, abs=0.02)


def test_a_direction_that_is_off_is_told_by_how_much():
    checks = wind(0.6).check(draws=100)
    assert {"direction", "median"} <= set(checks.unlikely.index)
    apart = checks.table["observed"]["direction"] - checks.table["mean"]["direction"]
    assert apart == pytest.approx(0.6, abs=0.2)


def test_whole_turns_change_nothing():
    x = VonMises(torch.full((41, 1), 3.0), torch.tensor(2.0)).sample()
    x[4] = torch.nan
    quantities = of_any(as_table(x), 0, (-math.pi,))
    assert list(quantities) == ANGLES
    turned = x + 2 * math.pi * torch.randint(-2, 3, x.shape)
    for quantity in quantities.values():
        torch.testing.assert_close(quantity(turned), quantity(x), rtol=0, atol=1e-9)
    seen = x[~x.isnan()].numpy()
    mean = np.exp(1j * seen).mean()
    assert float(quantities["direction"](x)) % (2 * math.pi) == pytest.approx(np.angle(mean) % (2 * math.pi))
    assert float(quantities["resultant"](x)) == pytest.approx(abs(mean))
    off = np.angle(np.exp(1j * seen) / mean)
    assert float(quantities["q75"](x) - quantities["direction"](x)) == pytest.approx(np.quantile(off, 0.75))


def test_an_angle_is_held_against_a_number_by_cosine_and_sine():
    x = torch.stack([torch.linspace(-3, 3, 50), torch.linspace(-3, 3, 50).sin(), torch.randn(50)], 1)
    named = of_any(as_table(x), 0, (-math.pi, None, None))
    correlations = {name: float(q(x)) for name, q in named.items() if name.startswith("correlation")}
    assert list(correlations) == [f"correlation[{pair}]" for pair in ("cos 0~1", "sin 0~1", "cos 0~2", "sin 0~2", "1~2")]
    assert correlations["correlation[sin 0~1]"] == pytest.approx(1)
    assert [name for name in named if name.endswith("[0]")] == [f"{name}[0]" for name in ANGLES]


def test_steps_of_series_are_taken_together():
    x = torch.randn(3, 7, 2)
    x[0, 5:] = torch.nan
    of_series = of_any(as_table(x), 0, (), series=True)
    assert list(of_series)[:2] == ["mean[0]", "mean[1]"] and "correlation[0~1]" in of_series
    assert float(of_series["mean[1]"](x)) == pytest.approx(float(x[..., 1].nanmean()))
    assert list(of_any(as_table(x[..., 0]), 0, (), series=True)) == list(BY_COLUMN)
    assert float(of_any(as_table(x))["max"](x)) == float(x.nan_to_num(-9).max())  # of no table, all values together


def test_a_picture_has_angles_on_the_turn_that_they_are_told_on():
    posterior = wind(0.0)
    told = _told(posterior, posterior.table.x - 2 * math.pi)
    np.testing.assert_allclose(told, posterior.table.x.numpy(), atol=1e-9)


def test_angles_that_stay_and_angles_that_turn_about():
    x = torch.tensor([[3.1, -3.1, torch.nan, 0.0, math.pi]])
    assert float(persistence(x, 0)) == pytest.approx((math.cos(2 * math.pi - 6.2) - 1) / 2)
