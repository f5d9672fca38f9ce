"""Rows that a pair draws anew for every step: that a fit sees these, and pixels drawn by their shades."""

import dataclasses

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.nn import PyroParam
from torch import Tensor

import inference
import zoo


class Level(inference.Pair):
    """Numbers about a level; `moved` is what a step sees them higher by.

    | symbol | distribution     | shape | meaning   |
    |--------|------------------|-------|-----------|
    | level  | Normal(0, 10)    | ()    | the level |
    | x      | Normal(level, 1) | (N,)  | numbers   |
    """

    def __init__(self, moved: float = 0.0) -> None:
        self.moved, self.q_loc = moved, PyroParam(torch.tensor(0.0))

    def model(self, x: Tensor, size: int | None = None) -> None:
        level = pyro.sample("level", dist.Normal(x.new_tensor(0.0), 10.0))
        with self.rows(x, size):
            pyro.sample("x", dist.Normal(level, 1.0), obs=x[:, 0])

    def guide(self, x: Tensor, size: int | None = None) -> None:
        pyro.sample("level", dist.Normal(self.q_loc, 0.3))

    def augment(self, x: Tensor) -> Tensor:
        return x + self.moved


@pytest.mark.parametrize("restarts", [1, 2])
def test_a_fit_and_the_rows_held_out_of_it_see_what_is_drawn_anew(restarts):
    x, held = torch.arange(6.0)[:, None], torch.tensor([[1.0], [2.0]])
    how = {"steps": 100, "batch": 3, "restarts": restarts, "device": "cpu", "compile": False}
    moved = inference.svi(Level(moved=5.0), x, validation=held, **how)
    plain = inference.svi(Level(), x + 5.0, validation=held + 5.0, **how)
    for name in ("loss", "validation"):
        torch.testing.assert_close(moved.stats[name], plain.stats[name], rtol=1e-12, atol=0, equal_nan=True)
    assert moved.stats["validation"].isfinite().any()


def test_pixels_are_drawn_by_their_shades_each_time_and_holes_and_covariates_stay():
    x = torch.tensor([[0.0, 0.2, 0.7, 1.0, torch.nan, 3.5]]).repeat(4000, 1)
    x[0, 4] = 1.0
    pair = zoo.create("vae", x, latents=2, hidden=[3], activation="tanh", binarise=True, covariates=1)
    drawn = pair.augment(x)
    assert set(drawn[:, :4].unique().tolist()) == {0.0, 1.0}
    shades = x[0, :4]
    assert ((drawn[:, :4].mean(0) - shades).abs() <= 5 * (shades * (1 - shades) / len(x)).sqrt()).all()
    torch.testing.assert_close(drawn[:, 4:], x[:, 4:], rtol=0, atol=0, equal_nan=True)
    assert not torch.equal(drawn[:, 1], pair.augment(x)[:, 1])


def test_beside_drawn_pixels_the_label_stays_known_or_not():
    x = torch.tensor([[0.0, 0.5, torch.nan, 1.0, 2.0], [1.0, 0.5, 0.0, 1.0, torch.nan]]).repeat(50, 1)
    pair = zoo.create("cvae", x, hidden=[3], labels=4, binarise=True)
    drawn = pair.augment(x)
    assert set(drawn[:, 1].tolist()) == {0.0, 1.0}
    torch.testing.assert_close(drawn[:, [0, 2, 3, 4]], x[:, [0, 2, 3, 4]], rtol=0, atol=0, equal_nan=True)
    plain = zoo.create("cvae", x, hidden=[3], labels=4)
    torch.testing.assert_close(plain.augment(x), x, rtol=0, atol=0, equal_nan=True)


def test_drawn_pixels_are_of_one_likelihood():
    with pytest.raises(ValueError, match="binarise=True.*likelihood='gaussian'.*'bernoulli'"):
        zoo.create("vae", likelihood="gaussian", binarise=True)


def test_data_sets_drawn_are_held_against_rows_as_the_fit_saw_them():
    x = torch.arange(6.0)[:, None]
    fit = inference.svi(Level(moved=5.0), x, steps=200, draws=100, device="cpu", compile=False)
    table = fit.check({"mean": lambda x: x.mean()}, draws=100).table
    assert table["observed"]["mean"] == 7.5
    assert table["p"]["mean"] > 0.05
    # A sampler goes over the rows as they are.
    chains = dataclasses.replace(fit, how={**fit.how, "method": "nuts"})
    assert chains.check({"mean": lambda x: x.mean()}, draws=100).table["observed"]["mean"] == 2.5


def test_shades_are_checked_as_the_pixels_drawn_by_them():
    x = torch.full((60, 4), 0.5)
    fit = inference.svi(zoo.create("vae", x, latents=1, hidden=[2], binarise=True), x, steps=2, batch=60, device="cpu", compile=False)
    checks = fit.check({"grey": lambda x: ((x > 0) & (x < 1)).sum().to(x.dtype), "black": lambda x: x.mean()}, draws=100)
    assert checks.table["observed"]["grey"] == 0
    assert 0.3 < checks.table["observed"]["black"] < 0.7
    assert fit.check({"grey": lambda x: (x > 0).sum().to(x.dtype)}, draws=100, seed=1).table["observed"].iloc[0] != 240
