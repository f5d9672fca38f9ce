"""Rows with a response in a column more."""

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints

from inference.missing import observed


class WithResponse(TorchDistribution):
    """Rows drawn from `rows`, then a number drawn from `response`, each without the other; `NaN` is integrated out.

    Arguments: rows: batch shape (*batch), event shape (D,). response: batch shape (*batch), of numbers. Event shape (D + 1,).
    """

    support = constraints.real_vector
    arg_constraints: dict[str, constraints.Constraint] = {}

    def __init__(self, rows: TorchDistribution, response: TorchDistribution) -> None:
        self.rows, self.response = rows, response
        shape = torch.broadcast_shapes(rows.batch_shape, response.batch_shape)
        super().__init__(shape, torch.Size([rows.event_shape[0] + 1]), validate_args=False)

    def expand(self, batch_shape: torch.Size, _instance: object = None) -> "WithResponse":
        return WithResponse(self.rows.expand(batch_shape), self.response.expand(batch_shape))

    @property
    def mean(self) -> Tensor:
        return _joined(self.rows.mean, self.response.mean)

    def sample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:
        return _joined(self.rows.sample(sample_shape), self.response.sample(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        response, seen = observed(value[..., -1])
        return self.rows.log_prob(value[..., :-1]) + torch.where(seen, self.response.log_prob(response), 0.0)

    def fill(self, value: Tensor) -> Tensor:
        """`value` (*batch, D + 1) with a draw of each missing number."""
        drawn = self.response.sample(value.shape[: value.dim() - 1 - len(self.batch_shape)])
        return torch.where(value.isnan(), _joined(self.rows.fill(value[..., :-1]), drawn), value)


def _joined(rows: Tensor, response: Tensor) -> Tensor:
    return torch.cat([rows, response.to(rows).expand(rows.shape[:-1])[..., None]], -1)
