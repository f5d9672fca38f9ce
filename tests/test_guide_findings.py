"""What is said of draws from a guide, and of a point."""

import dataclasses

import torch
from torch import Tensor

from inference import Posterior, diagnose

from .posteriors import by_map, by_svi, finding


def test_svi_that_did_not_settle():
    report = diagnose(by_svi())
    assert not report.ok
    assert finding(report, "loss").severity == "failure"
    assert "60 steps" in finding(report, "loss").evidence
    assert "more steps" in finding(report, "loss").advice
    assert "2 of 2 reached the best loss" in finding(report, "restarts").evidence
    assert "k-hat" in [f.name for f in report.findings]
    assert list(report.table.columns) == ["mean", "sd", "q5", "q95", "mcse_mean"]


def test_k_hat_wants_draws():
    found = finding(diagnose(by_svi(draws=20, restarts=1)), "k-hat")
    assert found.severity == "warning"
    assert "20 draws are too few" in found.evidence


def converged(log_q: Tensor) -> Posterior:
    """A fit whose loss settled, and whose guide has the given log density beside a log joint of zero."""
    posterior = by_svi()
    how = {**posterior.how, "stopped": "converged after 60 steps: the loss stopped falling at every learning rate"}
    return dataclasses.replace(posterior, how=how, stats={**posterior.stats, "lp": torch.zeros(1, 200), "log_q": log_q[None]})


def test_k_hat_judges_the_guide():
    generator = torch.Generator().manual_seed(0)
    good = diagnose(converged(0.01 * torch.randn(200, generator=generator)))
    assert good.ok
    assert finding(good, "k-hat").severity == "good"
    exact = diagnose(converged(torch.zeros(200)))
    assert finding(exact, "k-hat").severity == "good"
    assert "inf" not in finding(exact, "k-hat").evidence
    bad = diagnose(converged(20 * torch.randn(200, generator=generator)))
    assert bad.verdict == "Do not believe it yet: k-hat, gap."
    assert "mcmc" in finding(bad, "k-hat").advice
    broken = diagnose(converged(torch.full((200,), torch.nan)))
    assert finding(broken, "k-hat").severity == "failure"
    assert "not finite" in finding(broken, "k-hat").evidence


def test_a_point_has_no_uncertainty():
    report = diagnose(by_map())
    assert list(report.table.columns) == ["mean"]
    assert finding(report, "uncertainty").severity == "note"
    settled = dataclasses.replace(by_map(), how={**by_map().how, "stopped": "converged after 60 steps"})
    assert diagnose(settled).verdict == "A point to start from: it has no uncertainty to believe."
