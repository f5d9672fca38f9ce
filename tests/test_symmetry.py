"""Labels that chains have swapped are put back."""

import itertools

import pytest
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from inference import Permutation
from inference.symmetry import _match, _take

SYMMETRY = Permutation({"locs": 0, "weights": 0, "transition": 1}, order="locs")
CHAINS, DRAWS, K = 4, 30, 3


def _truth() -> dict[str, Tensor]:
    """Draws that scatter about components in ascending order; `transition` counts components along its second axis."""
    locs = torch.tensor([[-2.0, 5.0], [0.0, -5.0], [3.0, 0.0]]) + 0.3 * torch.randn(CHAINS, DRAWS, K, 2)
    weights = torch.tensor([0.2, 0.5, 0.3]) + 0.02 * torch.randn(CHAINS, DRAWS, K)
    transition = torch.arange(6.0).reshape(2, K) + 0.1 * torch.randn(CHAINS, DRAWS, 2, K)
    return {"locs": locs, "weights": weights, "transition": transition, "noise": torch.randn(CHAINS, DRAWS)}


def _relabelled(draws: dict[str, Tensor], order: Tensor) -> dict[str, Tensor]:
    moved = {n: _take(draws[n].movedim(2 + axis, 2), order).movedim(2, 2 + axis) for n, axis in SYMMETRY.axes.items()}
    return {**draws, **moved}


def _random_order() -> Tensor:
    return torch.rand(CHAINS, DRAWS, K).argsort(-1)


def _equal(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[n], b[n]) for n in a)


@pytest.mark.parametrize("by", ["draw", "chain"])
def test_permuted_labels_are_restored(by):
    truth, order = _truth(), _random_order()
    order = order if by == "draw" else order[:, :1].expand(order.shape)
    mixed = _relabelled(truth, order)
    assert not _equal(mixed, truth)
    assert _equal(SYMMETRY.align(mixed), truth)


def test_what_is_aligned_stays_as_it_is():
    truth = _truth()
    assert _equal(SYMMETRY.align(truth), truth)


def test_the_order_of_the_chains_does_not_matter():
    mixed = _relabelled(_truth(), _random_order())
    aligned = SYMMETRY.align(mixed)
    for chains in itertools.permutations(range(CHAINS)):
        again = SYMMETRY.align({n: v[list(chains)] for n, v in mixed.items()})
        assert _equal(again, {n: v[list(chains)] for n, v in aligned.items()})


def test_overlapping_components_are_assigned_as_scipy_does():
    features, pivot = torch.randn(2, 200, 6, 2), torch.randn(6, 2)
    order = _match(features, pivot)
    cost = torch.cdist(pivot, features).square()
    best = [[linear_sum_assignment(matrix)[1].tolist() for matrix in chain] for chain in cost.numpy()]
    assert order.tolist() == best


def test_components_are_numbered_by_the_first_entry_of_the_site_named():
    truth = _truth()
    backwards = _relabelled(truth, torch.tensor([2, 1, 0]).expand(CHAINS, DRAWS, K))
    aligned = SYMMETRY.align(backwards)
    assert aligned["locs"].mean((0, 1))[:, 0].diff().min() > 0
    by_weight = Permutation(SYMMETRY.axes, order="weights").align(truth)
    assert by_weight["weights"].mean((0, 1)).tolist() == sorted(truth["weights"].mean((0, 1)).tolist())
    assert torch.equal(by_weight["transition"], truth["transition"][..., [0, 2, 1]])


def test_a_site_on_a_larger_scale_does_not_drown_the_others():
    truth = _truth()
    truth["weights"] = 1e6 + 1e6 * 0.01 * torch.randn(CHAINS, DRAWS, K)
    assert _equal(SYMMETRY.align(_relabelled(truth, _random_order())), truth)


def test_a_site_that_was_not_drawn_and_a_single_component_change_nothing():
    truth = _truth()
    del truth["transition"]
    assert _equal(SYMMETRY.align(truth), truth)
    one = {"locs": truth["locs"][:, :, :1], "weights": truth["weights"][:, :, :1]}
    assert _equal(SYMMETRY.align(one), one)
