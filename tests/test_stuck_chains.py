"""Chains that stand still are told as stuck, and not as modes of the posterior."""

import pytest
import torch

from inference import diagnose
from inference.diagnostics.modes import stuck_chains
from tests.two_sided import TwoSided, settled

from .test_report import finding


@pytest.mark.parametrize("spread", [0.0, 1e-3], ids=["still", "hardly moving"])
def test_a_chain_that_is_stuck_is_no_mode(spread):
    posterior = settled(TwoSided(3), where=(0, 0, 0, 0))
    loc = posterior.draws["loc"]
    loc[2] = 9.0 + spread * (loc[2] - loc[2].mean(0))
    report = diagnose(posterior)
    assert "modes" not in [f.name for f in report.findings]
    said = finding(report, "stuck")
    assert said.severity == "failure"
    assert said.evidence.startswith("chain 2 stands still")
    assert "posterior.keep([0, 1, 3])" in said.advice
    assert diagnose(posterior.keep([0, 1, 3])).ok


def test_a_stuck_chain_is_found_where_r_hat_does_not_see_it():
    posterior = settled(TwoSided(1), where=(0,) * 100, draws=50)
    posterior.draws["loc"][7] = posterior.draws["loc"].mean()
    report = diagnose(posterior)
    assert report.table["rhat"].max() < 1.05
    assert finding(report, "stuck").evidence.startswith("chain 7 ")


def test_modes_beside_a_stuck_chain_are_told_as_modes():
    posterior = settled(TwoSided(3), where=(0, 1, 0, 0, 1))
    posterior.draws["loc"][2] = 0.5
    report = diagnose(posterior)
    assert finding(report, "stuck").evidence.startswith("chain 2 ")
    assert "chains 0, 3 (weight 0.8" in finding(report, "modes").evidence
    assert "2 modes" in finding(report, "modes").evidence


def test_a_narrow_mode_is_not_called_stuck_and_two_stuck_of_four_are():
    assert stuck_chains(settled(TwoSided(3))) == []
    posterior = settled(TwoSided(1), where=(0, 0, 0, 0))
    posterior.draws["loc"][:2] = torch.tensor([1.0, 2.0])[:, None, None]
    assert stuck_chains(posterior) == [0, 1]
    posterior.draws["loc"][2:] = torch.tensor([3.0, 4.0])[:, None, None]
    assert stuck_chains(posterior) == [0, 1, 2, 3]
    assert "every chain" in finding(diagnose(posterior), "stuck").evidence
