"""The rows of each step."""

from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor

from .stream import Rows


class Batches(Protocol):
    """What a fit asks of its rows. example: rows shaped like those of a step; order: what must be kept to go on; holes: whether one
    was met unforeseen."""

    example: Tensor
    order: Tensor
    holes: bool

    def at(self, step: int) -> Tensor:
        """(rows, ...) the rows of a step; steps are asked for in order."""


class Minibatches:
    """`rows` of the rows `x` a step, without replacement, in an order that is drawn anew in each pass; all rows if `rows` is None."""

    holes = False

    def __init__(self, x: Tensor, rows: int | None) -> None:
        self._x, self._rows = x, rows or len(x)
        self.example = x[: self._rows]
        self.order = torch.arange(len(x), device=x.device)

    def at(self, step: int) -> Tensor:
        """See `Batches`."""
        if self._rows == len(self._x):
            return self._x
        begin = step % (len(self._x) // self._rows) * self._rows
        if begin == 0:
            self.order = torch.randperm(len(self._x), device=self._x.device)
        return self._x[self.order[begin : begin + self._rows]]


class Streamed:
    """`rows` of a stream a step; the order follows from the seed and the step, so that nothing must be kept to go on."""

    def __init__(self, stream: Rows, rows: int, like: Tensor) -> None:
        self._stream, self._rows, self._like = stream, rows, like
        self.example = like[:rows]
        self._seed = int(torch.randint(2**31, ()))
        self._coming: Iterator[Tensor] | None = None
        self._next = 0
        self.order, self.holes = torch.empty(0), False

    def at(self, step: int) -> Tensor:
        """See `Batches`."""
        if self._coming is None or step != self._next:
            self._coming = self._stream.batches(self._rows, self._seed, step)
        self._next = step + 1
        batch = next(self._coming)
        self.holes = self.holes or bool(batch.isnan().any())
        return batch.to(self._like)


def batches(source: Tensor | Rows, rows: int | None, like: Tensor) -> Batches:
    """The minibatches of rows that are in memory or streamed; they come in the dtype and on the device of `like`."""
    return Minibatches(source, rows) if isinstance(source, Tensor) else Streamed(source, rows, like)
