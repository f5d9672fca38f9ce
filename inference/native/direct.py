"""Operators of torch with compiled loops of their own, which C calls by their address, with no Python in between."""

import math
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import torch
from torch.library import CustomOpDef

from .values import Shape

Loops = Callable[..., None]


class Offer(NamedTuple):
    """What `called_from_c` was told of an operator."""

    shapes: str
    loops: Callable[[], Loops]


_OFFERS: dict[Any, Offer] = {}


def called_from_c(operator: CustomOpDef, shapes: str, loops: Callable[[], Loops]) -> None:
    """Let C run compiled loops where a graph has `operator`, in place of asking torch for it.

    shapes: a letter for each axis of each tensor, of those that are read and then of those that are written: "nk nkk -> n". The first
    letter is the batch, of however many axes; a tensor that was not asked for has none of it. loops: what returns the function, once it
    is needed; numba compiles it. It takes a pointer to each tensor, and one to whole numbers: the sizes of the axes, letter by letter as
    they first appear, and then the operator's arguments that are no tensors, whole numbers or truths.
    """
    _OFFERS[operator._opoverload] = Offer(shapes, loops)


def offered(target: Any, others: list[Any]) -> bool:
    """Whether C need not ask torch for an operation, with these arguments that are no tensors."""
    return target in _OFFERS and all(isinstance(other, int) for other in others)


class Direct:
    """Compiled loops in place of an operator, for tensors of these shapes and dtypes: where they are, and the whole numbers they take."""

    def __init__(self, target: Any, shapes: list[Shape], dtypes: list[torch.dtype], others: list[int]) -> None:
        offer = _OFFERS[target]
        self._compiled = _compiled(offer.loops(), tuple(dtypes))
        self.address = self._compiled.address
        self.sizes = [*_sizes(offer.shapes, shapes).values(), *map(int, others)]


@cache
def _compiled(loops: Loops, dtypes: tuple[torch.dtype, ...]) -> Any:
    from numba import cfunc, from_dtype, types

    pointers = [types.CPointer(from_dtype(torch.empty(0, dtype=dtype).numpy().dtype)) for dtype in (*dtypes, torch.int64)]
    return cfunc(types.void(*pointers), cache=True)(loops)


def _sizes(letters: str, shapes: list[Shape]) -> dict[str, int]:
    """The size of each axis. Raises ValueError where one letter has two: loops would read what is not theirs."""
    found: dict[str, int] = {}
    for axes, shape in zip(letters.replace("->", " ").split(), shapes, strict=True):
        after = len(shape) - len(axes) + 1
        flat = (math.prod(shape[:after]), *shape[after:]) if math.prod(shape) else (0,)
        for letter, size in zip(axes, flat, strict=False):
            if found.setdefault(letter, size) != size:
                raise ValueError(f"tensors of shapes {shapes} are not {letters!r}: {letter} is {found[letter]} and {size}")
    return found
