"""A hyperparameter that is one number, or one a column."""

import torch
from torch import Tensor


def by_column(name: str, value: float | list[float], dim: int) -> Tensor:
    """(dim,) of the hyperparameter `name`. Raises ValueError for as many numbers as there are not columns."""
    if isinstance(value, list) and len(value) != dim:
        raise ValueError(f"{name} has {len(value)} numbers and there are {dim} columns; give one number, or one a column")
    return torch.as_tensor(value, dtype=torch.get_default_dtype()).expand(dim).clone()
