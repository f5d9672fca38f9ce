"""Whether a guide worked: planted guides of a posterior in closed form, and what each check can and cannot see."""

import math

import numpy as np
import pytest
import torch

from inference import diagnose
from inference.diagnostics.khat import Bound, bound, gap, khat, log_ratios, smoothed
from tests.conjugate import by_chains, log_evidence, rows
from tests.planted import PAIR, named, planted


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


def test_ratios_of_chains_are_not_known():
    with pytest.raises(ValueError, match="Location by nuts"):
        log_ratios(by_chains(PAIR, rows()))
