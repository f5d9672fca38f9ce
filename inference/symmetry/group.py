"""What every symmetry has in common: a group of isometries, and the alignment of draws to a common pivot."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ..memory import at_once

CANDIDATES, STARTS, ROUNDS, SETTLED = 64, 4, 20, 1e-12
LEARNT_FROM = 1024


@dataclass(frozen=True)
class Symmetry(ABC):
    """A group that acts along one axis of several sites at once, and changes nothing about the data.

    axes: site -> the axis acted on (0 is the site's first); two axes where the site is indexed twice, as a transition matrix.
    leaves: what an element leaves as it is, in a word before a site's name. seen_as: what it is called where chains differ by it.

    An element of the group has a leading (chain, draw), each of which may be 1. Each is a linear isometry.
    """

    axes: Mapping[str, int | tuple[int, ...]]
    leaves: ClassVar[str]
    seen_as: ClassVar[str]

    @abstractmethod
    def act(self, x: Tensor, element: Tensor) -> Tensor:
        """`x` (..., K, feature), acted on by elements that begin with the same (...)."""

    @abstractmethod
    def match(self, features: Tensor, pivot: Tensor) -> Tensor:
        """The elements (...) that bring `features` (..., K, feature) closest to `pivot` (K, feature)."""

    @abstractmethod
    def orient(self, draws: Mapping[str, Tensor]) -> Tensor:
        """The element (1, 1, ...) that tells aligned draws in the order, signs or axes agreed on."""

    @abstractmethod
    def random(self, draws: Mapping[str, Tensor]) -> Tensor:
        """An element for each draw, from the uniform distribution, by torch's generator."""

    @abstractmethod
    def invariant(self, x: Tensor) -> Tensor:
        """What no element changes of `x` (chain, draw, K, feature): (chain, draw, K or 1, feature)."""

    def align(self, draws: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """`draws`, each (chain, draw, *site), every one moved by the element that brings it closest to a common pivot.

        The pivot is the mean of draws so moved, found by alternating the two (generalised Procrustes analysis, Gower 1975,
        Psychometrika 40; for permutations Stephens 2000, JRSS-B 62, section 4, with a Gaussian loss). Where the alternation
        ends depends on where it begins: it begins at the four central ones among draws from all chains, and the end with the
        least loss counts, so that no chain is favoured. At last `orient` is applied to all draws.

        Draws that are not finite are left as they are. Raises ValueError where the sites disagree about K.
        """
        columns = self._columns(draws)
        if columns is None or not columns.isfinite().all():
            return dict(draws)
        scale, pivot = self.reference(columns)
        aligned = self.apply(draws, self.match(columns / scale, pivot))
        return self.apply(aligned, self.orient(aligned))

    def reference(self, columns: Tensor) -> tuple[Tensor, Tensor]:
        """The unit (feature) of each column of draws (chain, draw, K, feature), and the pivot (K, feature) in these units."""
        scale = rms(columns)
        return scale, pivot_of(self, columns / scale)

    def nearest(self, features: Tensor, pivot: Tensor) -> Tensor:
        """`features` (..., K, feature), each moved as close to `pivot` as an element can."""
        return self.act(features, self.match(features, pivot))

    def apply(self, draws: Mapping[str, Tensor], element: Tensor) -> dict[str, Tensor]:
        """`draws`, each (chain, draw, *site), acted on by `element`; sites that the symmetry does not name stay as they are."""
        moved = {}
        for name, axes in self.present(draws).items():
            moved[name] = draws[name]
            for axis in axes:
                ahead = moved[name].movedim(2 + axis, 2)
                acted = self.act(ahead.reshape(*ahead.shape[:3], -1), element).reshape(ahead.shape)
                moved[name] = acted.movedim(2, 2 + axis)
        return {**draws, **moved}

    def invariants(self, draws: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What no element changes of every site that is acted on along one axis: (chain, draw, *site), that axis as long or 1."""
        found = {}
        for name, axes in self.present(draws).items():
            if len(axes) == 1:
                ahead = draws[name].movedim(2 + axes[0], 2)
                value = self.invariant(ahead.reshape(*ahead.shape[:3], -1))
                found[name] = value.reshape(*value.shape[:3], *ahead.shape[3:]).movedim(2, 2 + axes[0])
        return found

    def present(self, draws: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
        """The sites in `draws` that the symmetry acts on, and along which axes. Raises ValueError where they differ in length."""
        named = {n: axes if isinstance(axes, tuple) else (axes,) for n, axes in self.axes.items() if n in draws}
        for name, axes in named.items():
            if draws[name].dim() - 2 <= max(axes):
                shape = tuple(draws[name].shape[2:])
                raise ValueError(f"a draw of {name!r} has shape {shape}, and no axis {max(axes)} that {type(self).__name__} could act on")
        sizes = {n: {draws[n].shape[2 + a] for a in axes} for n, axes in named.items()}
        if len(set().union(*sizes.values())) > 1:
            said = ", ".join(f"{n} {sorted(size)}" for n, size in sizes.items())
            raise ValueError(f"the axes that {type(self).__name__} acts on must have one length, not {said}; check the pair's symmetries")
        return named

    def telling(self, draws: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
        """Those of the sites that draws are matched by; the others follow."""
        return self.present(draws)

    def size(self, draws: Mapping[str, Tensor]) -> int:
        """K, how many entries the axis acted on has."""
        name, axes = next(iter(self.present(draws).items()))
        return draws[name].shape[2 + axes[0]]

    def towards(self, draws: Mapping[str, Tensor], others: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """`draws`, each moved by the element that brings it closest to the mean of `others`; both hold the same sites (chain, draw,
        *site). Without a site to match by they stay as they are, and what is not finite is not matched by."""
        features, like = self._columns(draws), self._columns(others)
        if features is None:
            return dict(draws)
        features, like = (torch.where(x.isfinite(), x, 0.0) for x in (features, like))
        scale = rms(like)
        return self.apply(draws, self.match(features / scale, (like / scale).mean((0, 1))))

    def features(self, draws: Mapping[str, Tensor]) -> Tensor | None:
        """(chain, draw, K, feature): all sites side by side, every feature divided by its root mean square; None without any."""
        columns = self._columns(draws)
        return None if columns is None else columns / rms(columns)

    def _columns(self, draws: Mapping[str, Tensor]) -> Tensor | None:
        parts = [self.columns(draws[name], axes) for name, axes in self.telling(draws).items()]
        parts = [part.flatten(3) for part in parts if part is not None]
        return torch.cat(parts, -1) if parts else None

    def columns(self, x: Tensor, axes: tuple[int, ...]) -> Tensor | None:
        """What of a site (chain, draw, *site) an element acts on as on features: (chain, draw, K, ...), in double precision."""
        return x.double().movedim(2 + axes[0], 2)[..., None] if len(axes) == 1 else None


def rms(columns: Tensor) -> Tensor:
    """(feature) the root mean square of draws (chain, draw, K, feature); 1 where that is nothing."""
    scale = columns.square().mean((0, 1, 2)).sqrt()
    return torch.where(scale > 0, scale, torch.ones_like(scale))


def some_of(features: Tensor) -> Tensor:
    """(some, ...): those of the draws (chain, draw, ...) that what all have in common is learnt from."""
    return _evenly(features, max(CANDIDATES, min(LEARNT_FROM, at_once(features[0, 0].numel()))))


def _evenly(features: Tensor, count: int) -> Tensor:
    """At most `count` of the draws (chain, draw, ...), as many from every chain, evenly spaced: (some, ...)."""
    chains, draws = features.shape[:2]
    each = min(draws, max(1, count // chains))
    places = ((torch.arange(each, device=features.device) + 0.5) * draws / each).long()
    return features[:: -(-chains // count), places].flatten(0, 1)


def pivot_of(symmetry: Symmetry, features: Tensor) -> Tensor:
    """(K, feature): the mean of the draws in `features` (chain, draw, K, feature), aligned to it."""
    few, candidates = some_of(features), _evenly(features, CANDIDATES)
    losses = torch.stack([(symmetry.nearest(candidates, c) - c).square().sum() for c in candidates])
    means = [_settled(symmetry, candidates, candidates[i]) for i in losses.argsort()[:STARTS]]
    # The group acts by isometries: the longest mean has the least loss.
    return _settled(symmetry, few, max(means, key=lambda mean: float(mean.square().sum())))


def _settled(symmetry: Symmetry, features: Tensor, pivot: Tensor) -> Tensor:
    """The mean of `features` (draw, K, feature) aligned to `pivot`, to that mean, and so on until it stays."""
    for _ in range(ROUNDS):
        previous, pivot = pivot, symmetry.nearest(features, pivot).mean(0)
        if (pivot - previous).abs().max() < SETTLED:
            break
    return pivot
