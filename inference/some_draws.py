"""A posterior of some of another's draws, with their statistics."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from .run import at_least

if TYPE_CHECKING:
    from .posterior import Posterior


def keep(posterior: "Posterior", chains: Sequence[int]) -> "Posterior":
    """See `Posterior.keep`."""
    if not len(chains):
        raise ValueError("keep at least one chain")
    strange = [chain for chain in chains if chain not in range(posterior.shape[0])]
    if strange:
        raise LookupError(f"no chain {strange[0]}; there are chains 0 to {posterior.shape[0] - 1}")
    return _some(posterior, list(chains), kept=list(map(int, chains)))


def thinned(posterior: "Posterior", every: int) -> "Posterior":
    """See `Posterior.thinned`."""
    at_least(1, every=every)
    return _some(posterior, (slice(None), slice(None, None, every)), thinned=every)


def _some(posterior: "Posterior", which: list[int] | tuple[slice, slice], **how: int | list[int]) -> "Posterior":
    by_draw = {name: stat[which] for name, stat in posterior.by_draw.items()}
    draws = {name: values[which] for name, values in posterior.draws.items()}
    return replace(posterior, draws=draws, stats={**posterior.stats, **by_draw}, how={**posterior.how, **how})
