"""Chains in different modes are told apart, and each mode is given the weight that it has."""

import dataclasses
import math

import numpy as np
import pytest
import torch

import inference
from inference import Rotation, diagnose
from tests.two_sided import Exchangeable, Positive, TwoSided, found, known, settled

from .test_report import finding


@pytest.mark.parametrize(
    ("pair", "at"),
    [
        (TwoSided(1), 5.0),
        (TwoSided(3), 5.0),
        (TwoSided(10), 3.0),
        (Exchangeable(2), 5.0),
        (Exchangeable(3), 2.5),
        (Positive(2), 3.0),
        (TwoSided(3, first=0.2), 5.0),
    ],
    ids=["one", "three", "ten", "two alike", "three alike", "positive", "the narrow one heavier"],
)
def test_modes_have_the_weights_that_are_known(pair, at):
    posterior = settled(pair, at)
    modes, truth = found(posterior), known(pair.first, posterior.table.x)[0]
    heavier = [[0, 2, 3], [1]] if truth[0] > truth[1] else [[1], [0, 2, 3]]
    assert modes.chains == heavier
    assert modes.unknown == ""
    for log_weight, expected in zip(modes.log_weights, truth.sort(descending=True).values.tolist(), strict=True):
        assert max(modes.errors) < 0.05
        assert abs(log_weight - expected) < 4 * math.hypot(*modes.errors)
    assert sum(map(math.exp, modes.log_weights)) == pytest.approx(1.0)


def test_errors_are_honest():
    """Over 20 runs, the estimates of the log odds scatter as their errors say."""
    estimates, errors = [], []
    for _ in range(20):
        modes = found(settled(TwoSided(2), draws=200))
        estimates.append(modes.log_weights[0] - modes.log_weights[1])
        errors.append(math.hypot(*modes.errors))
    truth = known(0.8, torch.full((1, 2), 5.0))[0]
    scaled = (np.array(estimates) - float(truth[0] - truth[1])) / np.array(errors)
    assert 0.5 < scaled.std() < 1.6
    assert abs(scaled.mean()) < 4 / 20**0.5


def test_a_chain_that_goes_astray_in_single_precision_is_weighed_too():
    posterior = settled(TwoSided(3))
    single = dataclasses.replace(posterior, draws={n: d.float() for n, d in posterior.draws.items()})
    assert found(single).log_weights == pytest.approx(found(posterior).log_weights, abs=0.03)


def test_many_chains_in_three_groups():
    posterior = settled(TwoSided(2), where=(0, 1) * 10, draws=200)
    posterior.draws["loc"][19] += 30.0
    modes = found(posterior)
    assert sorted(map(len, modes.chains)) == [1, 9, 10]
    assert modes.chains[2] == [19]
    assert modes.log_weights[2] < -20


def test_chains_that_agree_or_cross_are_one_group():
    assert found(settled(TwoSided(2), where=(0, 0, 0, 0))) is None
    crossing = settled(TwoSided(2), where=(0, 1, 0, 1))
    crossing.draws["loc"][3, ::2] = crossing.draws["loc"][0, ::2]
    assert found(crossing) is None


def test_chains_that_wander_are_not_taken_for_modes():
    walk = torch.randn(4, 500, 1).cumsum(1)
    assert found(dataclasses.replace(settled(TwoSided(1)), draws={"loc": walk})) is None


def test_label_switching_alone_is_no_mode():
    posterior = settled(Exchangeable(2), where=(0, 0, 0, 0))
    loc = posterior.draws["loc"] + torch.tensor([0.0, 20.0])
    loc[1] = loc[1].flip(-1)
    switched = dataclasses.replace(posterior, draws={"loc": loc})
    assert found(switched) is None
    assert found(dataclasses.replace(switched, pair=TwoSided(2))) is not None


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda p: dataclasses.replace(p, table=None), "rows were not kept"),
        (lambda p: dataclasses.replace(p, draws={"loc": p.draws["loc"][:, :12]}), "3 parameters need more draws"),
        (lambda p: dataclasses.replace(p, draws={"loc": p.draws["loc"][..., :1].expand(-1, -1, 3)}), "do not vary in every parameter"),
    ],
    ids=["no rows", "few draws", "one direction"],
)
def test_weights_that_cannot_be_known_say_why(spoil, reason):
    posterior = spoil(settled(TwoSided(3)))
    modes = found(posterior)
    assert reason in modes.unknown
    assert modes.log_weights == modes.errors == []
    assert reason in finding(diagnose(posterior), "modes").advice


def test_rotated_draws_have_no_volume():
    pair = TwoSided(3)
    pair.symmetries = (Rotation({"loc": 0}),)
    posterior = settled(pair)
    posterior.draws["loc"][1] *= 3
    assert "no volume" in found(posterior).unknown


def test_a_finding_says_which_chains_sit_where_and_what_that_weighs():
    report = diagnose(settled(TwoSided(3)))
    assert not report.ok
    said = finding(report, "modes")
    assert said.evidence.startswith("2 modes, apart in loc[")
    assert "chains 0, 2, 3 (weight 0.81) and chain 1 (weight 0.19)." in said.evidence
    assert "posterior.keep" in said.advice
    assert "modes told next" in finding(report, "R-hat").advice


def test_weights_come_with_their_draws_and_their_error():
    posterior = settled(TwoSided(3))
    said, modes = finding(diagnose(posterior), "modes").evidence, found(posterior)
    assert modes.draws == [1500, 500]
    assert f"from 500 draws of each; their logarithms are known to {max(modes.errors):.2g}." in said


def test_a_mode_of_no_weight_can_be_dropped():
    posterior = settled(TwoSided(3, first=1 - 1e-9))
    said = finding(diagnose(posterior), "modes")
    assert "chain 1 (weight e^-21)" in said.evidence
    assert "posterior.keep([0, 2, 3])" in said.advice
    kept = posterior.keep([0, 2, 3])
    assert torch.equal(kept.draws["loc"], posterior.draws["loc"][[0, 2, 3]])
    report = diagnose(kept)
    assert report.ok
    assert "modes" not in [f.name for f in report.findings]


def test_chains_that_are_not_there_cannot_be_kept():
    posterior = settled(TwoSided(1), draws=10)
    with pytest.raises(LookupError, match="no chain 4; there are chains 0 to 3"):
        posterior.keep([0, 4])
    with pytest.raises(ValueError, match="at least one"):
        posterior.keep([])


def test_modes_that_a_sampler_settled_in_are_weighed():
    """From draws of both modes HMC stays in each; the chains' shares are chance, and the weights are not."""
    pair, x = TwoSided(2), torch.full((1, 2), 5.0)
    start = settled(pair, where=(0, 1, 0, 1))
    posterior = inference.mcmc(pair, x, kernel="hmc", chains=4, warmup=60, draws=150, start=start, seed=1, compile=False, device="cpu")
    modes, truth = found(posterior), known(0.8, x)[0]
    assert len(modes.chains) == 2
    sides = [posterior.draws["loc"][chains].mean() > 0 for chains in modes.chains]
    assert sides == [True, False]
    for log_weight, expected in zip(modes.log_weights, truth.tolist(), strict=True):
        assert abs(log_weight - expected) < 4 * math.hypot(*modes.errors)
