"""Groups that may be numbered in any order, and the members of each group too."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from .permutation import Permutation, assigned


@dataclass(frozen=True)
class NestedPermutation(Permutation):
    """G groups of K members each: the groups may be numbered in any order, and the members of each group in any order of its own.

    axes: site -> the axis that counts the groups and the one that counts the members, (group, member); (group, member, member) where
    members are counted twice, as by a transition matrix of each group.
    groups: G.
    by_group: the sites that count groups and no members -> the axis that does, or two.
    order: the site by which they are told in the same order: members by its first entry, groups by that of their last member.
    told_by: the sites, of those that count members once, that tell groups and members apart, by default all; and of those that count
        groups only, that tell groups apart.

    An element holds, for each member of each group of the result, which of the G K members it was: (chain, draw, G K), those of a
    group one after the other. Which group is which is found by how well its members match, each group's in their own best order.
    """

    groups: int = 1
    by_group: Mapping[str, int | tuple[int, ...]] = field(default_factory=dict)
    seen_as: ClassVar[str] = "label switching"

    def match(self, features: Tensor, pivot: Tensor) -> Tensor:
        members = len(pivot) // self.groups
        cost = (features.square().sum(-1, keepdim=True) - 2 * features @ pivot.mT).mT
        # (..., group of the pivot, group, member of the pivot, member)
        cost = cost.unflatten(-1, (self.groups, members)).unflatten(-3, (self.groups, members)).transpose(-3, -2).contiguous()
        best = assigned(cost)
        group = assigned(cost.gather(-1, best[..., None])[..., 0].sum(-1))
        member = best.take_along_dim(group[..., None, None], -2)[..., 0, :]
        return (group[..., None] * members + member).flatten(-2)

    def apply(self, draws: Mapping[str, Tensor], element: Tensor) -> dict[str, Tensor]:
        moved = {}
        for name, axes in self.present(draws).items():
            ahead = draws[name].movedim([2 + axis for axis in axes], [*range(2, 2 + len(axes))])
            flat = ahead.flatten(2, 3)
            flat = self.act(flat.reshape(*flat.shape[:3], -1), element).reshape(flat.shape).reshape(ahead.shape)
            if len(axes) == 3:
                within = (element % ahead.shape[3]).unflatten(-1, ahead.shape[2:4])[..., None, :]
                flat = flat.take_along_dim(within.reshape(*within.shape, *[1] * (flat.dim() - 5)), 4)
            moved[name] = flat.movedim([*range(2, 2 + len(axes))], [2 + axis for axis in axes])
        return {**draws, **moved, **self._regrouped(draws, element[..., :: element.shape[-1] // self.groups])}

    def _regrouped(self, draws: Mapping[str, Tensor], first: Tensor) -> dict[str, Tensor]:
        """The sites that count groups only. first: (chain, draw, G) the number that the first member of each group had."""
        group, moved = first // (self.size(draws) // self.groups), {}
        for name, axes in self.by_group.items():
            if name in draws:
                moved[name] = draws[name]
                for axis in axes if isinstance(axes, tuple) else (axes,):
                    ahead = moved[name].movedim(2 + axis, 2)
                    moved[name] = ahead.take_along_dim(group.reshape(*group.shape, *[1] * (ahead.dim() - 3)), 2).movedim(2, 2 + axis)
        return moved

    def orient(self, draws: Mapping[str, Tensor]) -> Tensor:
        axes = self.present(draws)
        site = self.order if self.order in axes else next(iter(axes))
        mean = draws[site].double().mean((0, 1)).movedim(axes[site][:2], (0, 1))
        first = mean.reshape(*mean.shape[:2], -1)[..., 0]
        member = first.argsort(1)
        group = first.amax(1).argsort()
        return (group[:, None] * first.shape[1] + member[group]).flatten()[None, None]

    def random(self, draws: Mapping[str, Tensor]) -> Tensor:
        first, members = next(iter(draws.values())), self.size(draws) // self.groups
        member = torch.rand(*first.shape[:2], self.groups, members, device=first.device).argsort(-1)
        group = torch.rand(*first.shape[:2], self.groups, device=first.device).argsort(-1)
        return (group[..., None] * members + member).flatten(-2)

    def invariants(self, draws: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What no element changes of every site that counts members once, or groups: its values over all of them sorted."""
        counted = {name: axis for name, axis in self.by_group.items() if name in draws and isinstance(axis, int)}
        found = {name: draws[name].sort(2 + axis).values for name, axis in counted.items()}
        for name, axes in self.present(draws).items():
            if len(axes) == 2:
                ahead = draws[name].movedim([2 + axis for axis in axes], (2, 3))
                found[name] = ahead.flatten(2, 3).sort(2).values.reshape(ahead.shape).movedim((2, 3), [2 + axis for axis in axes])
        return found

    def present(self, draws: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
        """The sites in `draws` that the symmetry acts on, and along which axes. Raises ValueError where these do not fit."""
        named = {n: axes for n, axes in self.axes.items() if n in draws}
        sizes = {name: [dict(enumerate(draws[name].shape[2:])).get(axis) for axis in axes] for name, axes in named.items()}
        wrong = [s for s in sizes.values() if s[0] != self.groups or None in s or len({*s[1:]}) > 1]
        if wrong or len({s[1] for s in sizes.values()}) > 1:
            said = ", ".join(f"{n} {size}" for n, size in sizes.items())
            raise ValueError(f"{type(self).__name__} acts on {self.groups} groups of as many members each, not on axes of length {said}")
        return named

    def size(self, draws: Mapping[str, Tensor]) -> int:
        """G K, how many members there are in all."""
        name, axes = next(iter(self.present(draws).items()))
        return self.groups * draws[name].shape[2 + axes[1]]

    def parts(self, draws: Mapping[str, Tensor]) -> int:
        return self.groups

    def of_parts(self, draws: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Site -> (chain, draw, group, member, feature) for the sites that tell groups apart; one that counts groups only has one member
        of each."""
        found = {}
        for name, axes in self.telling(draws).items():
            if len(axes) == 2:
                ahead = draws[name].double().movedim([2 + axis for axis in axes], (2, 3))
                found[name] = ahead.reshape(*ahead.shape[:4], -1)
        shared = {name: axes for name, axes in self.by_group.items() if name in draws and name in self.told_by}
        for name, axes in shared.items():
            ahead = self._ahead(draws[name].double(), axes if isinstance(axes, tuple) else (axes,))
            found[name] = ahead.flatten(3)[:, :, :, None]
        return found

    def _columns(self, draws: Mapping[str, Tensor]) -> Tensor | None:
        found = super()._columns(draws)
        if found is None:
            return None
        each = found.shape[2] // self.groups
        told = {name: axis for name, axis in self.by_group.items() if name in draws and name in self.told_by}
        axes = {name: axis if isinstance(axis, tuple) else (axis,) for name, axis in told.items()}
        # All members of a group have what tells the group: it has no say in which of them is which.
        shared = [Permutation.columns(self, draws[name], axes[name]).flatten(3).repeat_interleave(each, 2) for name in told]
        return torch.cat([found, *shared], -1)

    def columns(self, x: Tensor, axes: tuple[int, ...]) -> Tensor | None:
        if len(axes) == 3:
            return None
        ahead = x.double().movedim([2 + axis for axis in axes], (2, 3)).flatten(2, 3)
        return (ahead - ahead.mean((0, 1, 2)))[..., None]
