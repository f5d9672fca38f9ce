"""What pairs have in common whose series switch between hidden states, each of which shows something of its own."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from inference import Pair, Table, checks

from ..by_column import center_and_spread
from . import checks as series_checks
from . import pictures, quantities
from .emissions import Emission


class SwitchingPair(Pair):
    """A pair with `states`, `dim`, and an `emission` of the families named by the hyperparameter of that name."""

    states: int
    dim: int
    emission: Emission

    @classmethod
    def read(cls, table: Table) -> dict[str, Any]:
        # What `check` refuses must not stop us here.
        x = table.x.reshape(-1, table.x.shape[2] if table.x.dim() == 3 else 1)
        most = x.nan_to_num().amax(0).clamp(1, 1e6).long()
        return {"dim": x.shape[1], "categories": (most + 1).tolist(), **center_and_spread(x)}

    def check(self, table: Table, fitting: bool) -> None:
        series_checks.series(table, self.dim)
        series_checks.ordered(table)
        series_checks.allowed(table, self.emission.wrong(table.x.reshape(*table.x.shape[:2], -1)))
        series_checks.without_gaps(table, [name == "autoregressive" for name in self.families])
        if fitting:
            series_checks.long_enough(table, self.states)
            checks.no_empty_rows(table)
            series_checks.varied(table, [name in ("gaussian", "student", "autoregressive") for name in self.families])

    @property
    def families(self) -> list[str]:
        """The family of each column."""
        emission = self.hyperparameters["emission"]
        return emission if isinstance(emission, list) else [emission] * self.dim

    @property
    def quantities(self) -> dict[str, Callable[[Tensor], Tensor]]:
        return quantities.of_columns([name in ("categorical", "bernoulli") for name in self.families])

    @property
    def restated(self) -> tuple[str, ...]:
        return self.emission.restated

    def coords(self, columns: list[str]) -> dict[str, list[Any]]:
        states = list(range(self.states))
        return {"state": states, "next": states, **self.emission.labels(list(range(self.dim)))}

    any_length = True
    picture = staticmethod(pictures.states)
