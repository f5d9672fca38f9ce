"""Covariates: the last columns of rows, along their last axis, of a pair that says it has some. They are given, and not modelled.

The user says how many there are, or what they are called: of a DataFrame they are then the columns of these names, wherever they stand.
"""

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import pandas as pd
import torch
from pydantic import Field, NonNegativeInt
from torch import Tensor

from .pair import Pair
from .rows.steps import Down, arranged, chosen, stepwise
from .rows.table import Table, as_table, label
from .rows.times import comparable

if TYPE_CHECKING:
    from .posterior import Posterior

# What the hyperparameter `covariates` of a pair is: how many there are, or their names.
Covariates = NonNegativeInt | str | Annotated[list[str], Field(min_length=1)]


def named(covariates: Covariates) -> list[str]:
    """Their names, none where it is only said how many there are. Raises ValueError for a name that comes twice."""
    names = [covariates] if isinstance(covariates, str) else covariates if isinstance(covariates, list) else []
    if len(set(names)) < len(names):
        raise ValueError(f"covariates={names} names a column twice; name each once")
    return names


def how_many(covariates: Covariates) -> int:
    """C."""
    return covariates if isinstance(covariates, int) else len(named(covariates))


def rows_for(pair: Pair, x: Any) -> Table:
    """What a user hands in, as `pair` reads it. Raises as `as_table`, and ValueError for named covariates that are not there."""
    return arranged(as_table(x), names_of(pair), pair.any_length)


def names_of(pair: Pair) -> list[str]:
    """The names of a pair's covariates, none of one that has no such hyperparameter, or no hyperparameters."""
    return named(getattr(pair, "hyperparameters", {}).get("covariates", 0))


def split(pair: Pair, x: Tensor) -> tuple[Tensor, Tensor]:
    """The columns of rows (rows, ..., columns) that are modelled, and those that are given, as views."""
    at = x.shape[-1] - pair.covariates
    return x[..., :at], x[..., at:]


def hollow(pair: Pair, x: Tensor, value: float = torch.nan) -> Tensor:
    """Rows like `x` of which only what is given is known; all else is `value`."""
    own, given = split(pair, x)
    return torch.cat([torch.full_like(own, value), given], -1)


def new_like(posterior: "Posterior", x: Tensor, seed: int = 0) -> Any:
    """As many new rows as `x` has, with its covariates, if there are any."""
    pair = posterior.pair
    return posterior.generate(given=hollow(pair, x), seed=seed) if pair.covariates else posterior.generate(len(x), seed=seed)


def told_ahead(pair: Pair, table: Table, steps: int, given: Any) -> Tensor:
    """(rows, steps, C) the covariates of the steps that follow the series (rows, T, ...) of a table; C may be 0.

    given: (steps, C) or (rows, steps, C); a DataFrame of steps, of which other columns are not looked at where covariates have names, for
    all series or, by an index of two levels, for each. Raises ValueError where they are lacking, not asked for, of another shape, of other
    times than those that come next, or not finite.
    """
    name, count = type(pair).__name__, pair.covariates
    if not count:
        if given is not None:
            raise ValueError(f"{name} has no covariates, so that given= says nothing to it")
        return table.x.new_zeros(len(table), steps, 0)
    if given is None:
        shapes = f"({steps}, {count}) or ({len(table)}, {steps}, {count})"
        refuse_untold(pair, f"say what they are in the {steps} steps to come: given=, of shape {shapes}")
    known = _of_frame(pair, table, given) if isinstance(given, pd.DataFrame | pd.Series) else given
    known = (known if isinstance(known, Tensor) else torch.as_tensor(np.asarray(known, dtype=float))).to(table.x)
    if known.shape not in {(steps, count), (len(table), steps, count)}:
        raise ValueError(
            f"{name}: given= must be of shape ({steps}, {count}) or ({len(table)}, {steps}, {count}), not {tuple(known.shape)}"
        )
    if not known.isfinite().all():
        raise ValueError(f"{name}: given={known[~known.isfinite()][0]:g} in the steps to come; covariates cannot be missing")
    return known.expand(len(table), steps, count)


def _of_frame(pair: Pair, table: Table, given: pd.DataFrame | pd.Series) -> Tensor:
    """(steps, C), or (rows, steps, C) in the order of the table's series, from a DataFrame of steps. Raises ValueError as `arranged`, and
    for a series that it lacks."""
    frame, names = given.to_frame() if isinstance(given, pd.Series) else given, names_of(pair)
    ahead = stepwise(as_table(chosen(frame, names) if names else frame.iloc[:, -pair.covariates :]))
    if frame.index.nlevels == 1:
        if isinstance(table.steps, Down) and table.steps.index.nlevels == 1:
            _refuse_other_times(pair, table, ahead)
        return ahead.x[0]
    if not isinstance(table.steps, Down) or table.steps.index.nlevels == 1:
        return ahead.x
    lacking = table.index.difference(ahead.index)
    if len(lacking):
        raise ValueError(
            f"{type(pair).__name__}: given= says nothing of the series {lacking[0]!r}; give the steps to come of each, or of none"
        )
    _refuse_other_times(pair, table, ahead)
    return ahead.x[ahead.index.get_indexer(table.index)]


def _refuse_other_times(pair: Pair, table: Table, ahead: Table) -> None:
    """Raise ValueError where steps told `ahead` have times, and these do not follow those of `table`. Steps that are counted, from 0 or 1,
    are the next ones; and so are all where it is not known which times come next."""
    after = table.steps.after(last_seen(pair, table.x).cpu().numpy(), ahead.x.shape[1])
    told, due = (
        pd.Series(
            comparable(part.steps.index.get_level_values(-1)).to_numpy(),
            pd.MultiIndex.from_arrays([part.index[part.steps.series], part.steps.step]),
        )
        for part in (ahead, replace(table, steps=after))
    )
    if told.dtype.kind != due.dtype.kind or _counted(told) or _counted(due):
        return
    due = due.reindex(told.index)
    other = (due.notna() & (told != due)).to_numpy()
    if other.any():
        at = int(other.argmax())
        raise ValueError(
            f"{type(pair).__name__}: given= begins or goes on at {label(ahead.steps.index, at)}, where {due.iloc[at]} comes next; give the "
            "steps that follow the last one seen, or number them from 0"
        )


def _counted(times: pd.Series) -> bool:
    """Whether the times of (series, step) are no more than the steps' numbers."""
    return times.dtype.kind in "iuf" and any((times == times.index.get_level_values(1) + first).all() for first in (0, 1))


def last_seen(pair: Pair, x: Tensor) -> Tensor:
    """(rows,) the last step of series (rows, T, ...) of which something is seen, covariates apart; the first where nothing is."""
    seen = (~split(pair, x)[0].isnan()).reshape(*x.shape[:2], -1).any(-1)
    return torch.where(seen, torch.arange(x.shape[1], device=x.device), 0).amax(1)


def longer(pair: Pair, x: Tensor, known: Tensor) -> Tensor:
    """Series `x` (rows, T, columns) with as many steps more as there are covariates `known` (rows, steps, C) of what follows the last
    step that was seen; without covariates, the series."""
    if not known.shape[-1]:
        return x
    whole = torch.cat([x, torch.full_like(x[:, :1], torch.nan).expand(-1, known.shape[1], -1)], 1)
    at = last_seen(pair, x)[:, None] + 1 + torch.arange(known.shape[1], device=x.device)
    own, given = split(pair, whole)
    return torch.cat([own, given.scatter(1, at[..., None].expand_as(known), known)], -1)


def refuse_untold(pair: Pair, instead: str) -> None:
    """Raise ValueError where rows have covariates, of which what is asked for would know nothing."""
    if pair.covariates:
        which = "column of its rows is" if pair.covariates == 1 else f"{pair.covariates} columns of its rows are"
        raise ValueError(f"{type(pair).__name__}: the last {which} given, and not drawn by the model; {instead}")
