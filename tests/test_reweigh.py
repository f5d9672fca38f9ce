"""A guide's draws drawn again by their importance are those of the posterior."""

import dataclasses
import math

import numpy as np
import pytest
import torch

import inference
from inference import diagnose
from inference.diagnostics.reweigh import systematic
from inference.diagnostics.table import summarise
from tests.conjugate import Location, by_chains, location, rows
from tests.planted import PAIR, named, planted


@pytest.mark.parametrize("by", [0.8, 2.0])
def test_resampled_draws_are_those_of_the_posterior(by):
    posterior, exact = planted(by, 20_000), location(PAIR, rows())
    again = posterior.resampled(5000)
    loc, worth = again.draws["loc"].flatten(), min(5000, again.how["resampled"]["effective"])
    assert again.shape == (1, 5000)
    assert abs(loc.mean() - exact.mean) < 4 * exact.stddev / worth**0.5
    assert abs(loc.std() / exact.stddev - 1) < 4 / (2 * worth) ** 0.5
    before = posterior.draws["loc"].std() / exact.stddev
    assert abs(before - 1) > 0.15
    assert len(loc.unique()) > 0.99 * 5000 if by > 1 else len(loc.unique()) > 0.8 * 5000


def test_resampled_draws_are_a_posterior_like_another(tmp_path):
    again = planted(0.8).resampled(500, seed=3)
    assert again.how["method"] == "svi"
    assert set(again.stats) == {"lp", "loss"}
    assert torch.equal(planted(0.8).resampled(500, seed=3).draws["loc"], again.draws["loc"])
    assert not torch.equal(planted(0.8).resampled(500, seed=4).draws["loc"], again.draws["loc"])
    found = named(again, "resampled")
    assert found.severity == "good"
    assert "500 of 4000 draws" in found.evidence
    few = {**again.how, "resampled": {"draws": 4000, "effective": 30.0}}
    assert named(dataclasses.replace(again, how=few), "resampled").severity == "warning"
    assert "k-hat" not in [f.name for f in diagnose(again).findings]
    loaded = inference.load(again.save(tmp_path / "fit"), pair=Location)
    assert loaded.how["resampled"] == again.how["resampled"]
    with pytest.raises(ValueError, match="not known"):
        again.resampled()


def test_draws_that_cannot_be_reweighed_are_refused():
    with pytest.raises(ValueError, match=r"k-hat 0\.\d\d \(at most 0\.70\).*mcmc"):
        planted(0.1, seed=4).resampled()
    with pytest.raises(ValueError, match="not known"):
        by_chains(PAIR, rows()).resampled()
    with pytest.raises(ValueError, match="draws=0"):
        planted(1.0).resampled(0)
    broken = planted(1.0)
    broken.stats["lp"][0, 3] = math.nan
    with pytest.raises(ValueError, match="k-hat unknown, since the importance of some draws is not finite"):
        broken.resampled()


def test_systematic_draws_take_each_as_often_as_its_weight_says():
    weights = np.random.default_rng(0).dirichlet(np.ones(50))
    counts = np.bincount(systematic(weights, 1000, 0), minlength=50)
    assert (np.abs(counts - 1000 * weights) < 1).all()
    assert len(set(systematic(np.full(100, 0.01), 100, 1))) == 100
    few = np.stack([np.bincount(systematic(weights, 5, seed), minlength=50) for seed in range(2000)]).mean(0)
    assert np.abs(few - 5 * weights).max() < 5 * (5 * weights.max() / 2000) ** 0.5


def test_the_error_of_reweighed_means_is_that_of_what_the_draws_are_worth():
    found = [planted(2.0, 1000, seed).resampled(seed=seed) for seed in range(40)]
    errors = [diagnose(posterior).table["mcse_mean"]["loc"] for posterior in found[:3]]
    worth = found[0].how["resampled"]["effective"]
    assert worth < 900
    assert errors[0] == pytest.approx(float(found[0].draws["loc"].std()) / worth**0.5)
    means = np.array([posterior.mean("loc") for posterior in found])
    assert means.std(ddof=1) == pytest.approx(np.mean(errors), rel=0.4)


def test_few_draws_taken_of_many_are_worth_no_more_than_they_are():
    again = planted(0.9).resampled(100)
    assert summarise(again)["mcse_mean"]["loc"] == pytest.approx(float(again.draws["loc"].std()) / 10)
