"""Quantities of a data set, of any pair, for which data sets drawn from a posterior are to be like the data."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from ..table import Table

Quantity = Callable[[Tensor], Tensor]
COLUMNS = 20


def quantile(x: Tensor, share: float) -> Tensor:
    """(...) of data (rows, ...), over the rows that are not missing; by linear interpolation."""
    ordered, last = x.sort(0).values, (~x.isnan()).sum(0) - 1
    at = (share * last).clamp(min=0)
    low = at.floor().long()
    values = (ordered.gather(0, i[None])[0] for i in (low, torch.minimum(low + 1, last.clamp(min=0))))
    return torch.lerp(*values, (at - low).to(x.dtype))


def sd(x: Tensor) -> Tensor:
    """(...) of data (rows, ...), over the rows that are not missing."""
    return (x - x.nanmean(0)).square().nanmean(0).sqrt()


BY_COLUMN: dict[str, Quantity] = {
    "mean": lambda x: x.nanmean(0),
    "sd": sd,
    "min": partial(quantile, share=0.0),
    "q25": partial(quantile, share=0.25),
    "median": partial(quantile, share=0.5),
    "q75": partial(quantile, share=0.75),
    "max": partial(quantile, share=1.0),
}


def of_any(table: Table) -> dict[str, Quantity]:
    """What any data have, column by column; of many columns, or rows that are no table, all values are taken together."""
    if table.x.dim() == 2 and table.x.shape[1] <= COLUMNS:
        return BY_COLUMN
    return {name: lambda x, quantity=quantity: quantity(x.flatten()) for name, quantity in BY_COLUMN.items()}
