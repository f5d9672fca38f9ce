"""What a posterior predictive check asks of series: do data sets drawn from the posterior move from step to step as the data do?"""

from collections.abc import Callable
from functools import partial
from typing import Literal

from torch import Tensor

Kind = Literal["numbers", "labels", "angles"]


def of_columns(kinds: list[Kind]) -> dict[str, Callable[[Tensor], Tensor]]:
    """A quantity for each column of series: of numbers their autocorrelation, of labels the share of changes, of angles how well one
    tells the next."""
    told = {"numbers": ("autocorrelation", autocorrelation), "labels": ("changes", changes), "angles": ("persistence", persistence)}
    found = {}
    for column, (name, quantity) in enumerate(told[kind] for kind in kinds):
        found[name + f" of column {column}" * (len(kinds) > 1)] = partial(quantity, column=column)
    return found


def autocorrelation(x: Tensor, column: int) -> Tensor:
    """Of each step with the next, over those of all series (N, T) or (N, T, D) that are both seen."""
    values = _column(x, column)
    centered = values - values.nanmean()
    return (centered[:, 1:] * centered[:, :-1]).nanmean() / centered.square().nanmean()


def changes(x: Tensor, column: int) -> Tensor:
    """The share of steps that differ from the next, of those of all series (N, T) or (N, T, D) that are both seen."""
    values = _column(x, column)
    moves = values[:, 1:] - values[:, :-1]
    return ((moves != 0) & ~moves.isnan()).sum() / (~moves.isnan()).sum()


def persistence(x: Tensor, column: int) -> Tensor:
    """The mean cosine of what angles turn by from each step to the next, of those of all series (N, T) or (N, T, D) that are both seen."""
    values = _column(x, column)
    return (values[:, 1:] - values[:, :-1]).cos().nanmean()


def _column(x: Tensor, column: int) -> Tensor:
    return x.reshape(*x.shape[:2], -1)[..., column]
