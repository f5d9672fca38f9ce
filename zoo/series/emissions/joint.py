"""Emissions of several families, side by side: each column its own."""

from collections.abc import Callable
from typing import Any

import pyro.distributions as dist
import torch
from torch import Tensor
from torch.distributions import constraints

from .. import shown
from .emission import Emission


class JointEmission(Emission):
    """Columns of several families, which are independent given the state.

    Arguments: families: name -> the family, and which columns (of D) are its own.

    Raises: ValueError where two families have a site in common.
    """

    def __init__(self, families: dict[str, tuple[Emission, list[int]]]) -> None:
        super().__init__()
        self.names, self.columns = list(families), [columns for _, columns in families.values()]
        for name, (family, _) in families.items():
            setattr(self, name, family)
        sites = [(site, name) for name in self.names for site in getattr(self, name).dims]
        for i, (site, name) in enumerate(sites):
            for other, first in sites[:i]:
                if other == site:
                    raise ValueError(f"emissions {first!r} and {name!r} both have a site {site!r}; use one of them for all their columns")

    @property
    def families(self) -> list[Emission]:
        return [getattr(self, name) for name in self.names]

    def model(self) -> dist.TorchDistribution:
        return SideBySide([family.model() for family in self.families], self.columns)

    def guide(self) -> None:
        for family in self.families:
            family.guide()

    def refit(self, series: Tensor, member: Tensor) -> None:
        for family, columns in zip(self.families, self.columns, strict=True):
            family.refit(series[..., columns], member)

    @property
    def moved(self) -> Callable[["SideBySide", Tensor], "SideBySide"] | None:
        return None if any(family.moved is None for family in self.families) else self._moved

    def _moved(self, law: "SideBySide", by: Tensor) -> "SideBySide":
        parts = zip(self.families, law.blocks, self.columns, strict=True)
        return SideBySide([family.moved(block, by[..., columns]) for family, block, columns in parts], self.columns)

    def unit_of(self, spread: Tensor) -> Tensor:
        return self._by_family("unit_of", spread)

    def response(self, x: Tensor) -> Tensor:
        return self._by_family("response", x)

    def undone(self, x: Tensor, by: Tensor) -> Tensor:
        return self._by_family("undone", x, by)

    def _by_family(self, method: str, *values: Tensor) -> Tensor:
        """What the families' methods give of their own columns of the values (..., D), in place."""
        found = torch.empty_like(values[0])
        for family, columns in zip(self.families, self.columns, strict=True):
            found[..., columns] = getattr(family, method)(*(value[..., columns] for value in values))
        return found

    @property
    def lags(self) -> int:
        return max(family.lags for family in self.families)

    @property
    def parts(self) -> int:
        return max(family.parts for family in self.families)

    def features(self, x: Tensor) -> Tensor:
        return torch.cat([f.features(x[:, columns]) for f, columns in zip(self.families, self.columns, strict=True)], -1)

    def wrong(self, x: Tensor) -> tuple[Tensor, str]:
        whole, why = torch.zeros_like(x, dtype=torch.bool), ""
        for family, columns in zip(self.families, self.columns, strict=True):
            bad, reason = family.wrong(x[..., columns])
            if (bad & ~x[..., columns].isnan()).any() and not why:
                whole[..., columns], why = bad, reason
        return whole, why

    def labels(self, columns: list[str] | list[int]) -> dict[str, list[Any]]:
        own = {name: getattr(self, name).labels([columns[i] for i in at]) for name, at in zip(self.names, self.columns, strict=True)}
        return {f"{axis}_of_{name}": labels for name, found in own.items() for axis, labels in found.items()}

    @property
    def sites(self) -> tuple[str, ...]:
        return tuple(site for family in self.families for site in family.sites)

    @property
    def members(self) -> dict[str, int]:
        return {site: axis for family in self.families for site, axis in family.members.items()}

    @property
    def restated(self) -> tuple[str, ...]:
        return tuple(site for family in self.families for site in family.restated)

    @property
    def dims(self) -> dict[str, tuple[str, ...]]:
        """A family's axes are its own, except that of the states."""
        return {
            site: tuple(axis if axis == "state" else f"{axis}_of_{name}" for axis in axes)
            for name in self.names
            for site, axes in getattr(self, name).dims.items()
        }


class SideBySide(dist.TorchDistribution):
    """Steps whose blocks of columns are independent. Arguments: blocks: each of event shape (d,). columns: which are its own."""

    support = constraints.real_vector
    arg_constraints: dict[str, constraints.Constraint] = {}

    def __init__(self, blocks: list[dist.TorchDistribution], columns: list[list[int]]) -> None:
        self.blocks, self.columns = blocks, columns
        order = [i for own in columns for i in own]
        self._back = [order.index(i) for i in range(len(order))]
        super().__init__(blocks[0].batch_shape, torch.Size([len(self._back)]), validate_args=False)

    @property
    def lags(self) -> int:
        """How many steps before count."""
        return max(getattr(block, "lags", 0) for block in self.blocks)

    def log_steps(self, value: Tensor) -> Tensor:
        """(*batch, T, K) the log density of each step of series (*batch, T, D) in each state."""
        return sum(shown.log_steps(block, value[..., columns]) for block, columns in zip(self.blocks, self.columns, strict=True))

    def follow(self, states: Tensor, value: Tensor | None = None) -> Tensor:
        """Series (*batch, T, D), what is `NaN` in them, or all, drawn given the states (*batch, T)."""
        own = [None if value is None else value[..., columns] for columns in self.columns]
        return torch.cat([shown.follow(block, states, v) for block, v in zip(self.blocks, own, strict=True)], -1)[..., self._back]
