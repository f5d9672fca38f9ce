"""Deep Markov model."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

import pyro
import pyro.distributions as dist
import torch
from pydantic import Field, PositiveFloat, PositiveInt
from pyro.nn import PyroParam
from torch import Tensor
from torch.distributions import constraints
from torch.nn.functional import softplus

from inference import Pair, Table, checks

from .by_column import by_column, center_and_spread
from .codes.likelihoods import Bernoulli, Gaussian
from .codes.nets import mlp, restart
from .series import checks as series_checks
from .series import pictures, quantities
from .series.gaussian_chain import GaussianChain
from .series.hidden_path import HiddenPath, Shown, going_on
from .series.nets import GatedStep, LinearStep, Reader


class DeepMarkovModel(Pair):
    """Series moved by a few numbers that are not seen and change from step to step as networks have it, which also show them.

    | symbol  | distribution                                     | shape     | meaning                                              |
    |---------|--------------------------------------------------|-----------|------------------------------------------------------|
    | decoder | its weights are learnt, as a point               |           | network from a state to a step, with layers `hidden` |
    | step    | its weights are learnt, as a point               |           | gated network from a state to the law of the next    |
    | z_1     | Normal(first_loc, first_scale), which are learnt | (N, K)    | the state at the first step                          |
    | z_t     | step(z_t-1), Normal                              | (N, T, K) | the states at the others                             |
    | x_t     | `likelihood`(decoder(z_t)), each column          | (N, T, D) | the series; `NaN` is integrated out                  |

    A row is a series: x is (series, time) or (series, time, columns), short ones padded with `NaN`; `NaN` elsewhere is a gap, in which
    the states run on. Where a series has ended its states are standard normal and mean nothing: what follows is for `forecast` to tell,
    and `impute`, whose chains know nothing of it when they set out, fills it badly. With no hidden layer this is a linear Gaussian
    state space model, `lgssm` with any matrix for a transition.

    The guide draws a path as a Gaussian chain, in axes that are learnt: how much of v_t-1 each number of v_t = axes^-1 z_t keeps, where
    it is moved and how sure it is are told, step by step, by a network that reads the series from both ends. All draws of a path are
    one linear recurrence, and its density needs none, so that no step of a fit waits for another. Where the model is linear and its
    states do not turn about each other, that is the exact posterior far from the ends; elsewhere z_t leans on z_t-1 linearly, by as
    much as the series says.

    Reference: Krishnan, Shalit & Sontag 2017, "Structured inference networks for nonlinear state space models", AAAI. Their guide is
    not linear in z_t-1.

    Limits:
        - The weights of its networks are a point: nothing tells how sure they are, and few series are soon known by heart. Hold some out
          with `validation=`.
        - The numbers of a state have neither an order nor a unit: those of two fits cannot be compared one by one, and no symmetry is
          undone.
        - The log density of a series is estimated by draws of its whole path, and needs more of them the longer it is: on JSB chorales a
          step costs 7.29 nats by single draws, 7.00 by a hundred.
        - There are no covariates, no categories and no counts.

    Arguments:
        states: K, how many numbers a state has.
        dim: D, how many columns a step has. Read off the data.
        hidden: sizes of the hidden layers from a state to what it shows, to the next, and, backwards, from what was read to the
            chain of the guide; none are linear maps.
        memory: how many numbers the guide's network remembers of what it has read, from either end.
        likelihood: "bernoulli" (between 0 and 1) or "gaussian".
        noise: standard deviation of "gaussian", learnt if it is not given.
        mask: whether the guide is told which values are missing; else they look like the column's mean. Read off the data.
        center: what the guide takes for zero, one number or one a column. Read off the data: the columns' means.
        spread: scale of the data, one number or one a column. Read off the data: the columns' standard deviations.
    """

    recipe = {"lr": 0.01, "particles": 1}
    unsuited = {"mcmc": "the weights of its networks are learnt as a point, and have no prior to draw them by; use svi"}

    def __init__(
        self,
        states: PositiveInt = 2,
        dim: PositiveInt = 1,
        *,
        hidden: list[PositiveInt] = [32],  # noqa: B006
        memory: PositiveInt = 32,
        likelihood: Literal["bernoulli", "gaussian"] = "gaussian",
        noise: PositiveFloat | None = None,
        mask: bool = False,
        center: float | list[float] = 0.0,
        spread: PositiveFloat | Annotated[list[PositiveFloat], Field(min_length=1)] = 1.0,
    ) -> None:
        self.states, self.dim, self.mask = states, dim, mask
        center, spread = by_column("center", center, dim), by_column("spread", spread, dim)
        self.likelihood = {"bernoulli": lambda: Bernoulli(center), "gaussian": lambda: Gaussian(center, spread, noise)}[likelihood]()
        self.first_loc = PyroParam(torch.zeros(states))
        self.first_scale = PyroParam(torch.ones(states), constraints.positive)
        self.step = GatedStep(states, hidden) if hidden else LinearStep(states)
        self.decoder = mlp([states, *hidden, dim])
        inputs = dim * (1 + mask)
        self.q_reader = Reader(inputs, memory)
        self.q_chain = mlp([inputs + 2 * memory, *hidden[::-1], 3 * states])
        self.q_axes = PyroParam(torch.eye(states))

    def model(self, x: Tensor, size: int | None = None) -> None:
        with self.rows(x, size):
            series = self.series(x)
            first = dist.Normal(self.first_loc, self.first_scale, validate_args=False)
            z = pyro.sample("z", HiddenPath(first, self.step, going_on(series)))
            pyro.sample("x", Shown(z, self.step, self.shown), obs=series)

    def guide(self, x: Tensor, size: int | None = None) -> None:
        with self.rows(x, size):
            seen, on = self.seen(x), going_on(self.series(x))
            gates, shifts, scales = self.q_chain(torch.cat([seen, self.q_reader(seen, on)], -1)).chunk(3, -1)
            pyro.sample("z", GaussianChain(gates.tanh(), shifts, softplus(scales), self.q_axes, on))

    def series(self, x: Tensor) -> Tensor:
        """(N, T, D)."""
        return x.reshape(*x.shape[:2], self.dim)

    def shown(self, states: Tensor) -> dist.TorchDistribution:
        """The law of steps given their states (..., K)."""
        return self.likelihood.rows(self.decoder(states))

    def seen(self, x: Tensor) -> Tensor:
        """(N, T, numbers) what the guide sees of each step."""
        x = self.series(x)
        seen = self.likelihood.features(x)
        return torch.cat([seen, x.isnan().to(x.dtype)], -1) if self.mask else seen

    def start(self, x: Tensor) -> None:
        """Weights drawn anew; in torch's way, uniform within one over the root of a layer's inputs."""
        self.step.start()
        for net in (self.decoder, self.q_reader, self.q_chain):
            restart(net)
        self.first_loc, self.first_scale = torch.zeros_like(self.first_loc), torch.ones_like(self.first_scale)
        self.q_axes = torch.eye(self.states).to(self.q_axes)

    @classmethod
    def read(cls, table: Table) -> dict[str, Any]:
        # What `check` refuses must not stop us here.
        x = table.x.reshape(*table.x.shape[:2], -1) if table.x.dim() > 1 else table.x[:, None, None]
        return {"dim": x.shape[2], "mask": bool((x.isnan() & going_on(x)[..., None]).any()), **center_and_spread(x.flatten(0, 1))}

    def check(self, table: Table, fitting: bool) -> None:
        series_checks.series(table, self.dim)
        series_checks.ordered(table)
        series_checks.allowed(table, self.likelihood.wrong(self.series(table.x)))
        if fitting:
            series_checks.long_enough(table, self.states)
            checks.no_empty_rows(table)
            series_checks.varied(table, [self._numbers] * self.dim)

    @property
    def _numbers(self) -> bool:
        return self.hyperparameters["likelihood"] == "gaussian"

    @property
    def quantities(self) -> dict[str, Callable[[Tensor], Tensor]]:
        return quantities.of_columns(["numbers" if self._numbers else "labels"] * self.dim)

    dims = {"z": ("state",)}
    any_length = True

    def coords(self, columns: list[str]) -> dict[str, list[Any]]:
        return {"state": list(range(self.states))}

    picture = staticmethod(pictures.numbers)
