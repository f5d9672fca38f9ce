"""Quantities of a data set, of any pair, for which data sets drawn from a posterior are to be like the data."""

from collections.abc import Callable, Mapping
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


def computed(named: Mapping[str, Quantity], x: Tensor) -> dict[str, Tensor]:
    """name -> (number,) what the quantities are of the data set `x` (rows, ...), which may be one of a batch.

    Raises ValueError that names the quantity which cannot be computed, and why.
    """
    return {name: _computed(name, quantity, x) for name, quantity in named.items()}


def _computed(name: str, quantity: Quantity, x: Tensor) -> Tensor:
    try:
        return torch.as_tensor(quantity(x)).flatten()
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        if "vmap" in reason:
            reason = "it takes values out of tensors (if, float, .item(), NumPy); use torch's operations, such as torch.where"
        raise ValueError(f"the quantity {name!r} cannot be computed of a data set (rows, ...): {reason}") from error


def of_any(table: Table) -> dict[str, Quantity]:
    """What any data have, column by column; of many columns, or rows that are no table, all values are taken together."""
    if table.x.dim() == 2 and table.x.shape[1] <= COLUMNS:
        return BY_COLUMN
    return {name: lambda x, quantity=quantity: quantity(x.flatten()) for name, quantity in BY_COLUMN.items()}
