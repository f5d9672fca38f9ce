"""A hyperparameter that is one number, or one a column."""

import torch
from torch import Tensor


def by_column(name: str, value: float | list[float], dim: int) -> Tensor:
    """(dim,) of the hyperparameter `name`. Raises ValueError for as many numbers as there are not columns."""
    if isinstance(value, list) and len(value) != dim:
        raise ValueError(f"{name} has {len(value)} numbers and there are {dim} columns; give one number, or one a column")
    return torch.as_tensor(value, dtype=torch.get_default_dtype()).expand(dim).clone()


def center_and_spread(x: Tensor) -> dict[str, list[float]]:
    """Mean and standard deviation of every column of `x` (rows, columns), as hyperparameters.

    Where a column has no value the mean is zero, and where it has no spread that is one.
    """
    mean = x.nanmean(0).nan_to_num()
    spread = (x - mean).square().nanmean(0).sqrt().nan_to_num()
    return {"center": mean.tolist(), "spread": torch.where(spread > 0, spread, 1.0).tolist()}
