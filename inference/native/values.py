"""Tensors of a graph as C sees them: what stands at an index, be it in memory or yet to be computed."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

Index = tuple[str, ...]
Shape = tuple[int, ...]
CTYPES = {torch.float32: "float", torch.float64: "double", torch.int64: "int64_t", torch.int32: "int32_t", torch.bool: "uint8_t"}


class Unsupported(Exception):
    """What is not known in C; a graph that needs it stays with torch."""


@dataclass(frozen=True)
class Value:
    """A tensor. at(index): the C expression of an element; revisited: whether asking again for an element computes it again."""

    shape: Shape
    dtype: torch.dtype
    at: Callable[[Index], str]
    revisited: bool = True

    @property
    def numel(self) -> int:
        count = 1
        for size in self.shape:
            count *= size
        return count

    @property
    def ctype(self) -> str:
        return ctype(self.dtype)


@dataclass(frozen=True)
class Buffer(Value):
    """A tensor in memory, `name` being where: strides and offset are in elements."""

    name: str = ""
    strides: Shape = ()
    offset: int = 0


def ctype(dtype: torch.dtype) -> str:
    """The C type of an element. Raises Unsupported."""
    if dtype not in CTYPES:
        raise Unsupported(f"tensors of {dtype}")
    return CTYPES[dtype]


def contiguous(shape: Shape) -> Shape:
    """The strides of a tensor whose elements stand one after the other."""
    strides, stride = [], 1
    for size in reversed(shape):
        strides.append(stride)
        stride *= max(size, 1)
    return tuple(reversed(strides))


def in_memory(name: str, shape: Shape, dtype: torch.dtype, strides: Shape | None = None, offset: int = 0) -> Buffer:
    """The tensor that lies at `name`."""
    strides = contiguous(shape) if strides is None else strides

    def at(index: Index) -> str:
        terms = [i if s == 1 else f"{i}*{s}" for i, s, n in zip(index, strides, shape, strict=True) if n > 1 and s and i != "0"]
        return f"{name}[{'+'.join([*terms, *([str(offset)] if offset or not terms else [])])}]"

    return Buffer(shape, dtype, at, False, name, strides, offset)


def mapped(value: Value, shape: Shape, index: Callable[[Index], Index]) -> Value:
    """A tensor of `shape` whose elements are those of `value` at another index."""
    return Value(shape, value.dtype, lambda i: value.at(index(i)), value.revisited)


def moved(value: Value, shape: Shape, strides: Shape, offset: int, index: Callable[[Index], Index]) -> Value:
    """As `mapped`; a tensor in memory stays one, with other strides and further on by `offset`."""
    if isinstance(value, Buffer):
        return in_memory(value.name, shape, value.dtype, strides, value.offset + offset)
    return mapped(value, shape, index)


def literal(value: float | int | bool, dtype: torch.dtype) -> str:
    """A number as C writes it."""
    if dtype == torch.bool:
        return str(int(bool(value)))
    if not dtype.is_floating_point:
        return f"INT64_C({int(value)})"
    value = float(value)
    if value != value:
        text = "NAN"
    elif value in (float("inf"), float("-inf")):
        text = "INFINITY" if value > 0 else "-INFINITY"
    else:
        text = repr(value)
    return f"(({ctype(dtype)}){text})"


def constant(value: float | int | bool, dtype: torch.dtype, shape: Shape = ()) -> Value:
    """A tensor of one number throughout."""
    return Value(shape, dtype, lambda _: literal(value, dtype), False)


def cast(expression: str, have: torch.dtype, want: torch.dtype) -> str:
    """An element as one of another type."""
    if have == want:
        return expression
    return f"(uint8_t)(({expression}) != 0)" if want == torch.bool else f"({ctype(want)})({expression})"


def broadcast(value: Value, shape: Shape) -> Callable[[Index], str]:
    """The elements of `value` at the indices of a larger `shape`."""
    lead = len(shape) - len(value.shape)
    return lambda index: value.at(tuple("0" if n == 1 else i for i, n in zip(index[lead:], value.shape, strict=True)))
