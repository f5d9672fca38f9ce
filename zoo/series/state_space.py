"""Series of a linear Gaussian state space model as a distribution: the states are integrated out exactly, and can be asked about."""

import torch
from pyro.distributions import Independent, Normal, TorchDistribution
from torch import Tensor
from torch.distributions import constraints

from . import kalman


class StateSpace(TorchDistribution):
    """Series x of T steps: z_1 ~ Normal(0, start), z_t ~ Normal(transition z_t-1, drift), x_t ~ Normal(loc + loadings z_t, noise).

    `NaN` is integrated out. A gap, and the tail of `NaN` that pads a short series, is no step less: the states run on unseen.

    Arguments:
        start, drift: (K,) standard deviations. transition: (K, K), to a state (row) from those before (column). loc: (D,).
        loadings: (D, K). noise: (D,) standard deviations. steps: T.
    """

    arg_constraints = {"loc": constraints.real_vector, "transition": constraints.independent(constraints.real, 2)}
    support = constraints.independent(constraints.real, 2)

    def __init__(
        self,
        start: Tensor,
        transition: Tensor,
        drift: Tensor,
        loc: Tensor,
        loadings: Tensor,
        noise: Tensor,
        steps: int,
        batch_shape: torch.Size = torch.Size(),
    ) -> None:
        self.start, self.transition, self.drift = start, transition, drift
        self.loc, self.loadings, self.noise, self.steps = loc, loadings, noise, steps
        super().__init__(torch.Size(batch_shape), torch.Size((steps, len(loc))), validate_args=False)

    def expand(self, batch_shape: torch.Size, _instance: object = None) -> "StateSpace":
        return StateSpace(*self._parameters, self.steps, batch_shape)

    def log_prob(self, value: Tensor) -> Tensor:
        return kalman.log_evidence(*self._terms(value))

    def sample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:
        return self._shown(self._unseen(torch.Size(sample_shape) + self.batch_shape))

    def fill(self, value: Tensor) -> Tensor:
        """`value` (*batch, T, D) with a draw of what is missing given the rest of the series."""
        return torch.where(value.isnan(), self._shown(self.paths(value)), value)

    def latents(self, value: Tensor) -> dict[str, Independent]:
        """p(z_t | x) of the states `z` (*batch, T, K), without the correlations."""
        return {"z": _normal(*kalman.smoothed(*self._terms(value)))}

    def reconstruct(self, value: Tensor) -> Tensor:
        """The series without their noise: what they would be at the mean of z given all of them."""
        return self.loc + kalman.smoothed(*self._terms(value))[0] @ self.loadings.mT

    def filter(self, value: Tensor) -> Independent:
        """p(z_t | x_1..t) of the states (*batch, T, K), without the correlations."""
        return _normal(*kalman.filtered(*self._terms(value))[:2])

    def increments(self, value: Tensor) -> Tensor:
        """log p(x_t | x_1..t-1), (*batch, T); they add up to `log_prob`."""
        return kalman.filtered(*self._terms(value))[2]

    def paths(self, value: Tensor) -> Tensor:
        """States drawn from p(z | x), (*batch, T, K).

        What a draw of states and series is off by from its own mean given the series is as what these states are off by: a mean and
        covariance that depend on nothing else (Durbin & Koopman 2002, "A simple and efficient simulation smoother", Biometrika 89).
        """
        states = self._unseen(value.shape[:-2])
        difference = value - self._shown(states)
        return states + kalman.smoothed(*self._terms(difference + self.loc))[0]

    def forecast(self, value: Tensor, steps: int) -> tuple[Tensor, Tensor]:
        """A draw of the states (*batch, steps, K) and values (*batch, steps, D) that follow the last step of which anything was seen."""
        seen = (~value.isnan()).any(-1)
        last = torch.where(seen, torch.arange(self.steps, device=value.device), 0).amax(-1)
        unseen = value.new_full((*value.shape[:-2], steps, value.shape[-1]), torch.nan)
        longer = StateSpace(*self._parameters, self.steps + steps, self.batch_shape)
        states = longer.paths(torch.cat([value, unseen], -2))
        following = last[..., None] + 1 + torch.arange(steps, device=value.device)
        states = states.take_along_dim(following[..., None], -2)
        return states, self._shown(states)

    @property
    def _parameters(self) -> tuple[Tensor, ...]:
        return self.start, self.transition, self.drift, self.loc, self.loadings, self.noise

    def _terms(self, value: Tensor) -> tuple[Tensor, ...]:
        variances = (self.start.square(), self.drift.square(), self.noise.square())
        return variances[0], self.transition, variances[1], self.loadings, variances[2], value - self.loc

    def _unseen(self, shape: torch.Size) -> Tensor:
        """(*shape, T, K) states of which nothing is seen."""
        like = {"dtype": self.loc.dtype, "device": self.loc.device}
        scale = torch.cat([self.start[None], self.drift.expand(self.steps - 1, -1)])
        return kalman.follow(self.transition, scale * torch.randn(*shape, self.steps, len(self.start), **like))

    def _shown(self, states: Tensor) -> Tensor:
        """(*batch, T, D) a draw of what states (*batch, T, K) show."""
        mean = self.loc + states @ self.loadings.mT
        return mean + self.noise * torch.randn_like(mean)


def _normal(means: Tensor, variances: Tensor) -> Independent:
    return Normal(means, variances.sqrt(), validate_args=False).to_event(2)
