"""Groups and their members that are told in different orders are told alike."""

import itertools

import pytest
import torch
from torch import Tensor

from inference import NestedPermutation
from tests.symmetric import CHAINS, DRAWS, Draws, equal

GROUPS, MEMBERS = 2, 3
AXES = {"parts": (1, 2), "moves": (0, 1, 2), "shares": (0, 1)}
NESTED = NestedPermutation(AXES, order="parts", told_by=("parts",), groups=GROUPS)


def _draws() -> Draws:
    """Draws that scatter about groups of members in the order agreed on."""
    torch.manual_seed(0)
    parts = torch.tensor([[[-1.0, 0.0, 1.0], [-5.0, 2.0, 3.0]], [[0.5, -1.0, 0.5], [1.0, 1.0, -2.0]]])
    return {
        "parts": parts + 0.1 * torch.randn(CHAINS, DRAWS, *parts.shape),
        "moves": torch.arange(18.0).reshape(GROUPS, MEMBERS, MEMBERS) + 0.1 * torch.randn(CHAINS, DRAWS, GROUPS, MEMBERS, MEMBERS),
        "shares": torch.arange(6.0).reshape(GROUPS, MEMBERS) + 0.1 * torch.randn(CHAINS, DRAWS, GROUPS, MEMBERS),
        "noise": torch.randn(CHAINS, DRAWS),
    }


def _elements() -> Tensor:
    """Every element of the group: an order of the groups, and one of the members of each."""
    orders = list(itertools.permutations(range(MEMBERS)))
    return torch.tensor(
        [
            [g * MEMBERS + k for g, order in zip(groups, members, strict=True) for k in order]
            for groups in itertools.permutations(range(GROUPS))
            for members in itertools.product(orders, repeat=GROUPS)
        ]
    )


def test_the_nearest_of_all_elements_is_found():
    features, pivot = torch.randn(50, GROUPS * MEMBERS, 4), torch.randn(GROUPS * MEMBERS, 4)
    found = (NESTED.nearest(features, pivot) - pivot).square().sum((1, 2))
    every = torch.stack([(features[:, element] - pivot).square().sum((1, 2)) for element in _elements()])
    torch.testing.assert_close(found, every.amin(0))


def test_an_element_moves_sites_as_written_out():
    draws, element = _draws(), torch.tensor([5, 3, 4, 0, 2, 1])
    moved = NESTED.apply(draws, element.expand(CHAINS, DRAWS, -1))
    for new, old in enumerate(element.tolist()):
        (g, k), (h, j) = divmod(new, MEMBERS), divmod(old, MEMBERS)
        assert torch.equal(moved["parts"][..., g, k], draws["parts"][..., h, j])
        assert torch.equal(moved["shares"][..., g, k], draws["shares"][..., h, j])
        for other in range(MEMBERS):
            was = int(element[g * MEMBERS + other]) % MEMBERS
            assert torch.equal(moved["moves"][..., g, k, other], draws["moves"][..., h, j, was])
    assert torch.equal(moved["noise"], draws["noise"])


def test_what_was_moved_at_random_is_told_as_before():
    draws = _draws()
    element = NESTED.random(draws)
    assert {tuple(e.tolist()) for e in element.flatten(0, 1)} <= {tuple(e.tolist()) for e in _elements()}
    assert len({tuple(e.tolist()) for e in element.flatten(0, 1)}) > 30
    moved = NESTED.apply(draws, element)
    assert not equal(moved, draws)
    assert equal(NESTED.align(moved), draws)
    before, after = NESTED.invariants(draws), NESTED.invariants(moved)
    assert before.keys() == {"parts", "shares"}
    assert equal(before, after)
    assert equal(NESTED.towards(moved, draws), draws)


def test_one_group_is_a_permutation():
    from inference import Permutation

    draws = {"locs": torch.randn(2, 5, 4, 2), "moves": torch.randn(2, 5, 4, 4)}
    one = {"locs": draws["locs"][:, :, None], "moves": draws["moves"][:, :, None]}
    nested = NestedPermutation({"locs": (0, 1), "moves": (0, 1, 2)}, order="locs", groups=1).align(one)
    plain = Permutation({"locs": 0, "moves": (0, 1)}, order="locs", told_by=("locs",)).align(draws)
    assert equal({n: v[:, :, 0] for n, v in nested.items()}, plain)


@pytest.mark.parametrize(("site", "shape"), [("parts", (2, 3, 3)), ("parts", (2, 2, 4)), ("shares", (2, 4)), ("shares", (2,))])
def test_sites_that_do_not_fit_are_refused_by_name(site, shape):
    draws = {**_draws(), site: torch.zeros(CHAINS, DRAWS, *shape)}
    with pytest.raises(ValueError, match=r"acts on 2 groups of as many members each, not on axes of length .*(shares|parts) \["):
        NESTED.align(draws)


def test_groups_are_told_apart_by_what_they_have_beside_their_members():
    torch.manual_seed(0)
    noise = torch.randn(CHAINS, DRAWS, GROUPS, MEMBERS)
    rates = torch.tensor([2.0, 12.0]) + 0.1 * torch.randn(CHAINS, DRAWS, GROUPS)
    swapped = torch.rand(CHAINS, DRAWS, 1) < 0.5
    told = {"parts": noise, "rates": torch.where(swapped, rates.flip(-1), rates)}
    symmetry = NestedPermutation({"parts": (0, 1)}, order="parts", told_by=("parts", "rates"), groups=GROUPS, by_group={"rates": 0})
    found = symmetry.align(told)["rates"]
    assert sorted(found.mean((0, 1)).round().tolist()) == [2.0, 12.0]
    assert found.std((0, 1)).max() < 0.2
    assert torch.equal(symmetry.invariants(told)["rates"], rates)
