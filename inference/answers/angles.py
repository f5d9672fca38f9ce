"""Angles, of which whole turns are nothing, among numbers."""

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from ..pair import Pair


def turned(pair: "Pair", values: Tensor) -> Tensor:
    """Draws (draw, rows, ...), the angles among them by whole turns to within half a turn of the mean direction of a value's draws, so that
    their mean, their spread and their quantiles are those of what they stand for."""
    if not any(pair.angles):
        return values
    towards = torch.atan2(values.sin().mean(0), values.cos().mean(0))
    near = towards + torch.remainder(values - towards + math.pi, 2 * math.pi) - math.pi
    return torch.where(torch.tensor(pair.angles, device=values.device), near, values)
