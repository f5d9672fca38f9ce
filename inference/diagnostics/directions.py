"""Quantities of angles, of which whole turns are nothing."""

from collections.abc import Callable

import torch
from torch import Tensor

from ..answers.angles import about, onto_turn


def direction(x: Tensor) -> Tensor:
    """() of angles (values,), where their mean as points on a circle lies; over those that are not missing."""
    return torch.atan2(x.sin().nanmean(0), x.cos().nanmean(0))


def resultant(x: Tensor) -> Tensor:
    """() of angles (values,), how long the mean of the points on a circle is: 1 where all are one, 0 where none is preferred.

    Reference: Mardia & Jupp 2000, "Directional statistics", Wiley, section 2.3.
    """
    return torch.hypot(x.sin().nanmean(0), x.cos().nanmean(0))


def of_angles(seen: Tensor, begin: float, of_numbers: dict[str, Callable[[Tensor], Tensor]]) -> dict[str, Callable[[Tensor], Tensor]]:
    """What is looked at of angles (values,): mean direction, resultant length, and those quantities of numbers that have a meaning
    for angles counted from the direction of those that were `seen`, the far side of which is the one place where they are cut."""
    towards = onto_turn(direction(seen), begin)
    numbers = {name: lambda x, q=quantity: q(about(x, towards.to(x))) for name, quantity in of_numbers.items()}
    return {"direction": lambda x: about(direction(x), towards.to(x)), "resultant": resultant, **numbers}
