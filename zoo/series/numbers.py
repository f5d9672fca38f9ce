"""What pairs have in common whose series are of numbers in `dim` columns, each on a scale of its own."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from inference import Pair, Table, checks

from ..by_column import center_and_spread
from . import checks as series_checks
from . import quantities


class NumbersPair(Pair):
    """A pair with `states`, of which there are to be no more than steps, and `dim`."""

    states: int
    dim: int

    @classmethod
    def read(cls, table: Table) -> dict[str, Any]:
        # What `check` refuses must not stop us here.
        x = table.x.reshape(-1, table.x.shape[2] if table.x.dim() == 3 else 1)
        return {"dim": x.shape[1], **center_and_spread(x)}

    def check(self, table: Table, fitting: bool) -> None:
        series_checks.series(table, self.dim)
        series_checks.ordered(table)
        if fitting:
            series_checks.long_enough(table, self.states)
            checks.no_empty_rows(table)
            series_checks.varied(table, [True] * self.dim)

    @property
    def quantities(self) -> dict[str, Callable[[Tensor], Tensor]]:
        return quantities.of_columns(["numbers"] * self.dim)

    any_length = True
