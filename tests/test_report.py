"""What is said of a posterior: chains made by hand, whose faults are known."""

import base64
import dataclasses
import functools
import re

import arviz_stats
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from torch import Tensor

import inference
import zoo
from inference import Finding, Posterior, Report, as_table, diagnose

SITES = ["weights", "locs", "scales", "correlations"]


def chains(count: int = 4, draws: int = 250, *, spread: float = 0.01, seed: int = 0) -> Posterior:
    """Independent draws around a good fit of Old Faithful: every chain has the same distribution."""
    frame = zoo.data.load("faithful").frame.iloc[:60]
    generator = torch.Generator().manual_seed(seed)

    def around(*center: object) -> Tensor:
        middle = torch.tensor(center)
        return middle * (1 + spread * torch.randn(count, draws, *middle.shape, generator=generator))

    share = around(0.35)
    scales = around([0.35, 6.0], [0.45, 6.0])
    values = {
        "weights": torch.cat([share, 1 - share], -1),
        "precision_trils": torch.diag_embed(1 / scales),
        "locs": around([2.04, 54.5], [4.29, 80.0]),
        "scales": scales,
        "correlations": around([0.3], [0.4]),
    }
    stats = {
        "lp": around(-100.0)[..., 0],
        "energy": around(100.0)[..., 0],
        "diverging": torch.zeros(count, draws, dtype=torch.bool),
        "tree_depth": torch.full((count, draws), 3),
    }
    how = {"method": "nuts", "settings": {}, "seed": seed, "device": "cpu", "seconds": 1.0}
    return Posterior.of(zoo.create("gmm", frame), values, stats, how, as_table(frame))


def with_draws(posterior: Posterior, site: str, values: Tensor) -> Posterior:
    return dataclasses.replace(posterior, draws={**posterior.draws, site: values})


def with_stat(posterior: Posterior, name: str, values: Tensor) -> Posterior:
    return dataclasses.replace(posterior, stats={**posterior.stats, name: values})


def shifted(posterior: Posterior) -> Posterior:
    """The first chain has settled elsewhere, in one parameter."""
    locs = posterior.draws["locs"].clone()
    locs[0, :, 1, 1] += 3.0
    return with_draws(posterior, "locs", locs)


@functools.cache
def by_svi(draws: int = 200, restarts: int = 2) -> Posterior:
    frame = zoo.data.load("faithful").frame
    return inference.svi(zoo.create("gmm", frame), frame, steps=60, draws=draws, restarts=restarts, seed=1)


@functools.cache
def by_map() -> Posterior:
    x = zoo.data.load("faithful").x
    return inference.svi(zoo.create("gmm", x), x, guide="map", steps=60)


def finding(report: Report, name: str) -> Finding:
    found = [f for f in report.findings if f.name == name]
    assert len(found) == 1, f"{name} is not among {[f.name for f in report.findings]}"
    return found[0]


EVERY_KIND = {
    "good": lambda: chains(),
    "shifted": lambda: shifted(chains()),
    "one chain": lambda: chains(1),
    "one draw": lambda: chains(draws=1),
    "three draws": lambda: chains(draws=3),
    "four draws": lambda: chains(draws=4),
    "one number": lambda: chains(1, 1),
    "constant": lambda: chains(spread=0.0),
    "svi": by_svi,
    "map": by_map,
    "no rows": lambda: dataclasses.replace(chains(), table=None),
}


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_a_report_of_anything_is_readable(kind):
    report = diagnose(EVERY_KIND[kind]())
    assert isinstance(report.ok, bool)
    assert report.findings
    for found in report.findings:
        assert found.severity in ("good", "note", "warning", "failure")
        assert found.name in str(report)
        assert found.evidence in str(report)
        assert found.advice or found.severity in ("good", "note"), f"{found.name} is {found.severity} and there is no advice"
    assert report.verdict in str(report)
    assert report.title in str(report)
    assert repr(report) == str(report)
    assert "weights[0]" in str(report)
    long = [line for line in str(report).splitlines() if len(line) > 160]
    assert not long


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_a_notebook_shows_it(kind):
    report = diagnose(EVERY_KIND[kind]())
    html = report._repr_html_()
    assert report.verdict in html
    assert "<table" in html
    assert "<html" not in html
    assert "weights[0]" in html


def images(page: str) -> list[str]:
    """The pictures of a page that needs no other file."""
    assert page.startswith("<!doctype html>")
    assert not re.search(r"https?://|<script|<link|@import|url\(", page)
    sources = re.findall(r'<img[^>]+src="([^"]*)"', page)
    for source in sources:
        assert base64.b64decode(source.removeprefix("data:image/png;base64,"), validate=True).startswith(b"\x89PNG")
    return sources


@pytest.mark.parametrize(("kind", "count"), [("one number", 1), ("svi", 3), ("map", 2), ("no rows", 1)])
def test_a_page_needs_nothing_else(kind, count, tmp_path):
    report = diagnose(EVERY_KIND[kind]())
    page = report.to_html(tmp_path / "report.html").read_text(encoding="utf-8")
    assert report.verdict in page
    assert len(images(page)) == count


def test_a_page_shows_the_rows_and_the_draws(tmp_path):
    path = diagnose(chains(draws=50)).to_html(str(tmp_path / "report.html"))
    assert path == tmp_path / "report.html"
    page = path.read_text(encoding="utf-8")
    assert len(images(page)) == 2
    for text in ("The data and the model", "Draws", "Parameters", "weights[0]", "components", "nuts"):
        assert text in page
    assert plt.get_fignums() == []


def test_a_page_does_not_take_names_for_html(tmp_path):
    frame = zoo.data.load("faithful").frame.iloc[:60].set_axis(["<script>alert(1)</script>", "a & b"], axis=1)
    posterior = chains(draws=5)
    table = as_table(frame)
    posterior = dataclasses.replace(posterior, table=table, how={**posterior.how, "columns": table.columns})
    page = diagnose(posterior).to_html(tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def test_a_page_that_cannot_be_written(tmp_path):
    with pytest.raises(OSError, match="gone"):
        diagnose(chains(draws=5)).to_html(tmp_path / "gone" / "report.html")


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


def switched(posterior: Posterior) -> Posterior:
    """Two of the chains number the components the other way round."""
    draws = {n: v.clone() for n, v in posterior.draws.items()}
    for value in draws.values():
        value[1::2] = value[1::2].flip(2)
    return dataclasses.replace(posterior, draws=draws)


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


def test_to_arviz_is_what_arviz_reads():
    posterior = chains()
    tree = posterior.to_arviz()
    assert {"posterior", "sample_stats", "log_likelihood", "observed_data"} <= set(tree.children)
    summary = arviz_stats.summary(tree, var_names=SITES)
    assert len(summary) == len(diagnose(posterior).table)
    loo = arviz_stats.loo(tree)
    log_likelihood = posterior.log_likelihood(posterior.table)
    assert loo.n_data_points == 60
    assert loo.elpd == pytest.approx(float(log_likelihood.mean((0, 1)).sum()), abs=1.0)


def test_the_draws_that_arviz_gets_are_aligned():
    tree = switched(chains()).to_arviz(log_likelihood=False)
    np.testing.assert_allclose(tree["posterior/locs"], chains().draws["locs"])
    assert "log_likelihood" not in tree.children


def test_the_loss_of_a_fit_by_steps_is_in_optimization():
    posterior = by_svi()
    tree = posterior.to_arviz()
    assert tree["optimization/loss"].dims == ("step",)
    np.testing.assert_array_equal(tree["optimization/loss"], posterior.stats["loss"])
    assert set(tree["sample_stats"].data_vars) == {"lp", "log_q"}
