"""Series given the states they go through: what each step is worth in each state, and what is missing drawn.

An emission is the distribution of a step in each of K states, batch shape (K,), event shape (D,); or (*batch, T, K), where steps differ.
One that depends on the steps before, or is made of such, has `log_steps`, `follow` and `lags` of its own.
"""

from pyro.distributions import TorchDistribution
from torch import Tensor


def log_steps(emission: TorchDistribution, value: Tensor) -> Tensor:
    """(*batch, T, K) the log density of each step of series (*batch, T, D) in each state; `NaN` is passed over."""
    return emission.log_steps(value) if hasattr(emission, "log_steps") else emission.log_prob(value[..., None, :])


def follow(emission: TorchDistribution, states: Tensor, value: Tensor | None = None) -> Tensor:
    """Series (*batch, T, D), what is `NaN` in `value` drawn given the states (*batch, T) and what is seen of the step; without it all."""
    if hasattr(emission, "follow"):
        return emission.follow(states, value)
    each = emission.expand(states.shape + emission.batch_shape[-1:])
    filled = each.sample() if value is None else each.fill(value[..., None, :].expand(each.batch_shape + value.shape[-1:]))
    return filled.take_along_dim(states[..., None, None], -2)[..., 0, :]
