"""Paths of a Gaussian Markov chain whose law differs from step to step, drawn and scored all steps at once."""

import torch
from pyro.distributions import Normal, TorchDistribution
from torch import Tensor
from torch.distributions import constraints

from .recurrence import beside, follow


class GaussianChain(TorchDistribution):
    """Paths z_t = axes v_t of v_t ~ Normal(gates_t v_t-1 + shifts_t, scales_t), number by number; v_0 is zero.

    A step depends on the one before by any matrix that is diagonal in the axes, and its covariance, given that, is any matrix that is
    diagonal in them. Where a series has ended, z_t is standard normal.

    Arguments: gates, shifts, scales: (*batch, T, K). axes: (K, K). going_on: (*batch, T), whether a series has not ended.
    """

    arg_constraints: dict[str, constraints.Constraint] = {}
    support = constraints.independent(constraints.real, 2)
    has_rsample = True

    def __init__(self, gates: Tensor, shifts: Tensor, scales: Tensor, axes: Tensor, going_on: Tensor) -> None:
        self.axes, self.going_on = axes, going_on
        self._on = going_on[..., None]
        self.gates, self.shifts, self.scales = gates * self._on, shifts * self._on, torch.where(self._on, scales, 1.0)
        super().__init__(gates.shape[:-2], gates.shape[-2:], validate_args=False)

    def expand(self, batch_shape: torch.Size, _instance: object = None) -> "GaussianChain":
        shape = torch.Size(batch_shape) + self.event_shape
        steps = (values.expand(shape) for values in (self.gates, self.shifts, self.scales))
        return GaussianChain(*steps, self.axes, self.going_on.expand(shape[:-1]))

    def rsample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        shocks = self.scales * torch.randn(shape, dtype=self.shifts.dtype, device=self.shifts.device)
        return self._turned(follow(self.gates.expand(shape), self.shifts + shocks))

    def log_prob(self, value: Tensor) -> Tensor:
        straight = torch.where(self._on, value @ torch.linalg.inv(self.axes).mT, value)
        steps = Normal(self.gates * beside(straight) + self.shifts, self.scales, validate_args=False).log_prob(straight)
        return steps.sum((-2, -1)) - self.going_on.sum(-1) * torch.linalg.slogdet(self.axes)[1]

    @property
    def mean(self) -> Tensor:
        return self._turned(follow(self.gates, self.shifts))

    @property
    def variance(self) -> Tensor:
        variances = follow(self.gates.square(), self.scales.square())
        return torch.where(self._on, variances @ self.axes.square().mT, 1.0)

    def _turned(self, straight: Tensor) -> Tensor:
        return torch.where(self._on, straight @ self.axes.mT, straight)
