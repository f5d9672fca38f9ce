"""Draws of components, loadings and factors that are told equal, and the symmetries that act on them."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from inference import Permutation, Rotation, Sign, SignedPermutation
from inference.symmetry import Symmetry

CHAINS, DRAWS, K = 4, 30, 3
Draws = dict[str, Tensor]


def components() -> Draws:
    """Draws that scatter about components in ascending order; `emission` counts components along its second axis, `transition`
    along both."""
    locs = torch.tensor([[-2.0, 5.0], [0.0, -5.0], [3.0, 0.0]]) + 0.3 * torch.randn(CHAINS, DRAWS, K, 2)
    weights = torch.tensor([0.2, 0.5, 0.3]) + 0.02 * torch.randn(CHAINS, DRAWS, K)
    emission = torch.arange(6.0).reshape(2, K) + 0.1 * torch.randn(CHAINS, DRAWS, 2, K)
    transition = torch.arange(9.0).reshape(K, K) + 0.1 * torch.randn(CHAINS, DRAWS, K, K)
    noise = torch.randn(CHAINS, DRAWS)
    return {"locs": locs, "weights": weights, "emission": emission, "transition": transition, "noise": noise}


def relevant() -> Draws:
    """Loadings whose columns differ in their signs alone, and the relevance of each, in ascending order."""
    loadings = torch.tensor([[3.0, 2.0, 2.0], [1.0, 3.0, -1.0], [1.0, -1.0, 3.0], [1.0, 2.0, -2.0]])
    return {
        "loadings": loadings + 0.05 * torch.randn(CHAINS, DRAWS, 4, K),
        "relevance": torch.tensor([1.0, 2.0, 3.0]) + 0.05 * torch.randn(CHAINS, DRAWS, K),
    }


def factors() -> Draws:
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


def equal(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.allclose(a[n], b[n], rtol=0, atol=1e-9) for n in a)
