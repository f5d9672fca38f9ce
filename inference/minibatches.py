"""The rows of each step."""

import torch
from torch import Tensor


class Minibatches:
    """`rows` of the rows `x` a step, without replacement, in an order that is drawn anew in each pass; all rows if `rows` is None."""

    def __init__(self, x: Tensor, rows: int | None) -> None:
        self._x, self.rows = x, rows or len(x)
        self.order = torch.arange(len(x), device=x.device)

    def at(self, step: int) -> Tensor:
        """(rows, ...) the rows of a step; steps are asked for in order."""
        if self.rows == len(self._x):
            return self._x
        begin = step % (len(self._x) // self.rows) * self.rows
        if begin == 0:
            self.order = torch.randperm(len(self._x), device=self._x.device)
        return self._x[self.order[begin : begin + self.rows]]
