"""Axes that may point either way."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from .group import Symmetry


@dataclass(frozen=True)
class Sign(Symmetry):
    """Each of K latent axes may flip its sign, in all the sites at once.

    axes: the sites that are indexed by latent axis -> the axis that counts them. They are told with the largest entry of the
    first site's mean positive.

    An element holds -1 or 1 for each latent axis.
    """

    leaves: ClassVar[str] = "size of"
    seen_as: ClassVar[str] = "flipped signs"

    def act(self, x: Tensor, element: Tensor) -> Tensor:
        return x * element[..., None].to(x)

    def match(self, features: Tensor, pivot: Tensor) -> Tensor:
        return _sign((features * pivot).sum(-1))

    def orient(self, draws: Mapping[str, Tensor]) -> Tensor:
        name, axes = next(iter(self.present(draws).items()))
        mean = draws[name].double().mean((0, 1)).movedim(axes[0], 0)
        return largest_positive(mean.reshape(len(mean), -1))[None, None]

    def random(self, draws: Mapping[str, Tensor]) -> Tensor:
        first = next(iter(draws.values()))
        return _sign(torch.randn(*first.shape[:2], self.size(draws), dtype=torch.double, device=first.device))

    def invariant(self, x: Tensor) -> Tensor:
        return x.abs()


def largest_positive(x: Tensor) -> Tensor:
    """(K,) the signs that make the entry of largest magnitude in every row of `x` (K, feature) positive."""
    return _sign(x.gather(1, x.abs().argmax(1, keepdim=True))[:, 0])


def _sign(x: Tensor) -> Tensor:
    return torch.where(x < 0, -1.0, 1.0).to(x)
