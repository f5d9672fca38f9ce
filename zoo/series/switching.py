"""What pairs have in common whose series switch between hidden states, each of which shows something of its own."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor

from inference import NestedPermutation, Pair, Permutation, Table, checks

from ..by_column import center_and_spread
from . import checks as series_checks
from . import pictures, quantities
from .emissions import Emission

# What the families show that is no number.
KINDS: dict[str, quantities.Kind] = {"categorical": "labels", "bernoulli": "labels", "von_mises": "angles"}


class SwitchingPair(Pair):
    """A pair with `states`, `dim`, and an `emission` of the families named by the hyperparameter of that name."""

    states: int
    dim: int
    emission: Emission

    @classmethod
    def read(cls, table: Table, covariates: int = 0) -> dict[str, Any]:
        # What `check` refuses must not stop us here.
        whole = table.x.reshape(*table.x.shape[:2], -1)
        own, _ = replace(table, x=whole).parted(covariates)
        most = own.x.flatten(0, 1).nan_to_num().amax(0).clamp(1, 1e6).long()
        turn = 0.0 if bool((own.x.nan_to_num() >= 0).all()) else -math.pi
        return {"dim": len(most), "categories": (most + 1).tolist(), "turn": turn, **center_and_spread(whole.flatten(0, 1))}

    def check(self, table: Table, fitting: bool) -> None:
        series_checks.series(table, self.dim, self.covariates)
        series_checks.ordered(table)
        own, given = table.parted(self.covariates)
        series_checks.allowed(own, self.emission.wrong(own.x.reshape(*own.x.shape[:2], -1)))
        series_checks.without_gaps(own, [name == "autoregressive" for name in self.families])
        if self.covariates:
            series_checks.known(own, given)
        if fitting:
            series_checks.long_enough(own, self.states)
            checks.no_empty_rows(own)
            if self.covariates:
                series_checks.told_apart(given, self.hyperparameters["effect_scale"])
            series_checks.varied(own, [name in ("gaussian", "student", "mixture", "autoregressive") for name in self.families])

    @property
    def families(self) -> list[str]:
        """The family of each column."""
        emission = self.hyperparameters["emission"]
        return emission if isinstance(emission, list) else [emission] * self.dim

    def renumbered(self, own: Mapping[str, int | tuple[int, ...]], more: tuple[str, ...] = ()) -> Permutation:
        """The states, and the parts that each may be made of, in any order. own: the pair's sites -> the axis that counts states, or
        two. What states show tells them apart, by the emission's sites and `more`; how often each is visited is known far less well."""
        shown, members = (*self.emission.sites, *more), self.emission.members
        by_state = {**{site: 0 for site in shown if site not in members}, **own}
        if not members:
            return Permutation(by_state, order=shown[0], told_by=shown)
        parts = {site: (0, axis) for site, axis in members.items()}
        return NestedPermutation(parts, order=next(iter(parts)), told_by=shown, groups=self.states, by_group=by_state)

    @property
    def angles(self) -> tuple[float | None, ...]:
        turn = self.hyperparameters["turn"]
        return (*(turn if name == "von_mises" else None for name in self.families), *[None] * self.covariates)

    @property
    def quantities(self) -> dict[str, Callable[[Tensor], Tensor]]:
        return quantities.of_columns([KINDS.get(name, "numbers") for name in self.families])

    @property
    def restated(self) -> tuple[str, ...]:
        return self.emission.restated

    def coords(self, columns: list[str]) -> dict[str, list[Any]]:
        states = list(range(self.states))
        return {"state": states, "next": states, **self.emission.labels(columns[: self.dim])}

    any_length = True
    picture = staticmethod(pictures.states)
