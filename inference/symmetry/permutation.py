"""Components that may be numbered in any order."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from .group import Symmetry, pivot_of, rms, some_of

# What does not scatter at all tells components apart beyond doubt; but numbers are not divided by nothing.
LEAST = 1e-4
# A gain, as a share of how much components scatter, for which units are changed: less is chance.
WORTH = 0.01


@dataclass(frozen=True)
class Permutation(Symmetry):
    """The components may be numbered in any order.

    axes: the sites that are indexed by component -> the axis that counts them, or two: a transition matrix has (0, 1).
    order: the site whose first entry numbers the components, ascending, so that every fit tells them in the same order.
    told_by: the sites that tell components apart, by default all: one that is hardly known would blur those that are.
    weighed_by: a site (K,) of the components' weights, if those of next to no weight, which may look like anything, are to tell little.

    An element holds, for each component of the result, the number of the component that it was.
    """

    order: str
    told_by: tuple[str, ...] = ()
    weighed_by: str = ""
    leaves: ClassVar[str] = "sorted"
    seen_as: ClassVar[str] = "label switching"

    def act(self, x: Tensor, element: Tensor) -> Tensor:
        return x.gather(-2, element[..., None].expand(x.shape))

    def match(self, features: Tensor, pivot: Tensor) -> Tensor:
        # Squared distances, but for what is the same in all assignments of a draw.
        cost = (features.square().sum(-1, keepdim=True) - 2 * features @ pivot.mT).mT.contiguous()
        return assigned(cost)

    def telling(self, draws: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
        present = self.present(draws)
        return {name: axes for name, axes in present.items() if name in self.told_by} or present

    def _columns(self, draws: Mapping[str, Tensor]) -> Tensor | None:
        found = super()._columns(draws)
        return found if found is None or self.weighed_by not in draws else found * draws[self.weighed_by].double()[..., None]

    def orient(self, draws: Mapping[str, Tensor]) -> Tensor:
        axes = self.present(draws)
        site = self.order if self.order in axes else next(iter(axes))
        mean = draws[site].double().mean((0, 1)).movedim(axes[site][0], 0)
        return mean.reshape(len(mean), -1)[:, 0].argsort()[None, None]

    def random(self, draws: Mapping[str, Tensor]) -> Tensor:
        first = next(iter(draws.values()))
        return torch.rand(*first.shape[:2], self.size(draws), device=first.device).argsort(-1)

    def parts(self, draws: Mapping[str, Tensor]) -> int:
        """How many things may be numbered in any order, counted as a user counts them: groups where members are in groups."""
        return self.size(draws)

    def of_parts(self, draws: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Site -> (chain, draw, part, member, feature) for the sites that tell parts apart; of one that counts them twice, its diagonal.
        A part of no members is its own only one."""
        return {name: self._ahead(draws[name].double(), axes).flatten(3)[:, :, :, None] for name, axes in self.telling(draws).items()}

    def _ahead(self, x: Tensor, axes: tuple[int, ...]) -> Tensor:
        """(chain, draw, K, ...) of a site that counts components along one axis, or along two, of which the diagonal is taken."""
        found = x.movedim(2 + axes[0], 2) if len(axes) == 1 else x.diagonal(0, 2 + axes[0], 2 + axes[1]).movedim(-1, 2)
        return found[..., None] if found.dim() == 3 else found

    def reference(self, columns: Tensor) -> tuple[Tensor, Tensor]:
        """As of any symmetry, in those units in which the components of aligned draws scatter least, by the mean of the logarithms.

        What differs between components by chance alone, such as weights that are all equal, is not to number what other sites tell apart;
        nor is a component that no row uses, and that may be anywhere, to hide what the others say. In units of their root mean square the
        first happens, and in units of how much sorted values scatter the second: both are tried, and the better is improved on by units
        of how much a component scatters once it is aligned.
        """
        few, usual = some_of(columns), rms(columns)

        def tried(scale: Tensor) -> tuple[float, Tensor, Tensor, Tensor]:
            scale = scale.maximum(LEAST * usual)
            pivot = pivot_of(self, columns / scale)
            scatter = self.nearest(few / scale, pivot).std(0, correction=0) * scale
            return float(scatter.maximum(LEAST * usual).log().mean()), scatter, scale, pivot

        best, found = tried(usual), tried(self.invariant(few[None])[0].std(0, correction=0).mean(0))
        while found[0] < best[0] - WORTH:
            best, found = found, tried(found[1].median(0).values)
        return best[2], best[3]

    def invariant(self, x: Tensor) -> Tensor:
        return x.sort(2).values

    def columns(self, x: Tensor, axes: tuple[int, ...]) -> Tensor:
        ahead = self._ahead(x.double(), axes)
        # A constant added to all components tells none apart, and would drown what does.
        return (ahead - ahead.mean((0, 1, 2)))[..., None]


def assigned(cost: Tensor) -> Tensor:
    """(..., K) for each row of costs (..., K, K) a column of its own, such that they cost the least together."""
    flat = cost.reshape(-1, *cost.shape[-2:])
    order = flat.argmin(-1)
    # Where every row's cheapest column is a different one, that assignment is optimal; the others are solved for.
    clash = (order.sort(-1).values != torch.arange(order.shape[-1], device=order.device)).any(-1)
    if clash.any():
        solved = np.stack([linear_sum_assignment(matrix)[1] for matrix in flat[clash].cpu().numpy()])
        order[clash] = torch.as_tensor(solved, device=order.device)
    return order.reshape(cost.shape[:-1])
