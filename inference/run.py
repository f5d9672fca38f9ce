"""What every run does first: check the rows, copy the pair, choose the device, fix the seed."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from numbers import Integral
from typing import Any

import torch

from .covariates import rows_for
from .pair import Pair
from .rows.table import Table, fit_for


def open_door(pair: Pair, x: Any, device: str) -> tuple[Pair, Table, torch.Tensor]:
    """A copy of `pair` on the device, the checked table, and its rows on the device.

    Raises: what `rows_for` and the pair's own check raise, and ValueError for a device that is not there.
    """
    if not isinstance(pair, Pair):
        raise TypeError(f"the first argument must be a pair, such as zoo.create makes, not {type(pair).__name__}")
    table = rows_for(pair, x)
    fit_for(table, pair.columns)
    pair.check(table, fitting=True)
    where = choose_device(device)
    return deepcopy(pair).to(device=where, dtype=table.x.dtype), table, table.x.to(where)


def choose_device(device: str) -> torch.device:
    """ "auto" is the GPU where there is one. Raises ValueError for a device that this machine or torch does not have."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError:
        raise ValueError(f"device={device!r} is unknown; use 'auto', 'cpu' or 'cuda'") from None
    if chosen.type not in ("cpu", "cuda"):
        raise ValueError(f"device={device!r} is not supported; use 'auto', 'cpu' or 'cuda'")
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device={device!r}: this machine has no CUDA GPU that torch can use; use 'auto' or 'cpu'")
    return chosen


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Inside the block torch's random numbers follow from `seed`; afterwards they go on as if nothing had been drawn."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def at_least(least: int, **counts: int | None) -> None:
    """Refuse what is no whole number, or below `least`; None is let pass. Raises ValueError that names it."""
    for name, count in counts.items():
        if count is not None and (not isinstance(count, Integral) or isinstance(count, bool) or count < least):
            raise ValueError(f"{name}={count!r} must be a whole number of at least {least}")
