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
    towards = begin + torch.remainder(torch.atan2(values.sin().mean(0), values.cos().mean(0)) - begin, 2 * math.pi)
    near = towards + torch.remainder(values - towards + math.pi, 2 * math.pi) - math.pi
    return torch.where(torch.tensor(known, device=values.device), near, values)
