"""Paths of hidden numbers that move by any law, and series that show them: what a deep Markov model draws."""

from collections.abc import Callable

import torch
from pyro.distributions import Normal, TorchDistribution
from torch import Tensor
from torch.distributions import constraints

Step = Callable[[Tensor], Normal]
Show = Callable[[Tensor], TorchDistribution]


def going_on(x: Tensor) -> Tensor:
    """(*batch, T) whether series x (*batch, T, D) have not ended: anything is seen of the step, or of one after it."""
    seen = (~x.isnan()).any(-1)
    return seen.flip(-1).cumsum(-1).flip(-1) > 0


class HiddenPath(TorchDistribution):
    """Paths z of T steps: z_1 ~ first, z_t ~ step(z_t-1). Where a series has ended, z_t is standard normal, and tells nothing.

    A path that is known is scored at once; one that is not is drawn step by step.

    Arguments: first: Normal of batch shape (K,). step: from states (..., K) to the Normal of the next. going_on: (*batch, T), whether a
    series has not ended.
    """

    arg_constraints: dict[str, constraints.Constraint] = {}
    support = constraints.independent(constraints.real, 2)

    def __init__(self, first: Normal, step: Step, going_on: Tensor) -> None:
        self.first, self.step, self.going_on = first, step, going_on
        super().__init__(going_on.shape[:-1], torch.Size((going_on.shape[-1], *first.batch_shape)), validate_args=False)

    def expand(self, batch_shape: torch.Size, _instance: object = None) -> "HiddenPath":
        return HiddenPath(self.first, self.step, self.going_on.expand(torch.Size(batch_shape) + self.going_on.shape[-1:]))

    def sample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:
        with torch.no_grad():
            shape = self._extended_shape(sample_shape)
            first = self.first.expand(shape[:-2] + shape[-1:]).sample()
            path = torch.stack([first, *continued(self.step, first, shape[-2] - 1)], -2)
            return torch.where(self.going_on[..., None], path, torch.randn_like(path))

    def log_prob(self, value: Tensor) -> Tensor:
        first, others = value.split([1, value.shape[-2] - 1], -2)
        moves = self.step(value[..., :-1, :])
        steps = torch.cat([self.first.log_prob(first), moves.log_prob(others)], -2)
        none = Normal(torch.zeros_like(value), 1.0, validate_args=False).log_prob(value)
        return torch.where(self.going_on[..., None], steps, none).sum((-2, -1))


class Shown(TorchDistribution):
    """Series that show the states z they go through, each step its own: x_t ~ show(z_t); `NaN` is integrated out.

    Arguments: states: (*batch, T, K). step: as `HiddenPath` has it. show: from states (..., K) to the law of a step, event shape (D,),
    which skips what is `NaN` (`distributions/columns.py`).
    """

    arg_constraints: dict[str, constraints.Constraint] = {}

    def __init__(self, states: Tensor, step: Step, show: Show) -> None:
        self.states, self.step, self.show, self.steps = states, step, show, show(states)
        batch = self.steps.batch_shape
        super().__init__(batch[:-1], batch[-1:] + self.steps.event_shape, validate_args=False)

    def expand(self, batch_shape: torch.Size, _instance: object = None) -> "Shown":
        return Shown(self.states.expand(torch.Size(batch_shape) + self.states.shape[-2:]), self.step, self.show)

    @property
    def support(self) -> constraints.Constraint:
        return constraints.independent(self.steps.support, 1)

    @property
    def mean(self) -> Tensor:
        return self.steps.mean

    @property
    def variance(self) -> Tensor:
        return self.steps.variance

    def sample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:
        return self.steps.sample(sample_shape)

    def log_prob(self, value: Tensor) -> Tensor:
        return self.steps.log_prob(value).sum(-1)

    def fill(self, value: Tensor) -> Tensor:
        """`value` (*batch, T, D) with a draw of what is missing, given the states."""
        return self.steps.fill(value)

    def paths(self, value: Tensor) -> Tensor:
        """(*batch, T, K) the states."""
        return self.states

    def forecast(self, value: Tensor, steps: int) -> tuple[Tensor, Tensor]:
        """A draw of the states (*batch, steps, K) and values (*batch, steps, D) that follow the last step of which anything was seen."""
        last = (going_on(value).sum(-1) - 1).clamp(min=0)[..., None, None]
        states = torch.stack(continued(self.step, self.states.take_along_dim(last, -2).squeeze(-2), steps), -2)
        return states, self.show(states).sample()


def continued(step: Step, states: Tensor, steps: int) -> list[Tensor]:
    """The next `steps` states, (..., K) each, drawn one after the other."""
    found: list[Tensor] = []
    for _ in range(steps):
        states = step(states).sample()
        found.append(states)
    return found
