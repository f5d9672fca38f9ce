"""Quantities of a data set, of any pair, for which data sets drawn from a posterior are to be like the data."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from ..rows.table import Table
from .directions import of_angles

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


# Those that angles have too, once they are cut.
QUARTILES = {name: BY_COLUMN[name] for name in ("q25", "median", "q75")}


def correlation(first: Tensor, second: Tensor) -> Tensor:
    """() of two columns (values,) of data, over the rows that have both; 0 where one does not vary."""
    both = ~(first + second).isnan()
    first, second = (torch.where(both, values, torch.zeros_like(values)) for values in (first, second))
    first, second = (torch.where(both, values - values.sum() / both.sum(), 0.0) for values in (first, second))
    size = first.norm() * second.norm()
    return torch.where(size > 0, (first * second).sum() / size.clamp(min=torch.finfo(first.dtype).tiny), 0.0)


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


class Columns(NamedTuple):
    """Data (rows, ...) as values in columns: those along the last axis, or the one column that series (series, time) have.

    names: of all. turns: of each, where a turn begins if it holds angles. modelled: how many; the others are covariates.
    """

    names: list[str]
    turns: list[float | None]
    modelled: int

    def __call__(self, x: Tensor) -> Tensor:
        """(values, columns)."""
        return x.reshape(-1, len(self.names))

    def quantities(self, which: list[int], seen: Tensor) -> dict[str, Quantity]:
        """What is looked at in some columns together, which hold angles of one turn or none. seen: the data."""

        def values(x: Tensor) -> Tensor:
            return self(x)[:, which].flatten()

        turn = self.turns[which[0]]
        found = BY_COLUMN if turn is None else of_angles(values(seen), turn, QUARTILES)
        return {name: lambda x, q=quantity: q(values(x)) for name, quantity in found.items()}

    def shown(self, i: int) -> dict[str, Quantity]:
        """Numbers by which a column is held against others: itself, or the cosine and the sine of an angle."""
        own = {"": torch.clone} if self.turns[i] is None else {"cos ": torch.cos, "sin ": torch.sin}
        return {name + self.names[i]: lambda x, f=function: f(self(x)[:, i]) for name, function in own.items()}


def of_any(table: Table, covariates: int = 0, angles: Sequence[float | None] = (), series: bool = False) -> dict[str, Quantity]:
    """What any data have, column by column; of many columns, or rows that are no table, all values are taken together.

    covariates: how many of the last columns are given, and are looked at beside the others only. angles: as `Pair.angles` tells.
    series: rows are series, whose steps are taken together.
    """
    width = table.x.shape[2:].numel() if series else table.x.shape[-1]
    names = table.columns if table.x.dim() == 2 and not series else table.variables or [str(i) for i in range(width)]
    columns = Columns(names, [*angles, *[None] * (width - len(angles))], width - covariates)
    modelled = list(range(columns.modelled))
    if len(modelled) > COLUMNS or not (series or table.x.dim() == 2):
        alike = {turn: [i for i in modelled if columns.turns[i] == turn] for turn in columns.turns[: len(modelled)]}
        ends = {turn: " of angles" if turn is not None and len(alike) > 1 else "" for turn in alike}
        return {name + ends[t]: q for t, which in alike.items() for name, q in columns.quantities(which, table.x).items()}
    by_column = [columns.quantities([i], table.x) for i in modelled]
    kinds = dict.fromkeys(name for found in by_column for name in found)
    each = {(name, i): by_column[i][name] for name in kinds for i in modelled if name in by_column[i]}
    named = {f"{name}[{names[i]}]" if len(modelled) > 1 else name: quantity for (name, i), quantity in each.items()}
    return named | (_pairs(columns) if len(columns(table.x)) > 2 else {})


def _pairs(columns: Columns) -> dict[str, Quantity]:
    """The correlations of few columns, those among covariates left out."""
    count, found = len(columns.names), {}
    for i, j in itertools.combinations(range(count if count <= PAIRED else 0), 2):
        if i < columns.modelled:
            for (a, first), (b, second) in itertools.product(columns.shown(i).items(), columns.shown(j).items()):
                found[f"correlation[{a}~{b}]"] = lambda x, f=first, g=second: correlation(f(x), g(x))
    return found
