"""Latent axes that may be turned into any others."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from .group import Symmetry
from .sign import largest_positive


@dataclass(frozen=True)
class Rotation(Symmetry):
    """K latent axes may be turned by any orthogonal matrix, reflections and permutations among them, in all the sites at once.

    axes: the sites that are indexed by latent axis -> the axis that counts them: {"loadings": 1} for loadings (dim, K). They are
    told along the principal axes of the first site's mean, the longest first, with the largest entry of each positive.

    An element is the matrix (K, K). Draws are matched to a pivot by the orthogonal Procrustes solution (Schoenemann 1966, "A
    generalized solution of the orthogonal Procrustes problem", Psychometrika 31).
    """

    leaves: ClassVar[str] = "length of"
    seen_as: ClassVar[str] = "rotation"

    def act(self, x: Tensor, element: Tensor) -> Tensor:
        return element.to(x) @ x

    def match(self, features: Tensor, pivot: Tensor) -> Tensor:
        left, _, right = torch.linalg.svd(features @ pivot.mT)
        return (left @ right).mT

    def orient(self, draws: Mapping[str, Tensor]) -> Tensor:
        name, axes = next(iter(self.present(draws).items()))
        mean = draws[name].double().mean((0, 1)).movedim(axes[0], 0)
        mean = mean.reshape(len(mean), -1)
        turn = torch.linalg.svd(mean)[0].mT
        return (largest_positive(turn @ mean)[:, None] * turn)[None, None]

    def random(self, draws: Mapping[str, Tensor]) -> Tensor:
        first, size = next(iter(draws.values())), self.size(draws)
        q, r = torch.linalg.qr(torch.randn(*first.shape[:2], size, size, dtype=torch.double, device=first.device))
        # Without the signs of r the distribution would not be uniform (Mezzadri 2007, Notices of the AMS 54).
        return q * r.diagonal(0, -2, -1).sign()[..., None, :]

    def invariant(self, x: Tensor) -> Tensor:
        return x.norm(dim=2, keepdim=True)
