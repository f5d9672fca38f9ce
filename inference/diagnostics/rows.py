"""Whether posteriors were given the same rows, so that they can be held against each other, and have draws to weigh by them."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch

from ..answers.predictive import rows_of
from ..saving.checkpoint import fingerprint

if TYPE_CHECKING:
    from ..posterior import Posterior

LEAST = 100


def refuse_draws(posterior: "Posterior", use: str) -> None:
    """Refuse fewer than a hundred draws, none at all, those of another pair, and such as are not finite, for what weighs them.
    Raises ValueError that names the `use`."""
    posterior.refuse_foreign()
    if not posterior.draws:
        raise ValueError(
            f"{posterior.name}: its rows share no latent, and what they share was learnt as a point, so that there are no draws to {use} "
            "by weighing them; hold rows out (validation=) and look at their posterior.score"
        )
    count = math.prod(posterior.shape)
    if count < LEAST:
        raise ValueError(f"{posterior.name} has {count} draw{'s' * (count > 1)}, too few to {use} by weighing them; take 1000")
    for name, values in posterior.draws.items():
        if not values.isfinite().all():
            raise ValueError(f"{posterior.name} has draws of {name!r} that are not finite, so that there is nothing to {use} by")


def refuse_other_rows(posteriors: Mapping[str, "Posterior"]) -> None:
    """Refuse posteriors, by name, of which one was given other rows than the first. Raises ValueError that names it."""
    first, *others = posteriors
    tables = {name: rows_of(posterior) for name, posterior in posteriors.items()}
    # Rounded alike, since a fit in double precision and one in single are of the same rows.
    known = {name: fingerprint(table.x.to(torch.float32)) for name, table in tables.items()}
    for name in others:
        if tables[name].x.shape != tables[first].x.shape:
            shapes = f"{tuple(tables[name].x.shape)} and {tuple(tables[first].x.shape)}"
            raise ValueError(f"{name} was given other rows than {first}: their shapes are {shapes}; fit both to the same rows")
        if known[name] != known[first]:
            raise ValueError(f"{name} was given other rows than {first}, of the same shape; fit both to the same rows, in the same order")
