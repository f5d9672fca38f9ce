"""Rows held out of a fit, by which it is stopped before it fits noise."""

from numbers import Real
from typing import Any

import torch
from torch import Tensor
from torch.func import vmap

from ..covariates import rows_for
from ..graphs.compiling import Compile
from ..graphs.graph import traced
from ..missing import any_missing
from ..objective import Objective
from ..pair import Pair
from ..program import Values
from ..rows.table import Table, fit_for, in_order
from ..run import seeded


class Validation:
    """The objective at rows held out, which stand for all rows, looked at in every window with the same random numbers.

    curve: (look, restart) what was seen. best: the parameters (restart, ...) where each restart's was least.
    """

    def __init__(self, objective: Objective, x: Tensor, parameters: Values, patience: int, compile: Compile, looks: int) -> None:
        def lost(parameters: Values, x: Tensor) -> Tensor:
            return objective.loss(parameters, objective.pair.augment(x))

        loss = vmap(lost, (0, None), randomness="different")
        with seeded(0, x.device):
            self._loss = traced(loss, parameters, x, missing=any_missing(x), compile=compile, calls=looks)
        self._x, self._patience = x, patience
        self.curve = x.new_empty((0, len(next(iter(parameters.values())))), dtype=torch.double)
        self.best = {name: value.clone() for name, value in parameters.items()}

    def look(self, parameters: Values) -> bool:
        """Take note of the parameters (restart, ...); whether no restart has improved for `patience` looks."""
        with seeded(0, self._x.device):
            losses = self._loss(parameters, self._x).double()
            losses = torch.where(losses.isfinite(), losses, torch.inf)
        better = losses < self.curve.min(0).values if len(self.curve) else torch.ones_like(losses, dtype=torch.bool)
        self.curve = torch.cat([self.curve, losses[None]])
        for name, value in self.best.items():
            value[better] = parameters[name][better]
        return bool((len(self.curve) - 1 - self.curve.argmin(0) >= self._patience).all())


def hold_out(pair: Pair, table: Table, validation: Any, streamed: bool = False) -> tuple[Table, Table | None]:
    """The rows to fit and those to hold out: a fraction of `table` drawn at random, or a table of their own, whose columns are matched
    by name; None holds none out.

    Raises:
        ValueError: the fraction is not between 0 and 1, or leaves no row on one side; what `rows_for` and the pair raise.
    """
    if validation is None:
        return table, None
    if not isinstance(validation, Real) or isinstance(validation, bool):
        held = rows_for(pair, validation)
        if held.frame and table.frame and (held.variables or not pair.any_length):
            held = in_order(held, table.names)
        fit_for(held, pair.columns)
        pair.check(held, fitting=False)
        if held.x.shape[1:] != table.x.shape[1:]:
            raise ValueError(f"validation has rows of shape {tuple(held.x.shape[1:])}; those to fit have {tuple(table.x.shape[1:])}")
        return table, held
    if streamed:
        raise ValueError(f"validation={validation!r}: of rows that are streamed none can be held out; hand in rows of their own")
    if not 0 < validation < 1:
        raise ValueError(f"validation={validation!r} must be a fraction between 0 and 1, or rows of their own")
    count = round(validation * len(table))
    if not 0 < count < len(table):
        raise ValueError(f"validation={validation!r} of {len(table)} rows holds out {count} of them; choose another fraction")
    shuffled = torch.randperm(len(table))
    return table.some(shuffled[count:].sort().values.numpy()), table.some(shuffled[:count].sort().values.numpy())
