"""Rows from one of several normal laws; which of them is summed out, and a missing value (`NaN`) is integrated out."""

import torch
from pyro.distributions import Categorical, TorchDistribution
from torch import Tensor
from torch.distributions import constraints

from inference.missing import known_missing

from .gaussian import DiagonalGaussian


class Mixed(TorchDistribution):
    """Rows x ~ sum_m weights_m Normal(locs_m, scales_m), coordinate by coordinate within a component.

    Arguments: log_weights: (*batch, M), log probabilities. locs, scales: (*batch, M, D).
    """

    arg_constraints: dict[str, constraints.Constraint] = {}
    support = constraints.real_vector

    def __init__(self, log_weights: Tensor, locs: Tensor, scales: Tensor) -> None:
        self.log_weights, self.locs, self.scales = log_weights, locs, scales
        super().__init__(torch.broadcast_shapes(log_weights.shape[:-1], locs.shape[:-2]), locs.shape[-1:], validate_args=False)

    def expand(self, batch_shape: torch.Size, _instance: object = None) -> "Mixed":
        parts = (self.log_weights, 1), (self.locs, 2), (self.scales, 2)
        return Mixed(*(t.expand(torch.Size(batch_shape) + t.shape[t.dim() - event :]) for t, event in parts))

    @property
    def mean(self) -> Tensor:
        return (self.log_weights.exp()[..., None] * self.locs).sum(-2)

    def sample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:
        return self._drawn(self.log_weights.expand(*self._extended_shape(sample_shape)[:-1], -1))

    def log_prob(self, value: Tensor) -> Tensor:
        return self.log_components(value).logsumexp(-1)

    def fill(self, value: Tensor) -> Tensor:
        """`value` (*batch, D) with a draw of what is missing given what is seen of the row."""
        # Some is missing, whatever is known of the rows that were fitted.
        with known_missing(True):
            logits = self.log_components(value)
        return torch.where(value.isnan(), self._drawn(logits), value)

    def log_components(self, value: Tensor) -> Tensor:
        """(*batch, M) log p(component, what is seen of the row)."""
        return self.log_weights + DiagonalGaussian(self.locs, self.scales).log_prob(value[..., None, :])

    def _drawn(self, logits: Tensor) -> Tensor:
        """(*batch, D) rows of components that have these log probabilities (*batch, M)."""
        drawn = Categorical(logits=logits).sample()[..., None, None]
        loc, scale = (t.expand(*drawn.shape[:-2], *t.shape[-2:]).take_along_dim(drawn, -2)[..., 0, :] for t in (self.locs, self.scales))
        return loc + scale * torch.randn_like(loc)
