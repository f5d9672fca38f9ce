"""What a state shows at a step, given the steps before: a distribution of series given the states they go through."""

import torch
from pyro.distributions import Normal, TorchDistribution
from torch import Tensor
from torch.distributions import constraints
from torch.library import custom_op

from inference.missing import observed

from ..batched import batched
from ..distributions.columns import Columns
from .over_series import flat, over_series, together


class Autoregressive(TorchDistribution):
    """Steps x_t ~ Normal(loc + coefficients (x_t-1 - center, ..., x_t-P - center), scale) of each of K states.

    What was before the first step is taken for `center`. After a step of which something is missing all of it must be: no density is
    known in closed form of what follows a gap.

    Arguments: locs, scales: (K, D). coefficients: (K, D, P D), those of the step before first. center: (D,).
    """

    support = constraints.real_vector
    arg_constraints: dict[str, constraints.Constraint] = {}

    def __init__(self, locs: Tensor, coefficients: Tensor, scales: Tensor, center: Tensor) -> None:
        self.locs, self.coefficients, self.scales, self.center = locs, coefficients, scales, center
        super().__init__(locs.shape[:1], locs.shape[1:], validate_args=False)

    @property
    def lags(self) -> int:
        """P, how many steps before count."""
        return self.coefficients.shape[-1] // self.coefficients.shape[-2]

    def log_steps(self, value: Tensor) -> Tensor:
        """(*batch, T, K) the log density of each step of series (*batch, T, D) in each state, given the steps before."""
        effects = torch.einsum("...tp,kdp->...tkd", lagged(observed(value - self.center)[0], self.lags), self.coefficients)
        return Columns(Normal(self.locs + effects, self.scales)).log_prob(value[..., None, :].expand(effects.shape))

    def follow(self, states: Tensor, value: Tensor | None = None) -> Tensor:
        """Series (*batch, T, D), what is `NaN` in them, or all, drawn given the states (*batch, T) and all before."""
        own = self.locs[states] - self.center
        shocks = own + self.scales[states] * torch.randn_like(own)
        value = torch.full_like(own, torch.nan) if value is None else value - self.center
        return self.center + _follow(*together((1, 2, 3, 2), states, shocks, self.coefficients, value))


def lagged(value: Tensor, lags: int) -> Tensor:
    """(*batch, T, P D) the P steps before each step of series (*batch, T, D), the nearest first; zero before the first step."""
    steps = value.shape[-2]
    before = torch.nn.functional.pad(value, (0, 0, lags, 0))
    return torch.cat([before[..., lags - lag : lags - lag + steps, :] for lag in range(1, lags + 1)], -1)


@custom_op("zoo::autoregressive_follow", mutates_args=())
def _follow(states: Tensor, shocks: Tensor, coefficients: Tensor, value: Tensor) -> Tensor:
    from . import autoregressive_kernels as kernels

    found = flat(value, 2).cpu().double().clone()
    given = (flat(states, 1).cpu(), flat(shocks, 2).cpu().double(), flat(coefficients, 3).cpu().double())
    over_series(kernels.follow, len(found), found.numel() * coefficients.shape[-1], *given, found)
    return found.reshape(value.shape).to(value)


batched(_follow)
