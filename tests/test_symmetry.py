"""What chains tell in different labels, signs or axes is told alike."""

import itertools

import pytest
import torch
from torch import Tensor

from inference import Permutation
from tests.symmetric import CHAINS, DRAWS, FLIPPED, PERMUTED, ROTATED, SIGNED, Case, K, components, equal, factors, relevant


@pytest.fixture(params=["permutation", "sign", "signed", "rotation"])
def case(request) -> Case:
    made = {
        "permutation": (PERMUTED, components),
        "sign": (FLIPPED, factors),
        "signed": (SIGNED, relevant),
        "rotation": (ROTATED, factors),
    }
    symmetry, draws = made[request.param]
    return Case(symmetry, draws())


def _of_chain(element: Tensor) -> Tensor:
    """The same element for every draw of a chain."""
    return element[:, :1].expand(element.shape)


@pytest.mark.parametrize("by", ["draw", "chain"])
def test_what_was_moved_at_random_is_told_as_before(case, by):
    element = case.symmetry.random(case.draws)
    moved = case.symmetry.apply(case.draws, element if by == "draw" else _of_chain(element))
    assert not equal(moved, case.draws)
    assert equal(case.symmetry.align(moved), case.symmetry.align(case.draws))


def test_draws_in_the_order_agreed_on_stay_as_they_are(case):
    if case.symmetry is ROTATED:
        # The principal axes are those of the mean, which lies a little off the ones planted: told once, they stay.
        case = case._replace(draws=ROTATED.align(case.draws))
    assert equal(case.symmetry.align(case.draws), case.draws)


def test_the_order_of_the_chains_does_not_matter(case):
    mixed = case.symmetry.apply(case.draws, case.symmetry.random(case.draws))
    aligned = case.symmetry.align(mixed)
    for chains in itertools.permutations(range(CHAINS)):
        again = case.symmetry.align({n: v[list(chains)] for n, v in mixed.items()})
        assert equal(again, {n: v[list(chains)] for n, v in aligned.items()})


def test_an_element_changes_no_invariant(case):
    before = case.symmetry.invariants(case.draws)
    after = case.symmetry.invariants(case.symmetry.apply(case.draws, case.symmetry.random(case.draws)))
    assert before.keys() == {n for n, axis in case.symmetry.axes.items() if isinstance(axis, int)}
    assert equal(before, after)


def test_elements_are_isometries_and_differ_from_draw_to_draw(case):
    torch.manual_seed(1)
    element = case.symmetry.random(case.draws)
    features = case.symmetry.features(case.draws)
    moved = case.symmetry.act(features, element)
    torch.testing.assert_close(moved.square().sum((2, 3)), features.square().sum((2, 3)))
    assert len({tuple(e.flatten().tolist()) for e in element.flatten(0, 1)}) > 4


def test_what_is_alike_does_not_number_components_that_locations_tell_apart():
    truth = {
        "locs": torch.tensor([-4.0, -3.0, 5.0, 6.0]) + 0.1 * torch.randn(CHAINS, DRAWS, 4),
        "weights": torch.softmax(0.1 * torch.randn(CHAINS, DRAWS, 4), -1),
    }
    symmetry = Permutation(dict.fromkeys(truth, 0), order="locs")
    assert equal(symmetry.align(symmetry.apply(truth, symmetry.random(truth))), truth)


@pytest.mark.parametrize("spread", [1.0, 3.0, 10.0])
def test_a_component_that_may_be_anywhere_does_not_hide_what_the_others_are(spread):
    anywhere = spread * torch.randn(CHAINS, 20 * DRAWS, 1)
    truth = {
        "locs": torch.cat([torch.tensor([0.0, 1.5, 12.0]) + 0.05 * torch.randn(CHAINS, 20 * DRAWS, 3), anywhere], -1),
        "weights": torch.tensor([0.33, 0.33, 0.33, 0.01]) * (1 + 0.05 * torch.randn(CHAINS, 20 * DRAWS, 4)),
    }
    symmetry = Permutation(dict.fromkeys(truth, 0), order="locs")
    aligned = symmetry.align(symmetry.apply(truth, symmetry.random(truth)))
    assert aligned["locs"].std((0, 1)).sort().values[2] < 0.06


def test_components_are_numbered_by_the_first_entry_of_the_site_named():
    truth = components()
    backwards = PERMUTED.apply(truth, torch.tensor([2, 1, 0]).expand(CHAINS, DRAWS, K))
    assert torch.equal(backwards["transition"], truth["transition"].flip(2, 3))
    assert PERMUTED.align(backwards)["locs"].mean((0, 1))[:, 0].diff().min() > 0
    by_weight = Permutation(PERMUTED.axes, order="weights").align(truth)
    assert by_weight["weights"].mean((0, 1)).tolist() == sorted(truth["weights"].mean((0, 1)).tolist())
    assert torch.equal(by_weight["emission"], truth["emission"][..., [0, 2, 1]])
    assert torch.equal(by_weight["transition"], truth["transition"][..., [0, 2, 1]][..., [0, 2, 1], :])


def test_factors_are_told_with_their_largest_loading_positive():
    draws = factors()
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
    truth = components()
    truth["weights"] = 1e6 + 1e6 * 0.01 * torch.randn(CHAINS, DRAWS, K)
    assert equal(PERMUTED.align(PERMUTED.apply(truth, PERMUTED.random(truth))), truth)


def test_a_site_that_was_not_drawn_and_a_single_component_change_nothing():
    truth = components()
    del truth["transition"], truth["emission"]
    assert equal(PERMUTED.align(truth), truth)
    one = {"locs": truth["locs"][:, :, :1], "weights": truth["weights"][:, :, :1]}
    assert equal(PERMUTED.align(one), one)
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
