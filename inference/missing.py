"""Missing values: `NaN` in the rows, in every pair, under one rule."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor

_known: ContextVar[bool | None] = ContextVar("missing", default=None)


def any_missing(x: Tensor) -> bool:
    """Whether a value of `x` (any shape) is missing, so that a program can take a cheaper way through complete rows.

    A traced program cannot branch on a value, so while one is traced the answer is what `known_missing` says of the whole
    data set; elsewhere it is read off `x`.
    """
    known = _known.get()
    return bool(x.isnan().any()) if known is None else known


@contextmanager
def known_missing(missing: bool) -> Iterator[None]:
    """Answer `any_missing` with `missing` inside the block."""
    token = _known.set(missing)
    try:
        yield
    finally:
        _known.reset(token)


def observed(x: Tensor) -> tuple[Tensor, Tensor]:
    """`x` with its holes set to zero, and where it was observed (both shaped as `x`): no `NaN` reaches a gradient."""
    seen = ~x.isnan()
    return torch.where(seen, x, torch.zeros_like(x)), seen
