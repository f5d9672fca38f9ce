"""Axes that may be numbered in any order, and may point either way."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from .permutation import Permutation, assigned
from .sign import largest_positive


@dataclass(frozen=True)
class SignedPermutation(Permutation):
    """K latent axes may be numbered in any order and each may flip its sign, in all the sites at once.

    told_by: the sites whose signs flip, which tell the axes apart; the others are numbered along with them. An order and signs
    cannot be found one after the other: which axis is which is seen by inner products without regard to sign.

    An element holds, for each axis of the result, the number of the axis that it was, counted from 1, negative if it flips.
    """

    leaves: ClassVar[str] = "sorted size of"
    seen_as: ClassVar[str] = "axes that switched or flipped"

    def act(self, x: Tensor, element: Tensor) -> Tensor:
        return super().act(x, element.abs() - 1) * element.sign()[..., None].to(x)

    def apply(self, draws: Mapping[str, Tensor], element: Tensor) -> dict[str, Tensor]:
        """As for any symmetry; sites that tell no signs are only numbered anew."""
        unsigned = {name: value for name, value in draws.items() if name not in self.told_by}
        return {**super().apply(draws, element), **super().apply(unsigned, element.abs())}

    def match(self, features: Tensor, pivot: Tensor) -> Tensor:
        inner = (features @ pivot.mT).mT.contiguous()
        order = assigned(-inner.abs())
        flipped = inner.gather(-1, order[..., None])[..., 0] < 0
        return torch.where(flipped, -1 - order, 1 + order)

    def orient(self, draws: Mapping[str, Tensor]) -> Tensor:
        order = super().orient(draws)
        name, axes = next(iter(self.telling(draws).items()))
        mean = draws[name].double().mean((0, 1)).movedim(axes[0], 0)
        signs = largest_positive(mean.reshape(len(mean), -1)[order[0, 0]])
        return (order + 1) * signs.long()

    def random(self, draws: Mapping[str, Tensor]) -> Tensor:
        order = super().random(draws)
        return (order + 1) * (2 * torch.randint(2, order.shape, device=order.device) - 1)

    def invariant(self, x: Tensor) -> Tensor:
        return x.abs().sort(2).values

    def columns(self, x: Tensor, axes: tuple[int, ...]) -> Tensor | None:
        # Without the common part taken off, as a permutation does: a sign flips it too.
        return x.double().movedim(2 + axes[0], 2)[..., None] if len(axes) == 1 else None
