"""What one latent changes: rows along it, the others held."""

from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd
import torch
from torch import Tensor

from ..covariates import refuse_untold
from .decoding import as_tensor, codes, expected, prior_codes

if TYPE_CHECKING:
    from ..posterior import Posterior

MIDDLE, STEPS, DRAWN = 0.95, 7, 10_000


class Traversal(NamedTuple):
    """What one latent changes: its values (step,); the means of the rows that have them (step, ...); and `changes`, a row a column:
    the `change` from the first to the last and the `range` on the way, the largest first."""

    values: Tensor
    rows: Tensor
    changes: pd.DataFrame


def traverse(posterior: "Posterior", latent: int, row: Any, values: Any) -> Traversal:
    """See `Posterior.traverse`."""
    known = _known(posterior)
    if row is None and known is None:
        raise ValueError(f"{posterior.name} kept no rows to begin at; give row=")
    if row is None:
        refuse_untold(posterior.pair, "say of which row they are: row=")
    begin = known.mean(0, keepdim=True) if row is None else codes(posterior, row)
    if len(begin) != 1:
        raise ValueError(f"row= must be one row, not {len(begin)}")
    if latent not in range(begin.shape[1]):
        raise ValueError(f"latent={latent!r} is none of the latents 0 to {begin.shape[1] - 1}")
    at = _usual(posterior, known, latent) if values is None else as_tensor(values, begin)
    if at.dim() != 1 or len(at) < 2:
        raise ValueError(f"values= must be two numbers or more, not of shape {tuple(at.shape)}")
    moved = begin.repeat(len(at), 1)
    moved[:, latent] = at
    rows = as_tensor(expected(posterior, moved, row if posterior.pair.covariates else None), begin)
    flat = rows.flatten(1)
    names = posterior.how["columns"] if rows.dim() == 2 else range(flat.shape[1])
    found = {"change": flat[-1] - flat[0], "range": flat.amax(0) - flat.amin(0)}
    changes = pd.DataFrame({name: value.cpu().numpy() for name, value in found.items()}, pd.Index(names, name="column"))
    return Traversal(at, rows, changes.sort_values("range", ascending=False, kind="stable"))


def _known(posterior: "Posterior") -> Tensor | None:
    """Latents (rows, Q) of the rows fitted, if they were kept; where none can be told of a row, draws from their prior."""
    if "encode" in posterior.pair.unsuited:
        return prior_codes(posterior, DRAWN)
    return None if posterior.table is None else codes(posterior, posterior.table)


def _usual(posterior: "Posterior", known: Tensor | None, latent: int) -> Tensor:
    """Values between which the middle 95% of those known lie."""
    if known is None:
        raise ValueError(f"{posterior.name} kept no rows by which to know what values latent {latent} takes; give values=")
    low, high = known[:, latent].quantile(known.new_tensor([0.5 - MIDDLE / 2, 0.5 + MIDDLE / 2])).tolist()
    return torch.linspace(low, high, STEPS, dtype=known.dtype, device=known.device)
