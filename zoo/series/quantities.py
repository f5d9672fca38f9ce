"""What a posterior predictive check asks of series: do data sets drawn from the posterior move from step to step as the data do?"""

from collections.abc import Callable
from functools import partial

from torch import Tensor


def of_columns(labels: list[bool]) -> dict[str, Callable[[Tensor], Tensor]]:
    """A quantity for each column of series: of numbers their autocorrelation, of `labels` (yes or no, by column) the share of changes."""
    found = {}
    for column, label in enumerate(labels):
        name = "changes" if label else "autocorrelation"
        of_column = f" of column {column}" * (len(labels) > 1)
        found[name + of_column] = partial(changes if label else autocorrelation, column=column)
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


def _column(x: Tensor, column: int) -> Tensor:
    return x.reshape(*x.shape[:2], -1)[..., column]
