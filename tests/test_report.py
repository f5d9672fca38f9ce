"""What is said of chains made by hand, whose faults are known."""

import dataclasses
import re

import arviz_stats
import numpy as np
import pytest
import torch

import zoo
from inference import Posterior, diagnose

from .posteriors import chains, finding, shifted, switched, with_draws, with_stat


def test_good_chains_are_believed():
    report = diagnose(chains())
    assert report.ok
    assert report.verdict == "Believe it: nothing was found against it."
    assert {f.severity for f in report.findings} == {"good"}
    assert {f.name for f in report.findings} >= {"R-hat", "effective draws", "divergences"}


def test_the_table_holds_every_parameter_and_says_how_well_it_is_known():
    posterior = chains()
    table = diagnose(posterior).table
    assert list(table.columns) == ["mean", "sd", "q5", "q95", "mcse_mean", "ess_bulk", "ess_tail", "rhat", "ess_bulk_raw", "rhat_raw"]
    assert table.index.name == "parameter"
    assert list(table.index[:4]) == ["weights[0]", "weights[1]", "locs[0, eruptions]", "locs[0, waiting]"]
    assert not any(name.startswith("precision_trils") for name in table.index)
    assert len(table) == 2 + 4 + 4 + 2
    draws = posterior.draws["locs"][:, :, 1, 1].flatten()
    row = table.loc["locs[1, waiting]"]
    assert row["mean"] == pytest.approx(float(draws.mean()))
    assert row["sd"] == pytest.approx(float(draws.std()))
    assert (row["q5"], row["q95"]) == pytest.approx(tuple(draws.quantile(torch.tensor([0.05, 0.95])).tolist()))


@pytest.mark.parametrize("make", [chains, lambda: shifted(chains()), lambda: switched(chains())], ids=["good", "shifted", "switched"])
def test_r_hat_and_effective_draws_are_arvizs(make):
    posterior = make()
    table, axes = diagnose(posterior).table, {"chain_axis": 0, "draw_axis": 1}
    for label, draws in [("weights[1]", posterior.aligned["weights"][..., 1]), ("locs[1, waiting]", posterior.aligned["locs"][..., 1, 1])]:
        array = draws.numpy()
        assert table["rhat"][label] == pytest.approx(float(arviz_stats.rhat(array, **axes)))
        assert table["ess_bulk"][label] == pytest.approx(float(arviz_stats.ess(array, method="bulk", **axes)))
        assert table["ess_tail"][label] == pytest.approx(float(arviz_stats.ess(array, method="tail", prob=(0.05, 0.95), **axes)))
        assert table["mcse_mean"][label] == pytest.approx(float(arviz_stats.mcse(array, method="mean", **axes)))


def test_chains_that_disagree_are_not_believed():
    report = diagnose(shifted(chains()))
    assert not report.ok
    assert report.verdict.startswith("Do not believe it yet: R-hat")
    found = finding(report, "R-hat")
    assert found.severity == "failure"
    assert "locs[1, waiting]" in found.evidence
    assert f"{report.table['rhat']['locs[1, waiting]']:.3f}" in found.evidence
    assert "1.01" in found.evidence
    assert "warmup" in found.advice
    assert finding(report, "effective draws").severity == "failure"
    assert report.table["rhat"].drop("locs[1, waiting]").max() < 1.02


def test_label_switching_is_undone_first():
    posterior = switched(chains())
    raw = arviz_stats.rhat(posterior.draws["locs"][..., 0, 1].numpy(), chain_axis=0, draw_axis=1)
    assert raw > 1.5
    report = diagnose(posterior)
    assert report.ok
    assert report.table["rhat"].max() < 1.02
    np.testing.assert_allclose(report.table["mean"], diagnose(chains()).table["mean"])


def test_effective_draws_are_counted_for_each_chain():
    posterior = chains()
    slow = torch.randn(4, 250, generator=torch.Generator().manual_seed(1)).cumsum(1)
    locs = posterior.draws["locs"].clone()
    locs[..., 0, 0] += 0.01 * slow
    found = finding(diagnose(with_draws(posterior, "locs", locs)), "effective draws")
    assert found.severity == "failure"
    assert "locs[0, eruptions]" in found.evidence
    assert "at least 400" in found.evidence
    assert re.search(r"about \d+ times the draws", found.advice)


def test_one_chain_is_believed_with_care():
    report = diagnose(chains(1, 1000))
    assert report.ok
    assert report.verdict == "Believe it, with care: chains."
    found = finding(report, "chains")
    assert found.severity == "warning"
    assert found.evidence.startswith("1 chain can hide")
    assert "4" in found.advice


@pytest.mark.parametrize("draws", [1, 2, 3])
def test_too_few_draws_to_judge(draws):
    report = diagnose(chains(draws=draws))
    assert not report.ok
    found = finding(report, "R-hat")
    assert found.severity == "failure"
    assert found.evidence.startswith(f"{draws} draw")
    assert "too few" in found.evidence
    assert "draws=1000" in found.advice
    assert "rhat" not in report.table


def test_one_draw_is_not_called_draws():
    assert finding(diagnose(chains(draws=1)), "R-hat").evidence.startswith("1 draw a chain is too few")


def test_chains_that_stand_still_are_not_believed():
    posterior = chains()
    locs = posterior.draws["locs"].clone()
    locs[..., 1, 0] = 4.0
    report = diagnose(with_draws(posterior, "locs", locs))
    assert not report.ok
    found = finding(report, "draws")
    assert found.severity == "failure"
    assert "locs[1, eruptions]" in found.evidence
    assert "same value" in found.evidence


def test_one_chain_that_stands_still_is_not_believed():
    posterior = chains()
    draws = {n: v.clone() for n, v in posterior.draws.items()}
    for value in draws.values():
        value[2] = value[2, :1]
    report = diagnose(dataclasses.replace(posterior, draws=draws))
    assert finding(report, "R-hat").severity == "failure"


def one_component(posterior: Posterior) -> Posterior:
    """The same with its first component alone, whose weight is one by definition."""
    draws = {n: v[:, :, :1] for n, v in posterior.draws.items()}
    draws["weights"] = torch.ones_like(draws["weights"])
    pair = zoo.create("gmm", posterior.table, components=1)
    return dataclasses.replace(posterior, pair=pair, draws=draws, how={**posterior.how, "fixed": {"weights": [0]}})


def test_a_number_that_cannot_vary_is_no_fault():
    report = diagnose(one_component(chains()))
    assert report.ok, str(report)
    assert "weights[0]" not in report.table.index
    assert finding(report, "R-hat").severity == "good"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("where", [(2, 5), (slice(None), slice(None))], ids=["one draw", "every draw"])
def test_draws_that_are_no_numbers_are_reported_and_not_raised(value, where):
    posterior = chains()
    locs = posterior.draws["locs"].clone()
    locs[*where, 1, 0] = value
    report = diagnose(with_draws(posterior, "locs", locs))
    assert not report.ok
    found = finding(report, "draws")
    assert found.severity == "failure"
    assert "locs[" in found.evidence
    assert "not finite" in found.evidence


def test_divergences():
    posterior = chains()
    diverging = torch.zeros(4, 250, dtype=torch.bool)
    assert finding(diagnose(posterior), "divergences").evidence == "none."
    diverging[0, 0] = True
    report = diagnose(with_stat(posterior, "diverging", diverging))
    assert finding(report, "divergences").severity == "warning"
    assert "1 of 1000" in finding(report, "divergences").evidence
    assert report.verdict == "Believe it, with care: divergences."
    diverging[1, :9] = True
    report = diagnose(with_stat(posterior, "diverging", diverging))
    assert finding(report, "divergences").severity == "failure"
    assert "10 of 1000" in finding(report, "divergences").evidence
    assert report.verdict == "Do not believe it yet: divergences."


def test_low_energy():
    posterior = chains()
    slow = torch.randn(4, 250, generator=torch.Generator().manual_seed(1)).cumsum(1)
    report = diagnose(with_stat(posterior, "energy", slow))
    found = finding(report, "energy")
    assert found.severity == "warning"
    assert f"{np.min(arviz_stats.bfmi(slow.numpy())):.2f}" in found.evidence
    assert report.verdict == "Believe it, with care: energy."


def test_trajectories_cut_short():
    posterior = chains()
    depth = torch.full((4, 250), 3)
    depth[1, :7] = 10
    found = finding(diagnose(with_stat(posterior, "tree_depth", depth)), "tree depth")
    assert found.severity == "warning"
    assert "7 of 1000" in found.evidence


@pytest.mark.parametrize("given", [None, {"locs": [1.0]}, "gmm"])
def test_what_is_no_posterior_is_refused(given):
    with pytest.raises(TypeError, match=f"a Posterior is diagnosed.*not {type(given).__name__}"):
        diagnose(given)


def test_draws_that_stand_still_are_not_counted_as_effective():
    posterior = chains()
    first = {name: values[:1, :1].expand_as(values).clone() for name, values in posterior.draws.items()}
    still = dataclasses.replace(posterior, draws=first)
    assert "effective draws" not in {found.name for found in diagnose(still).findings}
