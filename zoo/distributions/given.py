"""Rows that have covariates: columns that are given have no density, and whatever is drawn has them as they are."""

from collections.abc import Callable

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints

# What a distribution of rows may be asked, and what of this are whole rows.
ASKED = ("decode", "fill", "filter", "forecast", "increments", "latents", "paths", "reconstruct", "smoothed")
ROWS = ("fill", "reconstruct")


class BesideGiven(TorchDistribution):
    """Rows of `law`, and after its own columns those that are given.

    Arguments: law: batch shape (*batch), event shape (..., D). columns: (*batch, ..., C), of a shape that broadcasts.
    """

    arg_constraints: dict[str, constraints.Constraint] = {}

    def __init__(self, law: TorchDistribution, columns: Tensor) -> None:
        self.law, self.columns = law, columns
        *axes, own = law.event_shape
        super().__init__(law.batch_shape, torch.Size([*axes, own + columns.shape[-1]]), validate_args=False)

    @property
    def support(self) -> constraints.Constraint:
        return constraints.independent(constraints.real, len(self.event_shape))

    def expand(self, batch_shape: torch.Size, _instance: object = None) -> "BesideGiven":
        axes = torch.Size([*self.event_shape[:-1], self.columns.shape[-1]])
        return BesideGiven(self.law.expand(batch_shape), self.columns.expand(torch.Size(batch_shape) + axes))

    @property
    def mean(self) -> Tensor:
        return self._whole(self.law.mean)

    def sample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:
        return self._whole(self.law.sample(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        return self.law.log_prob(self._own(value))

    def __getattr__(self, name: str) -> Callable:
        """What `law` can be asked of rows, asked of their own columns. Raises AttributeError for what it cannot."""
        if name not in ASKED:
            raise AttributeError(f"rows with covariates have no {name!r}")
        answer = getattr(self.law, name)
        return lambda value, *args: self._whole(answer(self._own(value), *args)) if name in ROWS else answer(self._own(value), *args)

    def _own(self, value: Tensor) -> Tensor:
        return value[..., : self.law.event_shape[-1]]

    def _whole(self, rows: Tensor) -> Tensor:
        """Rows with the covariates. What has none, past the end of a series, is not known."""
        columns = self.columns.to(rows).expand(*rows.shape[:-1], -1)
        return torch.cat([torch.where(columns.isnan().any(-1, keepdim=True), torch.nan, rows), columns], -1)


def with_given(law: TorchDistribution, given: Tensor) -> TorchDistribution:
    """`law` itself where there are no covariates, `given` (*batch, ..., 0)."""
    return BesideGiven(law, given) if given.shape[-1] else law
