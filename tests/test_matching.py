"""The element that brings a draw closest to a pivot, and the pivot, are the best there are."""

import numpy as np
import pytest
import scipy.linalg
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from inference import Permutation, Rotation, Sign
from tests.symmetric import CHAINS, DRAWS, PERMUTED, ROTATED, SIGNED, K, components, equal, factors, relevant


def test_a_planted_rotation_is_undone_to_the_noise_of_the_draws():
    draws, symmetry = {"loadings": factors()["loadings"]}, Rotation({"loadings": 1})
    found = symmetry.align(symmetry.apply(draws, symmetry.random(draws)))["loadings"]
    assert (found.mean((0, 1)) - draws["loadings"].mean((0, 1))).abs().max() < 0.05
    assert found.std((0, 1)).mean() < 0.05


def test_a_pivot_that_begins_with_an_odd_draw_does_not_lead_astray():
    """Every chain's last draw lies between two components: a pivot that begins there ends in a worse place."""
    draws = {n: v for n, v in components().items() if n in ("locs", "weights")}
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


def test_states_are_told_apart_by_their_transitions_alone():
    stay = torch.tensor([0.2, 0.5, 0.9]) + 0.01 * torch.randn(CHAINS, DRAWS, K)
    transition = torch.diag_embed(stay) + (1 - stay)[..., None] / (K - 1) * (1 - torch.eye(K))
    symmetry, truth = Permutation({"transition": (0, 1)}, order="transition"), {"transition": transition}
    found = symmetry.align(symmetry.apply(truth, symmetry.random(truth)))["transition"]
    assert {tuple(d.tolist()) for d in found.diagonal(0, 2, 3).sort(-1).indices.flatten(0, 1)} == {
        tuple(found.diagonal(0, 2, 3)[0, 0].argsort().tolist())
    }


def test_many_chains_are_aligned_quickly_enough_to_be_aligned_always():
    """64 chains of 1000 draws of ten components: the work per draw is one matrix product, and an assignment where they clash."""
    locs = 4 * torch.randn(10, 3) + 0.5 * torch.randn(64, 1000, 10, 3)
    symmetry = Permutation({"locs": 0}, order="locs")
    truth = {"locs": locs}
    expected = symmetry.align(truth)["locs"]
    assert torch.equal(symmetry.align(symmetry.apply(truth, symmetry.random(truth)))["locs"], expected)
    assert (expected.mean((0, 1)) - expected.mean((0, 1))[expected.mean((0, 1))[:, 0].argsort()]).abs().max() == 0


def test_order_and_signs_are_found_together():
    draws = relevant()
    found = SIGNED.align(SIGNED.apply(draws, SIGNED.random(draws)))
    assert max(float(found["loadings"].std((0, 1)).max()), float(found["relevance"].std((0, 1)).max())) < 0.07


def test_sites_that_are_hardly_known_do_not_blur_those_that_tell_components_apart():
    locs = torch.tensor([0.0, 2.0, 4.0]) + 0.3 * torch.randn(CHAINS, DRAWS, K)
    draws = {"locs": locs, "blurred": torch.randn(CHAINS, DRAWS, K)}
    symmetry = Permutation({"locs": 0, "blurred": 0}, order="locs", told_by=("locs",))
    moved = symmetry.align(symmetry.apply(draws, symmetry.random(draws)))
    assert equal(moved, symmetry.align(draws))
    assert moved["locs"].std((0, 1)).max() < 0.4
