"""Counts of words in a text of random length."""

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints

from inference.missing import any_missing, observed


class WordCounts(TorchDistribution):
    """Counts x_v ~ Poisson(rate p_v), with one rate ~ Gamma(shape, shape / length) for the text; `NaN` and the rate are integrated out.

    The text's length is negative binomial of mean `length`, and x is multinomial given its length. Where all of x is seen, its density
    depends on p through the product of p_v^x_v alone.

    Arguments: probabilities: (*batch, V), adding up to one. length, shape: scalars.
    """

    arg_constraints = {"probabilities": constraints.simplex, "length": constraints.positive, "shape": constraints.positive}
    support = constraints.independent(constraints.nonnegative_integer, 1)

    def __init__(self, probabilities: Tensor, length: Tensor, shape: Tensor) -> None:
        self.probabilities, self.length, self.shape = probabilities, length, shape
        super().__init__(probabilities.shape[:-1], probabilities.shape[-1:], validate_args=False)

    def expand(self, batch_shape: torch.Size, _instance: object = None) -> "WordCounts":
        return WordCounts(self.probabilities.expand(torch.Size(batch_shape) + self.event_shape), self.length, self.shape)

    @property
    def mean(self) -> Tensor:
        return self.length * self.probabilities

    def log_prob(self, value: Tensor) -> Tensor:
        x, seen = observed(value) if any_missing(value) else (value, None)
        tiny = torch.finfo(x.dtype).tiny
        words = torch.xlogy(x, self.probabilities.clamp(min=tiny)) - (x + 1).lgamma()
        total, inverse_scale = x.sum(-1), self.shape / self.length
        share = 1.0 if seen is None else (self.probabilities * seen).sum(-1)
        lengths = (self.shape + total).lgamma() - self.shape.lgamma() + self.shape * inverse_scale.log()
        return words.sum(-1) + lengths - (self.shape + total) * (inverse_scale + share).log()

    def sample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:
        nothing = self.probabilities.new_full(self._extended_shape(sample_shape), torch.nan)
        return self.fill(nothing)

    def fill(self, value: Tensor) -> Tensor:
        """`value` with a draw of each missing count given those seen."""
        x, seen = observed(value)
        shape = self.shape + x.sum(-1)
        scale = self.shape / self.length + (self.probabilities * seen).sum(-1)
        rate = torch._standard_gamma(shape) / scale
        return torch.where(seen, x, torch.poisson(rate[..., None] * self.probabilities))
