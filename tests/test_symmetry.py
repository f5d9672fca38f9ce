"""What chains tell in different labels, signs or axes is told alike."""

import itertools
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pytest
import scipy.linalg
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from inference import Permutation, Rotation, Sign, SignedPermutation
from inference.symmetry import Symmetry

CHAINS, DRAWS, K = 4, 30, 3
Draws = dict[str, Tensor]


def _components() -> Draws:
    """Draws that scatter about components in ascending order; `emission` counts components along its second axis, `transition`
    along both."""
    locs = torch.tensor([[-2.0, 5.0], [0.0, -5.0], [3.0, 0.0]]) + 0.3 * torch.randn(CHAINS, DRAWS, K, 2)
    weights = torch.tensor([0.2, 0.5, 0.3]) + 0.02 * torch.randn(CHAINS, DRAWS, K)
    emission = torch.arange(6.0).reshape(2, K) + 0.1 * torch.randn(CHAINS, DRAWS, 2, K)
    transition = torch.arange(9.0).reshape(K, K) + 0.1 * torch.randn(CHAINS, DRAWS, K, K)
    noise = torch.randn(CHAINS, DRAWS)
    return {"locs": locs, "weights": weights, "emission": emission, "transition": transition, "noise": noise}


def _relevant() -> Draws:
    """Loadings whose columns differ in their signs alone, and the relevance of each, in ascending order."""
    loadings = torch.tensor([[3.0, 2.0, 2.0], [1.0, 3.0, -1.0], [1.0, -1.0, 3.0], [1.0, 2.0, -2.0]])
    return {
        "loadings": loadings + 0.05 * torch.randn(CHAINS, DRAWS, 4, K),
        "relevance": torch.tensor([1.0, 2.0, 3.0]) + 0.05 * torch.randn(CHAINS, DRAWS, K),
    }


def _factors() -> Draws:
    """Loadings along principal axes, the longest first, the largest entry of each positive; and scores in the same axes."""
    basis = torch.linalg.qr(torch.randn(6, K))[0] * torch.tensor([5.0, 3.0, 1.5])
    basis = basis * basis.gather(0, basis.abs().argmax(0, keepdim=True)).sign()
    return {
        "loadings": basis + 0.05 * torch.randn(CHAINS, DRAWS, 6, K),
        "scores": torch.randn(K, 4) + 0.1 * torch.randn(CHAINS, DRAWS, K, 4),
        "noise": torch.randn(CHAINS, DRAWS),
    }


class Case(NamedTuple):
    symmetry: Symmetry
    draws: Draws


PERMUTED = Permutation({"locs": 0, "weights": 0, "emission": 1, "transition": (0, 1)}, order="locs")
SIGNED = SignedPermutation({"loadings": 1, "relevance": 0}, order="relevance", told_by=("loadings",))
FLIPPED, ROTATED = Sign({"loadings": 1, "scores": 0}), Rotation({"loadings": 1, "scores": 0})


@pytest.fixture(params=["permutation", "sign", "signed", "rotation"])
def case(request) -> Case:
    made = {
        "permutation": (PERMUTED, _components),
        "sign": (FLIPPED, _factors),
        "signed": (SIGNED, _relevant),
        "rotation": (ROTATED, _factors),
    }
    symmetry, draws = made[request.param]
    return Case(symmetry, draws())


def _close(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.allclose(a[n], b[n], rtol=0, atol=1e-9) for n in a)


def _of_chain(element: Tensor) -> Tensor:
    """The same element for every draw of a chain."""
    return element[:, :1].expand(element.shape)


@pytest.mark.parametrize("by", ["draw", "chain"])
def test_what_was_moved_at_random_is_told_as_before(case, by):
    element = case.symmetry.random(case.draws)
    moved = case.symmetry.apply(case.draws, element if by == "draw" else _of_chain(element))
    assert not _close(moved, case.draws)
    assert _close(case.symmetry.align(moved), case.symmetry.align(case.draws))


def test_draws_in_the_order_agreed_on_stay_as_they_are(case):
    if case.symmetry is ROTATED:
        # The principal axes are those of the mean, which lies a little off the ones planted: told once, they stay.
        case = case._replace(draws=ROTATED.align(case.draws))
    assert _close(case.symmetry.align(case.draws), case.draws)


def test_a_planted_rotation_is_undone_to_the_noise_of_the_draws():
    draws, symmetry = {"loadings": _factors()["loadings"]}, Rotation({"loadings": 1})
    found = symmetry.align(symmetry.apply(draws, symmetry.random(draws)))["loadings"]
    assert (found.mean((0, 1)) - draws["loadings"].mean((0, 1))).abs().max() < 0.05
    assert found.std((0, 1)).mean() < 0.05


def test_the_order_of_the_chains_does_not_matter(case):
    mixed = case.symmetry.apply(case.draws, case.symmetry.random(case.draws))
    aligned = case.symmetry.align(mixed)
    for chains in itertools.permutations(range(CHAINS)):
        again = case.symmetry.align({n: v[list(chains)] for n, v in mixed.items()})
        assert _close(again, {n: v[list(chains)] for n, v in aligned.items()})


def test_an_element_changes_no_invariant(case):
    before = case.symmetry.invariants(case.draws)
    after = case.symmetry.invariants(case.symmetry.apply(case.draws, case.symmetry.random(case.draws)))
    assert before.keys() == {n for n, axis in case.symmetry.axes.items() if isinstance(axis, int)}
    assert _close(before, after)


def test_elements_are_isometries_and_differ_from_draw_to_draw(case):
    torch.manual_seed(1)
    element = case.symmetry.random(case.draws)
    features = case.symmetry.features(case.draws)
    moved = case.symmetry.act(features, element)
    torch.testing.assert_close(moved.square().sum((2, 3)), features.square().sum((2, 3)))
    assert len({tuple(e.flatten().tolist()) for e in element.flatten(0, 1)}) > 4


def test_a_pivot_that_begins_with_an_odd_draw_does_not_lead_astray():
    """Every chain's last draw lies between two components: a pivot that begins there ends in a worse place."""
    draws = {n: v for n, v in _components().items() if n in ("locs", "weights")}
    draws["locs"][:, -1] = draws["locs"][:, -1].mean(1, keepdim=True)
    draws["weights"][:, -1] = 1 / 3
    symmetry = Permutation({"locs": 0, "weights": 0}, order="locs")
    found = symmetry.align(symmetry.apply(draws, symmetry.random(draws)))
    assert torch.equal(found["locs"][:, :-1], draws["locs"][:, :-1])


@pytest.mark.parametrize("symmetry", [Permutation({"locs": 0}, order="locs"), Sign({"locs": 0})], ids=["permutation", "sign"])
def test_it_ends_as_well_as_from_the_best_start_where_that_matters(symmetry):
    """Every chain sits elsewhere, so that beginning at one chain's draw or another's ends differently."""
    draws = {"locs": torch.randn(8, 1, 6, 4) + 0.3 * torch.randn(8, 20, 6, 4)}
    features = symmetry.features(draws)

    def loss(aligned: Tensor) -> float:
        return float((aligned - aligned.mean((0, 1))).square().sum())

    ends = []
    for pivot in features.flatten(0, 1)[::10]:
        for _ in range(30):
            pivot = symmetry.nearest(features, pivot).mean((0, 1))
        ends.append(loss(symmetry.nearest(features, pivot)))
    assert max(ends) > 1.03 * min(ends)
    assert loss(symmetry.features(symmetry.align(draws))) < 1.015 * min(ends)


def test_overlapping_components_are_assigned_as_scipy_does():
    features, pivot = torch.randn(2, 200, 6, 2), torch.randn(6, 2)
    order = PERMUTED.match(features, pivot)
    cost = torch.cdist(pivot, features).square()
    best = [[linear_sum_assignment(matrix)[1].tolist() for matrix in chain] for chain in cost.numpy()]
    assert order.tolist() == best


def test_rotations_are_matched_as_scipy_does():
    features, pivot = torch.randn(2, 20, 3, 7), torch.randn(3, 7)
    found = ROTATED.match(features, pivot)
    for element, x in zip(found.flatten(0, 1), features.flatten(0, 1), strict=True):
        rotation, _ = scipy.linalg.orthogonal_procrustes(x.T.numpy(), pivot.T.numpy())
        np.testing.assert_allclose(element, rotation.T, atol=1e-12)


def test_random_rotations_are_uniform():
    """The entries of a uniform orthogonal matrix have mean 0 and mean square 1 / K, and half of them are reflections."""
    element = ROTATED.random({"loadings": torch.zeros(4, 5000, 6, K), "scores": torch.zeros(4, 5000, K, 1)}).flatten(0, 1)
    torch.testing.assert_close(element @ element.mT, torch.eye(K).expand_as(element))
    assert element.mean(0).abs().max() < 4 * (1 / K / 20000) ** 0.5
    assert (element.square().mean(0) - 1 / K).abs().max() < 4 * 0.3 / 20000**0.5
    assert abs(float(torch.linalg.det(element).mean())) < 4 / 20000**0.5


def test_components_are_numbered_by_the_first_entry_of_the_site_named():
    truth = _components()
    backwards = PERMUTED.apply(truth, torch.tensor([2, 1, 0]).expand(CHAINS, DRAWS, K))
    assert torch.equal(backwards["transition"], truth["transition"].flip(2, 3))
    assert PERMUTED.align(backwards)["locs"].mean((0, 1))[:, 0].diff().min() > 0
    by_weight = Permutation(PERMUTED.axes, order="weights").align(truth)
    assert by_weight["weights"].mean((0, 1)).tolist() == sorted(truth["weights"].mean((0, 1)).tolist())
    assert torch.equal(by_weight["emission"], truth["emission"][..., [0, 2, 1]])
    assert torch.equal(by_weight["transition"], truth["transition"][..., [0, 2, 1]][..., [0, 2, 1], :])


def test_states_are_told_apart_by_their_transitions_alone():
    stay = torch.tensor([0.2, 0.5, 0.9]) + 0.01 * torch.randn(CHAINS, DRAWS, K)
    transition = torch.diag_embed(stay) + (1 - stay)[..., None] / (K - 1) * (1 - torch.eye(K))
    symmetry, truth = Permutation({"transition": (0, 1)}, order="transition"), {"transition": transition}
    found = symmetry.align(symmetry.apply(truth, symmetry.random(truth)))["transition"]
    assert {tuple(d.tolist()) for d in found.diagonal(0, 2, 3).sort(-1).indices.flatten(0, 1)} == {
        tuple(found.diagonal(0, 2, 3)[0, 0].argsort().tolist())
    }


def test_factors_are_told_with_their_largest_loading_positive():
    draws = _factors()
    turned = {**draws, "loadings": -draws["loadings"], "scores": -draws["scores"]}
    for symmetry in (FLIPPED, ROTATED):
        found = symmetry.align(turned)["loadings"].mean((0, 1))
        assert (found.gather(0, found.abs().argmax(0, keepdim=True)) > 0).all()
    lengths = ROTATED.align(turned)["loadings"].mean((0, 1)).norm(dim=0)
    assert (lengths.diff() < 0).all()
    gram = ROTATED.align(turned)["loadings"].mean((0, 1))
    gram = gram.mT @ gram
    torch.testing.assert_close(gram, torch.diag(gram.diagonal()), rtol=0, atol=1e-9)


def test_a_site_on_a_larger_scale_does_not_drown_the_others():
    truth = _components()
    truth["weights"] = 1e6 + 1e6 * 0.01 * torch.randn(CHAINS, DRAWS, K)
    assert _close(PERMUTED.align(PERMUTED.apply(truth, PERMUTED.random(truth))), truth)


def test_a_site_that_was_not_drawn_and_a_single_component_change_nothing():
    truth = _components()
    del truth["transition"], truth["emission"]
    assert _close(PERMUTED.align(truth), truth)
    one = {"locs": truth["locs"][:, :, :1], "weights": truth["weights"][:, :, :1]}
    assert _close(PERMUTED.align(one), one)
    assert PERMUTED.align({"noise": truth["noise"]}) == {"noise": truth["noise"]}


def test_draws_that_are_not_finite_are_left_as_they_are(case):
    name = next(iter(case.symmetry.axes))
    case.draws[name][0, 0] = torch.nan
    moved = case.symmetry.apply(case.draws, case.symmetry.random(case.draws))
    found = case.symmetry.align(moved)
    assert all(torch.equal(found[n].nan_to_num(), moved[n].nan_to_num()) for n in moved)


def test_axes_of_different_lengths_are_refused_by_name():
    draws = {"locs": torch.zeros(1, 2, 3, 2), "weights": torch.zeros(1, 2, 4)}
    with pytest.raises(ValueError, match=r"locs \[3\], weights \[4\]"):
        PERMUTED.align(draws)


def test_single_precision_and_one_draw_are_aligned_too(case):
    single = {n: v.float() for n, v in case.draws.items()}
    found = case.symmetry.align(single)
    assert {v.dtype for v in found.values()} == {torch.float32}
    one = case.symmetry.align({n: v[:1, :1] for n, v in case.draws.items()})
    assert all(v.isfinite().all() for v in one.values())


def test_many_chains_are_aligned_quickly_enough_to_be_aligned_always():
    """64 chains of 1000 draws of ten components: the work per draw is one matrix product, and an assignment where they clash."""
    locs = 4 * torch.randn(10, 3) + 0.5 * torch.randn(64, 1000, 10, 3)
    symmetry = Permutation({"locs": 0}, order="locs")
    truth = {"locs": locs}
    expected = symmetry.align(truth)["locs"]
    assert torch.equal(symmetry.align(symmetry.apply(truth, symmetry.random(truth)))["locs"], expected)
    assert (expected.mean((0, 1)) - expected.mean((0, 1))[expected.mean((0, 1))[:, 0].argsort()]).abs().max() == 0


def test_order_and_signs_are_found_together():
    draws = _relevant()
    found = SIGNED.align(SIGNED.apply(draws, SIGNED.random(draws)))
    assert max(float(found["loadings"].std((0, 1)).max()), float(found["relevance"].std((0, 1)).max())) < 0.07


def test_sites_that_are_hardly_known_do_not_blur_those_that_tell_components_apart():
    locs = torch.tensor([0.0, 2.0, 4.0]) + 0.3 * torch.randn(CHAINS, DRAWS, K)
    draws = {"locs": locs, "blurred": torch.randn(CHAINS, DRAWS, K)}
    symmetry = Permutation({"locs": 0, "blurred": 0}, order="locs", told_by=("locs",))
    moved = symmetry.align(symmetry.apply(draws, symmetry.random(draws)))
    assert _close(moved, symmetry.align(draws))
    assert moved["locs"].std((0, 1)).max() < 0.4
