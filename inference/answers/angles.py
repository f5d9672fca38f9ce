"""Angles, of which whole turns are nothing, among numbers."""

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from ..pair import Pair


def turned(pair: "Pair", values: Tensor) -> Tensor:
    """Draws (draw, rows, ...), the angles among them by whole turns to within half a turn of the mean direction of a value's draws, so that
    their mean, their spread and their quantiles are those of what they stand for. That direction is where the data have a turn."""
    known = [angle is not None for angle in pair.angles]
    if not any(known):
        return values
    begin = values.new_tensor([angle or 0.0 for angle in pair.angles])
    towards = onto_turn(torch.atan2(values.sin().mean(0), values.cos().mean(0)), begin)
    return torch.where(torch.tensor(known, device=values.device), about(values, towards), values)


def onto_turn(values: Tensor, begin: Tensor | float) -> Tensor:
    """Angles by whole turns to within the turn that begins there."""
    return begin + torch.remainder(values - begin, 2 * math.pi)


def about(values: Tensor, towards: Tensor) -> Tensor:
    """Angles by whole turns to within half a turn of the direction `towards`."""
    return onto_turn(values, towards - math.pi)
