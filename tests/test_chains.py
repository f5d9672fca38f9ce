"""What is said of chains: whether they agree, in their labels and without them, and of statistics that are not there."""

import dataclasses

import arviz_stats
import numpy as np
import pytest
import torch

from inference import Permutation, Posterior, Rotation, Sign, diagnose
from inference.diagnostics.table import invariants, summarise

from .test_report import chains, finding, shifted, switched, with_draws, with_stat

AXES = {"chain_axis": 0, "draw_axis": 1}


def names(report) -> list[str]:
    return [f.name for f in report.findings]


def loadings(symmetry, *, draws: int = 250) -> Posterior:
    """Chains of a pair with loadings, whose draws come in signs or axes drawn at random for every chain."""
    posterior = chains(draws=draws)
    values = {"loadings": torch.tensor([[3.0, 0.5], [-1.0, 1.0], [0.2, 2.0]]) + 0.1 * torch.randn(4, draws, 3, 2)}
    element = symmetry.random(values)
    moved = symmetry.apply(values, element[:, :1].expand(element.shape))
    pair = posterior.pair
    # A declaration is a property of the mixture; a pair of another class has its own.
    pair = type("Factors", (type(pair),), {"symmetries": (symmetry,), "restated": (), "picture": None})(2, 2)
    return dataclasses.replace(posterior, pair=pair, draws=moved, table=None)


def test_the_table_tells_of_draws_as_they_came_and_aligned():
    posterior = switched(chains())
    table = summarise(posterior)
    for label, site, index in [("weights[1]", "weights", (1,)), ("locs[0, waiting]", "locs", (0, 1))]:
        raw = posterior.draws[site][(..., *index)].numpy()
        aligned = posterior.aligned[site][(..., *index)].numpy()
        for column, draws in (("", aligned), ("_raw", raw)):
            assert table["rhat" + column][label] == pytest.approx(float(arviz_stats.rhat(draws, **AXES)), rel=1e-10)
            assert table["ess_bulk" + column][label] == pytest.approx(float(arviz_stats.ess(draws, method="bulk", **AXES)), rel=1e-10)
    assert table["rhat_raw"]["weights[1]"] > 1.5 > 1.02 > table["rhat"]["weights[1]"]


def test_a_pair_without_symmetries_has_no_raw_columns():
    posterior = chains()
    plain = type("Plain", (type(posterior.pair),), {"symmetries": ()})(2, 2)
    assert not [c for c in summarise(dataclasses.replace(posterior, pair=plain)).columns if c.endswith("_raw")]


def test_switched_labels_are_noted():
    found = finding(diagnose(switched(chains())), "label switching")
    assert found.severity == "note"
    table = summarise(switched(chains()))
    assert f"R-hat {table['rhat_raw'].max():.3f} of" in found.evidence
    assert "undone, it is 1.00" in found.evidence
    assert "label switching" not in names(diagnose(chains()))


@pytest.mark.parametrize("symmetry", [Sign({"loadings": 1}), Rotation({"loadings": 1})], ids=["flipped signs", "rotation"])
def test_other_symmetries_are_noted_by_their_names(symmetry):
    report = diagnose(loadings(symmetry))
    assert report.ok, str(report)
    assert finding(report, symmetry.seen_as).severity == "note"
    assert report.table["rhat"].max() < 1.02
    assert report.table["rhat_raw"].max() > 1.05


def test_invariants_are_those_of_the_draws_as_they_came():
    posterior = switched(chains())
    table, plain = invariants(posterior), invariants(chains())
    np.testing.assert_allclose(table.to_numpy(), plain.to_numpy())
    assert list(table.index[:3]) == ["lp", "sorted weights[0]", "sorted weights[1]"]
    assert not [label for label in table.index if "precision_trils" in label]
    lp = posterior.stats["lp"].numpy()
    assert table["rhat"]["lp"] == pytest.approx(float(arviz_stats.rhat(lp, **AXES)), rel=1e-10)
    share = posterior.draws["weights"].sort(-1).values[..., 0].numpy()
    assert table["ess_bulk"]["sorted weights[0]"] == pytest.approx(float(arviz_stats.ess(share, method="bulk", **AXES)), rel=1e-10)


@pytest.mark.parametrize(("symmetry", "count"), [(Sign({"loadings": 1}), 6), (Rotation({"loadings": 1}), 3)], ids=["sign", "rotation"])
def test_invariants_of_signs_and_rotations(symmetry, count):
    posterior = loadings(symmetry)
    table = invariants(posterior).drop("lp")
    assert len(table) == count
    assert table["rhat"].max() < 1.02
    expected = posterior.aligned["loadings"].norm(dim=3) if count == 3 else posterior.aligned["loadings"].abs()
    np.testing.assert_allclose(table["mean"], expected.mean((0, 1)).flatten())


def test_a_site_under_two_symmetries_has_no_invariant_of_one_alone():
    posterior = loadings(Sign({"loadings": 1}))
    both = type("Both", (type(posterior.pair),), {"symmetries": (Sign({"loadings": 1}), Permutation({"loadings": 1}, order="loadings"))})
    assert list(invariants(dataclasses.replace(posterior, pair=both(2, 2))).index) == ["lp"]


def test_a_log_density_that_disagrees_is_seen_where_no_parameter_does():
    lp = chains().stats["lp"].clone()
    lp[0] -= 3.0
    found = finding(diagnose(with_stat(chains(), "lp", lp)), "invariants")
    assert found.severity == "warning"
    assert "for lp" in found.evidence


def test_components_that_are_called_differently_are_told_from_chains_that_disagree():
    """Half of the chains call the components by one site, half by another, as no relabelling can undo."""
    posterior = chains()
    weights = posterior.draws["weights"].clone()
    weights[::2] = weights[::2].flip(2)
    found = finding(diagnose(with_draws(posterior, "weights", weights)), "invariants")
    assert found.severity == "note"
    assert "no symmetry changes agrees" in found.evidence
    assert "invariants" not in names(diagnose(shifted(chains())))


def test_energies_of_transitions_far_apart_are_not_judged():
    slow = torch.linspace(0, 50, 250).expand(4, 250) + 0.1 * torch.randn(4, 250)
    posterior = with_stat(chains(), "energy", slow)
    assert finding(diagnose(posterior), "energy").severity == "warning"
    thinned = dataclasses.replace(posterior, how={**posterior.how, "settings": {"thin": 5}})
    assert "energy" not in names(diagnose(thinned))
    whole = dataclasses.replace(posterior, how={**posterior.how, "settings": {"thin": 1}})
    assert "energy" in names(diagnose(whole))


def by_hand(**changes) -> Posterior:
    """Draws from elsewhere, of which nothing is known but the pair."""
    return dataclasses.replace(Posterior(chains().pair, chains().draws, {}, {}, None), **changes)


def some(count: int, draws: int) -> dict[str, torch.Tensor]:
    return {n: d[:count, :draws] for n, d in chains().draws.items()}


FOREIGN = {
    "only draws": (by_hand, "trajectories"),
    "one chain": (lambda: by_hand(draws=some(1, 250)), "chains"),
    "one draw": (lambda: by_hand(draws=some(4, 1)), "R-hat"),
    "one number": (lambda: by_hand(draws=some(1, 1)), "R-hat"),
    "one site": (lambda: by_hand(draws={"locs": chains().draws["locs"]}), "trajectories"),
    "an unknown site": (lambda: by_hand(draws={"other": torch.randn(4, 250, 3)}), "trajectories"),
    "a scalar": (lambda: by_hand(draws={"other": torch.randn(4, 250)}), "trajectories"),
    "constant": (lambda: by_hand(draws={n: torch.full_like(d, 0.1) for n, d in chains().draws.items()}), "draws"),
    "still chains apart": (lambda: by_hand(draws={"other": torch.arange(4.0)[:, None].expand(4, 250)}), "R-hat"),
    "NaN": (lambda: by_hand(draws={n: d * torch.nan for n, d in chains().draws.items()}), "draws"),
    "switched": (lambda: by_hand(draws=switched(chains()).draws), "label switching"),
    "modes": (lambda: by_hand(draws=shifted(chains()).draws), "modes"),
    "statistics of another shape": (lambda: by_hand(stats={"diverging": torch.zeros(3), "energy": torch.zeros(9, 2)}), "trajectories"),
    "whole numbers": (lambda: by_hand(draws={"other": torch.randint(5, (4, 250, 2))}), "trajectories"),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_draws_from_elsewhere_are_judged_by_what_there_is(kind):
    make, expected = FOREIGN[kind]
    report = diagnose(make())
    assert expected in names(report), str(report)
    assert report.title.startswith("GaussianMixture by hand: ")
    assert report.verdict in str(report)
    assert report.verdict in report._repr_html_()
    assert all(len(line) <= 160 for line in str(report).splitlines())
    if kind in ("constant", "NaN", "still chains apart", "modes", "one draw", "one number"):
        assert not report.ok


def test_statistics_that_are_missing_are_said_to_be():
    found = finding(diagnose(by_hand()), "trajectories")
    assert found.severity == "note"
    assert "divergences" in found.evidence
    assert "trajectories" not in names(diagnose(chains()))


def test_constant_draws_are_constant_whatever_their_rounding():
    posterior = chains()
    locs = posterior.draws["locs"].clone()
    locs[..., 1, 0] = 4.1
    assert locs[..., 1, 0].numpy().std() > 0
    assert "locs[1, eruptions]" in finding(diagnose(with_draws(posterior, "locs", locs)), "draws").evidence
