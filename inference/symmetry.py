"""Symmetries that a pair declares: transformations of its parameters that change nothing about the data."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor


@dataclass(frozen=True)
class Permutation:
    """The components may be numbered in any order.

    axes: the sites that are indexed by component -> the axis of the site (0 is its first) that counts components; two axes where
        the site is indexed twice, as a transition matrix is.
    order: the site whose first entry numbers the components, ascending, so that every fit tells them in the same order.
    """

    axes: Mapping[str, int | tuple[int, ...]]
    order: str

    def align(self, draws: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """`draws`, each (chain, draw, *site), with the components of every draw renumbered to match a common pivot.

        The pivot is the mean of all aligned draws, found by alternating the two (Stephens 2000, "Dealing with label
        switching in mixture models", JRSS-B 62, algorithm of section 4 with a Gaussian loss), so it favours no chain.
        """
        features = self._features(draws)
        if features.shape[-2] == 1 or not features.isfinite().all():
            return dict(draws)
        pivot = features.flatten(0, 1)[features.shape[1] - 1]
        order = _match(features, pivot)
        for _ in range(20):
            pivot = _take(features, order).mean((0, 1))
            previous, order = order, _match(features, pivot)
            if torch.equal(previous, order):
                break
        key = _take(draws[self.order].movedim(2 + self.axes[self.order], 2), order).mean((0, 1))
        key = key.reshape(len(key), -1)[:, 0]
        order = order[..., key.argsort()]
        moved = dict(draws)
        for name, axes in self.axes.items():
            for axis in axes if isinstance(axes, tuple) else (axes,):
                if name in draws:
                    moved[name] = _take(moved[name].movedim(2 + axis, 2), order).movedim(2, 2 + axis)
        return moved

    def _features(self, draws: Mapping[str, Tensor]) -> Tensor:
        """(chain, draw, component, feature): every site permuted along one axis side by side, on a common scale."""
        sites = [draws[n].movedim(2 + axis, 2) for n, axis in self.axes.items() if n in draws and isinstance(axis, int)]
        parts = [site.flatten(3) if site.dim() > 3 else site[..., None] for site in sites]
        features = torch.cat(parts, -1).double()
        scale = features.flatten(0, 2).std(0, correction=0)
        return features / torch.where(scale > 0, scale, torch.ones_like(scale))


def _take(x: Tensor, order: Tensor) -> Tensor:
    """`x` (chain, draw, component, ...) with its components in `order` (chain, draw, component)."""
    index = order.reshape(order.shape + (1,) * (x.dim() - 3)).expand(order.shape + x.shape[3:])
    return x.gather(2, index)


def _match(features: Tensor, pivot: Tensor) -> Tensor:
    """(chain, draw, component): for each component of the pivot, the component of the draw assigned to it."""
    cost = torch.cdist(pivot, features).square()
    order = cost.argmin(-1)
    # Where every pivot component has a different nearest one, that assignment is optimal; the others are solved for.
    clash = (order.sort(-1).values != torch.arange(order.shape[-1], device=order.device)).any(-1)
    solved = [torch.as_tensor(linear_sum_assignment(matrix)[1]) for matrix in cost[clash].cpu().numpy()]
    if solved:
        order[clash] = torch.stack(solved).to(order.device)
    return order
