"""Quantities of a data set, of any pair, for which data sets drawn from a posterior are to be like the data."""

import itertools
from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor

from ..rows.table import Table

Quantity = Callable[[Tensor], Tensor]
# Most columns of which each is looked at, and each pair.
COLUMNS, PAIRED = 20, 6


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


def correlation(x: Tensor, i: int, j: int) -> Tensor:
    """() of two columns of data (rows, columns), over the rows that have both; 0 where one does not vary."""
    both = ~(x[:, i] + x[:, j]).isnan()
    first, second = (torch.where(both, x[:, k], torch.zeros_like(x[:, k])) for k in (i, j))
    first, second = (torch.where(both, values - values.sum() / both.sum(), 0.0) for values in (first, second))
    size = first.norm() * second.norm()
    return torch.where(size > 0, (first * second).sum() / size.clamp(min=torch.finfo(x.dtype).tiny), 0.0)


def _pairs(table: Table, modelled: int) -> dict[str, Quantity]:
    """The correlations of a table of few columns, those among covariates left out."""
    names = table.columns if len(table) > 2 else []
    pairs = [(i, j) for i, j in itertools.combinations(range(len(names)), 2) if i < modelled] if len(names) <= PAIRED else []
    return {f"correlation[{names[i]}~{names[j]}]": partial(correlation, i=i, j=j) for i, j in pairs}


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


def of_any(table: Table, covariates: int = 0) -> dict[str, Quantity]:
    """What any data have, column by column; of many columns, or rows that are no table, all values are taken together.

    covariates: how many of the last columns are given, and are looked at beside the others only.
    """
    own = table.x.shape[-1] - covariates
    if table.x.dim() == 2 and own <= COLUMNS:
        return {name: lambda x, quantity=quantity: quantity(x[:, :own]) for name, quantity in BY_COLUMN.items()} | _pairs(table, own)
    return {name: lambda x, quantity=quantity: quantity(x[..., :own].flatten()) for name, quantity in BY_COLUMN.items()}
