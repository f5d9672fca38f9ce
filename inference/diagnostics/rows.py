"""Whether posteriors were given the same rows: only then can they be held against each other."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch

from ..checkpoint import fingerprint
from ..predictive import rows_of

if TYPE_CHECKING:
    from ..posterior import Posterior


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
