"""Whether a guide worked: planted guides of a posterior in closed form, and what each check can and cannot see."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import Normal

import inference
from inference import Finding, Posterior, agreement, diagnose
from inference.diagnostics.khat import Bound, bound, gap, khat, log_ratios, smoothed
from inference.diagnostics.reweigh import systematic
from tests.conjugate import Location, by_chains, by_guide, location, log_evidence, rows, scaled
from tests.targets import Bimodal

PAIR = Location()


def planted(by: float, draws: int = 4000, seed: int = 0) -> Posterior:
    """A fit whose guide is the exact posterior, but `by` times as wide."""
    x = rows()
    return by_guide(PAIR, x, scaled(location(PAIR, x), by), draws, seed)


def named(posterior: Posterior, name: str, against: Posterior | None = None) -> Finding:
    found = [f for f in diagnose(posterior, against=against).findings if f.name == name]
    assert len(found) == 1
    return found[0]


def test_an_exact_guide_has_no_tail_and_no_gap():
    posterior = planted(1.0)
    assert khat(posterior) == -math.inf
    assert gap(posterior) == pytest.approx(0, abs=1e-9)
    assert named(posterior, "k-hat").severity == "good"
    assert diagnose(posterior).ok


@pytest.mark.parametrize("by", [0.4, 0.55, 0.7, 0.85])
def test_k_hat_of_a_guide_too_narrow_is_what_theory_says(by):
    # P(ratio > t) falls as t^(-1 / (1 - by^2)), up to a logarithm of t, which takes some of it away.
    found = [khat(planted(by, 20_000, seed)) for seed in range(3)]
    assert np.mean(found) == pytest.approx(1 - by**2, abs=0.12)


def test_a_guide_too_narrow_is_not_believed():
    found = named(planted(0.1, seed=4), "k-hat")
    assert found.severity == "failure"
    assert "misses a tail" in found.evidence
    assert "mcmc" in found.advice


def test_draws_of_which_many_are_one_are_not_trusted():
    posterior = planted(1.0)
    posterior.stats["lp"][0, :1000] += 9.0
    found = named(posterior, "k-hat")
    assert khat(posterior) == math.inf
    assert found.severity == "failure"
    assert found.evidence.startswith("infinite, since many draws share the largest importance")


def test_a_guide_too_wide_is_seen_by_the_gap_and_not_by_k_hat():
    posterior = planted(5.0)
    assert khat(posterior) < 0.5
    # KL(q || p) of normals of one mean.
    assert gap(posterior) == pytest.approx((5**2 - 1) / 2 - math.log(5), rel=0.1)
    assert named(posterior, "gap").severity == "failure"


def one_mode(x: Tensor, draws: int) -> Posterior:
    """The larger of two modes, exactly, and nothing of the other."""
    posterior = by_guide(PAIR, x, Normal(0.8 * x[0, 0], torch.tensor(0.8).sqrt()), draws)
    loc = posterior.draws["loc"]
    terms = [math.log(p) + Normal(sign * loc, 1.0).log_prob(x[0, 0]) for p, sign in ((0.3, -1), (0.7, 1))]
    log_p = Normal(0.0, 2.0).log_prob(loc) + torch.logaddexp(*terms)
    return dataclasses.replace(posterior, pair=Bimodal(), stats={**posterior.stats, "lp": log_p})


FAR = torch.tensor([[6.0]])


def both_modes(draws: int = 1000) -> Posterior:
    """Four chains of independent draws from the same posterior, both modes in their shares."""
    generator = torch.Generator().manual_seed(1)
    sign = torch.where(torch.rand(4, draws, generator=generator) < 0.7, 1.0, -1.0)
    loc = sign * 0.8 * FAR[0, 0] + 0.8**0.5 * torch.randn(4, draws, generator=generator)
    return dataclasses.replace(by_chains(PAIR, FAR), pair=Bimodal(), draws={"loc": loc})


def test_a_mode_that_is_missed_is_not_seen_by_k_hat_but_against_draws_that_know_it():
    posterior = one_mode(FAR, 1000)
    assert named(posterior, "k-hat").severity == "good"
    assert "mode that no draw came near" in named(posterior, "k-hat").advice
    assert named(posterior, "gap").severity == "good"
    # What is missed is missing from the bounds too: here the share of the other mode.
    evidence = Normal(0.0, 5**0.5).log_prob(FAR[0, 0])
    assert bound(posterior, 10).value == pytest.approx(float(evidence) + math.log(0.7), abs=1e-3)
    assert diagnose(posterior).ok
    found = named(posterior, "agreement", both_modes())
    assert found.severity == "failure"
    assert "loc" in found.evidence
    assert not diagnose(posterior, against=both_modes()).ok


def test_chains_that_cannot_cross_see_the_mode_only_where_they_start_in_it():
    posterior = one_mode(FAR, 1000)
    run = {"kernel": "hmc", "chains": 4, "warmup": 100, "draws": 400, "compile": False, "progress": False, "device": "cpu"}
    blind = inference.mcmc(posterior.pair, FAR, start=posterior, **run)
    assert named(posterior, "agreement", blind).severity == "good"
    wide = inference.mcmc(posterior.pair, FAR, **run)
    assert not diagnose(wide).ok
    found = named(posterior, "agreement", wide)
    assert found.severity == "warning"
    assert "not believed" in found.evidence


def test_k_hat_takes_the_ratios_of_many_rows():
    ratios = torch.randn(2000, 1).square().numpy() * np.array([0.1, 0.3, 0.45, 0.0, 0.2, 0.2])
    ratios[7, 4] = np.nan
    ratios[:500, 5] = 9.0
    logs, found = smoothed(ratios)
    assert found.shape == (6,)
    assert (np.diff(found[:3]) > 0).all()
    assert found[3] == -np.inf
    assert np.isnan(found[4])
    assert found[5] == np.inf
    np.testing.assert_allclose(np.exp(logs).sum(0)[[0, 1, 2, 3, 5]], 1)
    assert logs[0, 3] == pytest.approx(-math.log(2000))
    again = smoothed(ratios[:, :2].reshape(2000, 2, 1))
    np.testing.assert_array_equal(again[1][:, 0], found[:2])
    np.testing.assert_array_equal(again[0][..., 0], logs[:, :2])


@pytest.mark.parametrize("by", [0.8, 1.0, 2.0])
def test_bounds_lie_below_the_log_evidence_and_rise_with_the_group(by):
    posterior, truth = planted(by, 40_000), log_evidence(PAIR, rows())
    bounds = [bound(posterior, group) for group in (1, 10, 100)]
    # The ELBO is the evidence less KL(q || p), in closed form.
    assert bounds[0].value == pytest.approx(truth - ((by**2 - 1) / 2 - math.log(by)), abs=4 * bounds[0].error + 1e-9)
    for lower, higher in zip(bounds, bounds[1:], strict=False):
        assert lower.value <= higher.value + 1e-9
    assert all(b.value <= truth + 4 * b.error + 1e-9 for b in bounds)
    assert bounds[2].value == pytest.approx(truth, abs=4 * bounds[2].error + 0.01)


def test_the_error_of_a_bound_is_how_it_scatters():
    found = [bound(planted(1.5, 1000, seed), 10) for seed in range(200)]
    assert np.std([b.value for b in found]) == pytest.approx(np.mean([b.error for b in found]), rel=0.15)


def test_a_report_gives_bounds_on_the_evidence():
    posterior = planted(0.9)
    found = named(posterior, "evidence")
    single: Bound = bound(posterior)
    assert f"{single.value:.2f} +- {single.error:.2f} by single draws" in found.evidence
    assert f"{bound(posterior, 10).value:.2f}" in found.evidence


def test_a_bound_needs_two_groups():
    with pytest.raises(ValueError, match="150 draws do not make two groups of 100"):
        bound(planted(1.0, 150), 100)


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


def test_posteriors_that_agree():
    x = rows()
    exact, chains = planted(1.0), by_chains(PAIR, x)
    table = agreement(exact, chains)
    assert list(table.index) == ["loc"]
    assert abs(table["apart"]["loc"]) < 4 * table["error"]["loc"] < 0.2
    assert table["wider"]["loc"] == pytest.approx(1, abs=0.05)
    found = named(exact, "agreement", chains)
    assert found.severity == "good"
    assert "Location by nuts" in found.evidence


@pytest.mark.parametrize(("by", "moved"), [(0.5, 0.0), (2.0, 0.0), (1.0, 0.5), (1.0, -0.5)])
def test_posteriors_that_do_not_agree(by, moved):
    x = rows()
    exact = location(PAIR, x)
    posterior = by_guide(PAIR, x, Normal(exact.mean + moved * exact.stddev, by * exact.stddev))
    table = agreement(posterior, by_chains(PAIR, x))
    assert table["apart"]["loc"] == pytest.approx(moved, abs=5 * table["error"]["loc"])
    assert table["wider"]["loc"] == pytest.approx(by, rel=0.05)
    assert named(posterior, "agreement", by_chains(PAIR, x)).severity == "failure"


def test_a_judge_that_is_not_believed_does_not_judge():
    chains = by_chains(PAIR, rows())
    chains.draws["loc"][0] += 1.0
    found = named(planted(1.0), "agreement", chains)
    assert found.severity == "warning"
    assert "not believed" in found.evidence


def test_what_cannot_be_held_against_each_other():
    with pytest.raises(ValueError, match="other rows"):
        agreement(planted(1.0), by_chains(PAIR, rows(seed=1)))
    with pytest.raises(ValueError, match=r"\(20, 1\)"):
        diagnose(planted(1.0), against=by_chains(PAIR, rows(20)))
    with pytest.raises(ValueError, match="same parameters"):
        agreement(planted(1.0), dataclasses.replace(by_chains(PAIR, rows()), draws={"rate": torch.ones(4, 100)}))
    with pytest.raises(ValueError, match="kept no rows"):
        agreement(planted(1.0), dataclasses.replace(by_chains(PAIR, rows()), table=None))


def test_ratios_of_chains_are_not_known():
    with pytest.raises(ValueError, match="Location by nuts"):
        log_ratios(by_chains(PAIR, rows()))
