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

    loops: Callable[[], Loops]
    dims: tuple[int, ...]


_OFFERS: dict[Any, Offer] = {}


def called_from_c(operator: CustomOpDef, dims: tuple[int, ...], loops: Callable[[], Loops]) -> None:
    """Let C run compiled loops where a graph has `operator`, in place of asking torch for it.

    dims: how many axes each tensor has after its batch, those read first and then those written. loops: what returns the function, once
    it is needed; numba compiles it. It takes a pointer to each tensor, and one to whole numbers: the shapes of all tensors, one after the
    other, the batch of each being one axis, and then the operator's arguments that are no tensors.
    """
    _OFFERS[operator._opoverload] = Offer(loops, dims)


def offered(target: Any) -> bool:
    """Whether C need not ask torch for an operation."""
    return target in _OFFERS


class Direct:
    """Compiled loops in place of an operator, for tensors of these dtypes: where they are, and the whole numbers that they take."""

    def __init__(self, target: Any, shapes: list[Shape], dtypes: list[torch.dtype], others: list[Any]) -> None:
        loops, dims = _OFFERS[target]
        self._compiled = _compiled(loops(), tuple(dtypes))
        self.address = self._compiled.address
        self.sizes = [n for shape, count in zip(shapes, dims, strict=True) for n in _flat(shape, count)] + [int(other) for other in others]


@cache
def _compiled(loops: Loops, dtypes: tuple[torch.dtype, ...]) -> Any:
    from numba import cfunc, from_dtype, types

    pointers = [types.CPointer(from_dtype(torch.empty(0, dtype=dtype).numpy().dtype)) for dtype in (*dtypes, torch.int64)]
    return cfunc(types.void(*pointers), cache=True)(loops)


def _flat(shape: Shape, dims: int) -> tuple[int, ...]:
    """A shape with its batch as one axis; of no elements, where the operator was not asked for the tensor."""
    if not math.prod(shape):
        return (0,) * (dims + 1)
    return math.prod(shape[: len(shape) - dims]), *shape[len(shape) - dims :]
