"""What a posterior is made of, checked; and what is known of the rows behind it: from the record of its run, or the rows themselves."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pyro
import torch
from torch import Tensor

from .rows.table import Table

if TYPE_CHECKING:
    from .posterior import Posterior


def known_of(table: Table, rows: int | None = None) -> dict[str, Any]:
    """What a record says of the rows, of which there are `rows` if `table` is a sample, and of the software."""
    return {
        "columns": table.columns,
        **({"variables": table.variables} if table.variables else {}),
        "row_shape": list(table.x.shape[1:]),
        "rows": rows or len(table),
        "frame": table.frame,
        "software": {"torch": torch.__version__, "pyro": pyro.__version__},
    }


def checked_draws(draws: Mapping[str, Any]) -> dict[str, Tensor]:
    """Draws from anywhere as tensors (chain, draw, *site). Raises TypeError for what is no array, ValueError for other shapes."""
    found = {name: _tensor(name, value) for name, value in draws.items()}
    first = next(iter(found), None)
    for name, value in found.items():
        if value.dim() < 2 or 0 in value.shape[:2]:
            raise ValueError(f"the draws of {name!r} must be of shape (chain, draw, ...), at least one of each, not {tuple(value.shape)}")
        if value.shape[:2] != found[first].shape[:2]:
            shapes = f"{name!r} {tuple(value.shape[:2])} and {first!r} {tuple(found[first].shape[:2])}"
            raise ValueError(f"all sites must have equally many chains and draws, unlike {shapes}")
    return found


def checked_stats(stats: Mapping[str, Any]) -> dict[str, Tensor]:
    """Statistics as tensors. Raises TypeError for what is no array."""
    return {name: _tensor(name, value) for name, value in stats.items()}


def _tensor(name: str, value: Any) -> Tensor:
    try:
        return torch.as_tensor(value).detach()
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"{name!r} must be a tensor or an array of numbers, not {type(value).__name__}: {error}") from error


def row_shape(posterior: "Posterior") -> list[int] | None:
    """The shape of a row; None where neither it nor rows are known."""
    return posterior.how.get("row_shape") or (None if posterior.table is None else list(posterior.table.x.shape[1:]))


def columns(posterior: "Posterior") -> list[str] | None:
    """The names of the rows' columns; None where they are not known."""
    return posterior.how.get("columns") or (None if posterior.table is None else posterior.table.columns)


def names(posterior: "Posterior") -> list[str] | None:
    """The names of the columns of the table that the rows came in, which of a series of steps are its variables."""
    return posterior.how.get("variables") or (posterior.table and posterior.table.variables) or columns(posterior)


def variables(posterior: "Posterior") -> list[Any] | None:
    """What the pair's `coords` are told: the names of the columns of rows, and of series what lies along their last axis, numbered where it
    has no names. None where it is not known."""
    if not posterior.pair.any_length:
        return columns(posterior)
    known, shape = posterior.how.get("variables") or (posterior.table and posterior.table.variables), row_shape(posterior)
    return known or (shape and list(range(shape[1] if len(shape) > 1 else 1)))


def frame(posterior: "Posterior") -> bool:
    """Whether the rows came with names."""
    return posterior.how.get("frame", posterior.table is not None and posterior.table.frame)


def blank_row(posterior: "Posterior") -> Tensor:
    """(1, ...) zeros in the shape of a row. Raises ValueError where that is not known."""
    shape = row_shape(posterior)
    if shape is None:
        raise ValueError(
            f"{posterior.name}: neither its rows nor their shape are known; make it with table=inference.as_table(x), or with "
            "how={'row_shape': [...]}"
        )
    return posterior.like.new_zeros((1, *shape))
