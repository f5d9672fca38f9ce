"""Checks that pairs ask of the rows they are given; each names the row or column, what is wrong and what to do."""

import torch

from .rows.table import Table


def two_dimensional(table: Table, dim: int, last: str = "") -> None:
    """Rows of `dim` numbers; last: what the last of them is, where a user may not know. Raises ValueError."""
    if table.x.dim() != 2:
        raise ValueError(f"rows must form a table (rows, columns), not shape {tuple(table.x.shape)}; flatten each row first")
    if table.x.shape[1] != dim:
        told = f", the last of them {last}" if last else ""
        found = f"{table.x.shape[1]}: {', '.join(table.columns[:8])}"
        raise ValueError(f"this pair reads rows of {dim} columns{told}, and these have {found}")


def columns_alike(table: Table, dim: int, wrong: torch.Tensor, why: str, fitting: bool) -> None:
    """Rows of `dim` numbers, none of them `wrong`; to be fitted, two or more, and neither a row nor a column without a value.
    Raises ValueError."""
    two_dimensional(table, dim)
    allowed(table, wrong, why)
    if fitting:
        something_in_all(table)


def something_in_all(table: Table) -> None:
    """Two rows or more, and neither a row nor a column without a value. Raises ValueError."""
    enough_rows(table, 2, "one row says nothing of what rows have in common")
    no_empty_columns(table)
    no_empty_rows(table)


def rows_differ(table: Table) -> None:
    """Some column of which two values are seen. Raises ValueError."""
    x = table.x.flatten(1)
    lows, highs = (torch.where(x.isnan(), end, x) for end in (torch.inf, -torch.inf))
    if (lows.amin(0) >= highs.amax(0)).all():
        raise ValueError(f"all {len(table)} rows are alike: there is nothing to learn but that row; give rows that differ in some column")


def enough_rows(table: Table, least: int, why: str) -> None:
    """At least `least` rows. Raises ValueError."""
    if len(table) < least:
        raise ValueError(f"{len(table)} row{'s' * (len(table) > 1)} cannot be fitted: {why}")


def nothing_missing(table: Table) -> None:
    """Every value of a table of covariates is there. Raises ValueError."""
    missing = table.x.isnan().nonzero()
    if len(missing):
        row, column = missing[0].tolist()
        raise ValueError(
            f"column {table.columns[column]!r}, {table.row(row)}: missing ({len(missing)} such values in all), and covariates are given, "
            "not modelled: fill it, or drop the row"
        )


def no_empty_rows(table: Table) -> None:
    """No row is missing altogether. Raises ValueError."""
    empty = table.x.isnan().flatten(1).all(1).nonzero()
    if len(empty):
        raise ValueError(f"{table.row(int(empty[0]))} has no value at all ({len(empty)} such in all); drop it")


def no_empty_columns(table: Table) -> None:
    """No column is missing altogether. Raises ValueError."""
    for name, missing in zip(table.columns, table.x.isnan().all(0).tolist(), strict=True):
        if missing:
            raise ValueError(f"column {name!r} has no value at all; drop it")


def no_constant_columns(table: Table) -> None:
    """Every column varies. Raises ValueError."""
    low = torch.where(table.x.isnan(), torch.inf, table.x).amin(0)
    high = torch.where(table.x.isnan(), -torch.inf, table.x).amax(0)
    for name, constant, value in zip(table.columns, (low == high).tolist(), low.tolist(), strict=True):
        if constant:
            raise ValueError(f"column {name!r} is constant ({value:g}), so no scale can be learnt from it; drop it")


def allowed(table: Table, wrong: torch.Tensor, why: str) -> None:
    """No value of a table is `wrong` (rows, columns), holes apart. Raises ValueError that says `why`."""
    places = (wrong & ~table.x.isnan()).nonzero()
    if len(places):
        row, column = places[0].tolist()
        value = table.x[row, column].item()
        raise ValueError(f"column {table.columns[column]!r}, {table.row(row)}: {value:g} {why} ({len(places)} such values in all)")
