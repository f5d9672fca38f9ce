"""Rows whose last column is their label; one that is not known (`NaN`) says nothing."""

import math

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints


class Labelled(TorchDistribution):
    """Rows drawn from `rows`, with the label `y` that they were made by in a column more.

    Arguments: rows: batch shape (*batch), event shape (D,). y: codes of labels, of a shape that broadcasts with (*batch).
    """

    support = constraints.real_vector
    arg_constraints: dict[str, constraints.Constraint] = {}

    def __init__(self, rows: TorchDistribution, y: Tensor) -> None:
        self.rows, self.y = rows, y
        super().__init__(torch.broadcast_shapes(rows.batch_shape, y.shape), torch.Size([rows.event_shape[0] + 1]), validate_args=False)

    def expand(self, batch_shape: torch.Size, _instance: object = None) -> "Labelled":
        return Labelled(self.rows.expand(batch_shape), self.y.expand(batch_shape))

    @property
    def mean(self) -> Tensor:
        return self._with_label(self.rows.mean)

    def sample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:
        return self._with_label(self.rows.sample(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        label = value[..., -1]
        # A row that has another label was not made by this one.
        return self.rows.log_prob(value[..., :-1]) + torch.where(label.isnan() | (label == self.y), 0.0, -math.inf)

    def fill(self, value: Tensor) -> Tensor:
        """`value` (*batch, D + 1) with a draw of each missing column, and the label."""
        filled = self._with_label(self.rows.fill(value[..., :-1]))
        return torch.where(value.isnan(), filled, value)

    def _with_label(self, rows: Tensor) -> Tensor:
        return torch.cat([rows, self.y.to(rows).expand(rows.shape[:-1])[..., None]], -1)
