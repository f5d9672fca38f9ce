"""Posteriors held against each other: what a guide missed is seen by chains that know it."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import Normal

import inference
from inference import Posterior, Rotation, Sign, agreement, diagnose
from inference.diagnostics.agreement import agree
from inference.diagnostics.khat import bound
from tests.conjugate import by_chains, by_guide, location, rows
from tests.planted import PAIR, named, planted
from tests.posteriors import chains, with_draws
from tests.targets import Bimodal
from tests.test_chains import loadings


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


def coinciding(seed: int, offset: float) -> Posterior:
    """Chains of a mixture whose components have the same mean in the first column, by which they are numbered, but for `offset`."""
    posterior = chains(draws=200, seed=seed)
    locs = posterior.draws["locs"].clone()
    locs[..., 1, 0] += locs[..., 0, 0].mean() - locs[..., 1, 0].mean() + offset
    return with_draws(posterior, "locs", locs)


def test_components_that_coincide_in_the_first_entry_are_held_against_their_own():
    one, other = coinciding(0, 1e-3), coinciding(1, -1e-3)
    assert np.sign(one.mean("locs")[:, 1] - other.mean("locs")[:, 1]).tolist() == [-1, 1]
    table = agreement(one, other)
    assert table["apart"].abs().max() < 0.3
    assert list(agree(one, other, True))[0].severity == "good"
    moved = other.draws["locs"] + torch.tensor([[0.0, 1.0], [0.0, 0.0]])
    assert list(agree(one, with_draws(other, "locs", moved), True))[0].severity == "failure"


@pytest.mark.parametrize("symmetry", [Sign({"loadings": 1}), Rotation({"loadings": 1})], ids=["signs", "rotation"])
def test_signs_and_rotations_that_nearly_tie_are_undone_alike(symmetry):
    one, other = loadings(symmetry), loadings(symmetry)
    one, other = (dataclasses.replace(p, table=fit.table) for p, fit in ((one, chains()), (other, chains())))
    if isinstance(symmetry, Sign):
        # The second factor has two largest loadings of opposite signs: which is the larger is chance.
        for posterior in (one, other):
            posterior.draws["loadings"][..., 2, 1] = -posterior.draws["loadings"][..., 1, 1].flip(1)
    turned = other.draws["loadings"] @ torch.linalg.qr(torch.randn(2, 2))[0] if isinstance(symmetry, Rotation) else other.draws["loadings"]
    assert agreement(one, with_draws(other, "loadings", turned))["apart"].abs().max() < 0.3
