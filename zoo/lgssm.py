"""Linear Gaussian state space model."""

from typing import Annotated, Any

import pyro
import pyro.distributions as dist
import torch
from pydantic import Field, PositiveFloat, PositiveInt
from pyro import poutine
from pyro.nn import PyroParam
from torch import Tensor
from torch.distributions import constraints
from torch.distributions.transforms import ReshapeTransform

from inference import SignedPermutation
from inference.supports import cholesky

from .by_column import by_column
from .distributions.low_rank import LowRankGaussian
from .series import pictures
from .series.numbers import NumbersPair
from .series.state_space import StateSpace

ITERATIONS = 100


class LinearGaussianStateSpace(NumbersPair):
    """Series moved by a few numbers that change gradually from step to step, and are not seen.

    | symbol      | distribution                                     | shape     | meaning                                            |
    |-------------|--------------------------------------------------|-----------|----------------------------------------------------|
    | loc         | Normal(center, loc_scale * spread)               | (D,)      | mean of the series                                 |
    | loadings    | Normal(0, loading_scale * spread_d)              | (D, K)    | what a state adds to each column                   |
    | persistence | Uniform(-1, 1)                                   | (K,)      | correlation of each state with itself a step later |
    | noise       | HalfCauchy(noise_scale * spread)                 | (D,)      | standard deviation of what the states leave        |
    | z_1         | Normal(0, 1), integrated out                     | (N, K)    | the states at the first step                       |
    | z_t         | Normal(persistence z_t-1, (1 - persistence^2)^(1/2)), integrated out | (N, T, K) | the states at the others     |
    | x           | Normal(loc + loadings z, noise)                  | (N, T, D) | the series; `NaN` is integrated out                |

    A row is a series: x is (series, time) or (series, time, columns), short ones padded with `NaN`; `NaN` elsewhere is a gap, in which
    the states run on. It is factor analysis whose factors last: with no persistence, the same. The states' units are those in which
    each is standard normal at any step, and their axes those along which they move independently of each other; these may be numbered
    in any order, and point either way. States of equal persistence could be rotated among each other and are told apart by their prior
    only. A real axis decays, or alternates; it does not oscillate with another period than two. A random walk is the limit of a
    persistence of one, with loadings that grow.

    The guide is Beta on (-1, 1) for the persistence and, given it, Normal for what a step changes in all columns, which tells the
    loadings; log-normal for the noise; and, given these, Normal for the location with the covariance of the mean of `q_count` steps of
    the series. Otherwise it knows no correlation, and is too narrow where a short series leaves open what lasts and what is noise.

    Reference: Durbin & Koopman 2012, "Time series analysis by state space methods", 2nd ed., Oxford; Stock & Watson 2011, "Dynamic
    factor models", Oxford handbook of economic forecasting.

    Limits:
        - Series are stationary: take a trend or a season off before. There are no covariates.
        - The law of the noise is Normal, and the same at all steps: a jump or an outlier moves the states.
        - One short series hardly tells what lasts from what is noise. On `earthquakes` the guide's sds of persistence and noise came to
          0.6 of those of NUTS, as the report said, and NUTS had divergences.

    Arguments:
        states: K, how many.
        dim: D, how many columns a step has. Read off the data.
        center: prior mean of the location, one number or one a column. Read off the data: the columns' means.
        spread: scale of the data, one number or one a column. Read off the data: the columns' standard deviations.
        loc_scale: prior scale of the location, in units of `spread`.
        loading_scale: prior scale of a loading, in units of `spread`.
        noise_scale: prior scale of the noise, in units of `spread`.
    """

    def __init__(
        self,
        states: PositiveInt = 1,
        dim: PositiveInt = 1,
        *,
        center: float | list[float] = 0.0,
        spread: PositiveFloat | Annotated[list[PositiveFloat], Field(min_length=1)] = 1.0,
        loc_scale: PositiveFloat = 10.0,
        loading_scale: PositiveFloat = 1.0,
        noise_scale: PositiveFloat = 1.0,
    ) -> None:
        self.states, self.dim = states, dim
        self.register_buffer("center", by_column("center", center, dim))
        self.register_buffer("spread", by_column("spread", spread, dim))
        self.register_buffer("ones", torch.ones(states))
        self.loc_scale, self.loading_scale, self.noise_scale = loc_scale, loading_scale, noise_scale
        # Locations and scales are in units of `spread`, so that a step means the same in every column.
        self.q_loc = PyroParam(torch.zeros(dim), constraints.real)
        self.q_count = PyroParam(torch.tensor(1.0), constraints.positive)
        self.q_loadings = PyroParam(0.1 * torch.ones(dim, states), constraints.real)
        self.q_loadings_tril = PyroParam(torch.eye(dim * states), cholesky)
        self.q_noise = PyroParam(torch.zeros(dim), constraints.real)
        self.q_noise_scale = PyroParam(torch.ones(dim), constraints.positive)
        self.q_lasting = PyroParam(torch.ones(states), constraints.positive)
        self.q_changing = PyroParam(torch.ones(states), constraints.positive)

    def model(self, x: Tensor, size: int | None = None) -> None:
        loc = pyro.sample("loc", dist.Normal(self.center, self.loc_scale * self.spread).to_event(1))
        scale = (self.loading_scale * self.spread)[:, None].expand(-1, self.states)
        loadings = pyro.sample("loadings", dist.Normal(0.0, scale).to_event(2))
        persistence = pyro.sample("persistence", dist.Uniform(-self.ones, self.ones).to_event(1))
        noise = pyro.sample("noise", dist.HalfCauchy(self.noise_scale * self.spread).to_event(1))
        with self.rows(x, size):
            series = StateSpace(self.ones, persistence.diag_embed(), _drift(persistence), loc, loadings, noise, x.shape[1])
            pyro.sample("x", series, obs=x.reshape(*x.shape[:2], self.dim))

    def guide(self, x: Tensor, size: int | None = None) -> None:
        persistence = pyro.sample("persistence", dist.AffineBeta(self.q_lasting, self.q_changing, -self.ones, 2 * self.ones).to_event(1))
        # The series tell what a step changes; how far that leads depends on how long it lasts.
        unit = self.spread[:, None] / _drift(persistence)
        flat = dist.MultivariateNormal((unit * self.q_loadings).flatten(), scale_tril=unit.flatten()[:, None] * self.q_loadings_tril)
        shaped = ReshapeTransform((self.dim * self.states,), (self.dim, self.states))
        loadings = pyro.sample("loadings", dist.TransformedDistribution(flat, [shaped]))
        noise = pyro.sample("noise", dist.LogNormal(self.q_noise + self.spread.log(), self.q_noise_scale).to_event(1))
        # The mean of many steps varies more, the longer its states last.
        lasting = ((1 + persistence) / (1 - persistence)).sqrt()
        root = self.q_count.sqrt()
        pyro.sample("loc", LowRankGaussian(self.center + self.spread * self.q_loc, loadings * lasting / root, noise / root))

    def start(self, x: Tensor) -> None:
        """About a mode of the posterior, found by L-BFGS from a random place, as sure as so many steps make it."""
        steps = float((~x.isnan()).reshape(*x.shape[:2], -1).any(-1).sum())
        values = self._mode(x)
        self.q_loc = (values["loc"] - self.center) / self.spread
        self.q_count = x.new_tensor(steps)
        self.q_loadings = values["loadings"] * _drift(values["persistence"]) / self.spread[:, None]
        noise = values["noise"] / self.spread
        self.q_loadings_tril = (noise / steps**0.5).clamp(min=0.02).repeat_interleave(self.states).diag()
        self.q_noise, self.q_noise_scale = noise.log(), torch.full_like(noise, (2 * steps) ** -0.5)
        self.q_lasting = (steps * (1 + values["persistence"]) / 2).clamp(min=1.0)
        self.q_changing = (steps * (1 - values["persistence"]) / 2).clamp(min=1.0)

    def _mode(self, x: Tensor) -> dict[str, Tensor]:
        """Values of the sites where the density in unconstrained space is highest."""
        like = {"dtype": x.dtype, "device": x.device}
        free = [torch.zeros(self.dim, **like), torch.randn(self.dim, self.states, **like), torch.zeros(self.dim, **like)]
        free = [f.requires_grad_() for f in (*free, torch.rand(self.states, **like))]
        optimiser = torch.optim.LBFGS(free, max_iter=ITERATIONS, line_search_fn="strong_wolfe")

        def values() -> dict[str, Tensor]:
            loc, loadings, noise, persistence = free
            unit = self.spread[:, None]
            scaled = {"loc": self.center + self.spread * loc, "loadings": unit * loadings, "noise": self.spread * (noise - 1).exp()}
            return {**scaled, "persistence": persistence.tanh()}

        def loss() -> Tensor:
            optimiser.zero_grad()
            found = values()
            log_joint = poutine.trace(poutine.condition(self.model, found)).get_trace(x).log_prob_sum()
            log_jacobian = free[2].sum() + torch.log1p(-found["persistence"].square()).sum()
            minus = -(log_joint + log_jacobian)
            minus.backward()
            return minus

        with torch.enable_grad():
            optimiser.step(loss)
        return {name: value.detach() for name, value in values().items()}

    @property
    def symmetries(self) -> tuple[SignedPermutation, ...]:
        return (SignedPermutation({"loadings": 1, "persistence": 0}, order="persistence", told_by=("loadings",)),)

    dims = {"loc": ("column",), "loadings": ("column", "state"), "persistence": ("state",), "noise": ("column",), "z": ("state",)}

    def coords(self, columns: list[str]) -> dict[str, list[Any]]:
        return {"column": columns, "state": list(range(self.states))}

    picture = staticmethod(pictures.numbers)


def _drift(persistence: Tensor) -> Tensor:
    """(K,) the standard deviation of what a step changes in states of unit variance."""
    return ((1 - persistence) * (1 + persistence)).sqrt()
