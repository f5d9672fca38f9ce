"""Rows whose columns are independent, of any family; a missing value (`NaN`) is integrated out."""

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints

from inference.missing import observed


class Columns(TorchDistribution):
    """Rows x, whose column d is drawn from `base[..., d]`.

    Arguments: base: batch shape (*batch, D), event shape (). stand_in: a value in its support, with which holes are passed through.
    """

    support = constraints.real_vector
    arg_constraints: dict[str, constraints.Constraint] = {}

    def __init__(self, base: TorchDistribution, stand_in: float = 0.0) -> None:
        self.base, self.stand_in = base, stand_in
        super().__init__(base.batch_shape[:-1], base.batch_shape[-1:], validate_args=False)

    def expand(self, batch_shape: torch.Size, _instance: object = None) -> "Columns":
        return Columns(self.base.expand(torch.Size(batch_shape) + self.event_shape), self.stand_in)

    @property
    def mean(self) -> Tensor:
        return self.base.mean

    @property
    def variance(self) -> Tensor:
        return self.base.variance

    @property
    def probabilities(self) -> Tensor:
        """(*batch, D, values) of each column's values, 0, 1, ..., where they are codes; AttributeError where they are not."""
        if not self.base.has_enumerate_support:
            raise AttributeError(f"columns of {type(self.base).__name__} have no probabilities")
        return self.base.log_prob(self.base.enumerate_support(expand=False)).exp().movedim(0, -1)

    def sample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:
        return self.base.sample(sample_shape)

    def log_prob(self, value: Tensor) -> Tensor:
        x, seen = observed(value)
        x = x if self.stand_in == 0 else torch.where(seen, x, self.stand_in)
        return (self.base.log_prob(x) * seen).sum(-1)

    def fill(self, value: Tensor) -> Tensor:
        """`value` (*batch, D) with a draw of each missing column."""
        return torch.where(value.isnan(), self.base.sample().to(value), value)
