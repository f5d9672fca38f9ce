"""Hidden semi-Markov model."""

import math
from typing import Annotated, Any, Literal

import pyro
import pyro.distributions as dist
import torch
from pydantic import Field, PositiveFloat, PositiveInt
from pyro.nn import PyroParam
from torch import Tensor
from torch.distributions import constraints

from inference import Permutation

from .by_column import by_column
from .distributions.off_diagonal import off_diagonal
from .series.clusters import clusters, stochastic_em
from .series.durations import CategoricalDurations, NegativeBinomialDurations, PoissonDurations
from .series.emissions import Family, log, make
from .series.semi_markov import SemiMarkov
from .series.switching import SwitchingPair


class HiddenSemiMarkovModel(SwitchingPair):
    """Series that visit one state after the other, each for a number of steps that has a law of its own, and are not told which.

    | symbol     | distribution                                | shape     | meaning                                         |
    |------------|---------------------------------------------|-----------|-------------------------------------------------|
    | initial    | Dirichlet(1, ..., 1)                        | (K,)      | probability of each state at the first step     |
    | transition | rows: Dirichlet(concentration), zero on the diagonal | (K, K) | of each state (column) after a visit to each |
    | stays, ... | the family's: see `zoo/series/durations.py` | (K,)      | how many steps a visit takes                    |
    | locs, ...  | the family's: see `zoo/series/emissions`    | (K, D)    | what a state shows                              |
    | z          | visits, summed out                          | (N, T)    | state at each step                              |
    | x          | emission[z]                                 | (N, T, D) | the series; `NaN` is integrated out             |
    | log_dwell  | derived                                     | (K,)      | log of the steps that a visit takes, on average |

    A row is a series: x is (series, time) or (series, time, columns), short ones padded with `NaN`; `NaN` elsewhere is a gap, in which
    visits run on. A series begins with a visit, and may end in the midst of one. Of two states each follows the other, and no
    transition is drawn. A hidden Markov model leaves a state with the same probability at any step; here a visit may be sure to last.
    The guide is as that of `hmm`: Dirichlet for rows of the transition, times the families' posteriors given the states; too narrow
    where states are in doubt.

    Reference: Yu 2010, "Hidden semi-Markov models", Artificial Intelligence 174; Rabiner 1989, Proc. IEEE 77, section IV.D.

    Limits:
        - No visit lasts longer than `longest`: one that does is cut up, with a visit to another state in between. Two visits of 120 steps
          were told as ten with `longest=50`, and as two with 150.
        - A step of a fit costs more time and memory the greater `longest` is: on `earthquakes` 3.4 ms at 10, 6.8 ms at 400.
        - There are no covariates, and the number of states is not inferred.
        - One series has few visits to learn the law of their length by. On `earthquakes` (three states, poisson) the guide's sds of rates
          came to 0.65 to 0.8 of those of NUTS, and no finding named it.

    Arguments:
        states: K, how many states.
        dim: D, how many columns a step has. Read off the data.
        emission: what a state shows, as in `hmm`; one for all columns, or one for each.
        duration: of a visit: `poisson`, `negative_binomial`, or `categorical`, which has any shape, each for one step and more.
        longest: how many steps a visit may take at most. A step costs time in proportion.
        stay: poisson, negative binomial: prior mean of the steps of a visit after the first.
        stay_shape: of the Gamma prior on that number; above 1 it keeps off zero.
        concentration: of the Dirichlet prior on each row of the transition.
        center: prior mean of the states' locations or means, one number or one a column. Read off the data: the columns' means.
        spread: gaussian, student, mixture, autoregressive: scale of the data, one number or one a column. Read off the data: the columns'
            standard deviations.
        covariance: gaussian: `full`, `diag`, `spherical` or `tied` (one for all states).
        state_scale: gaussian, student, mixture: prior scale of a state, or component, as a fraction of `spread`; by default K^(-1/D), or
            (K M)^(-1/D).
        shrinkage: gaussian, student, mixture, autoregressive: how many steps the prior's opinion on a location is worth.
        shape: counts and positive numbers: of the Gamma prior on rates or means, which for rates has the mean `center`.
        categories: categorical: V, how many, one number or one a column. Read off the data: the largest code and one more.
        smoothing: categorical, bernoulli, mixture, categorical durations: of the Dirichlet or Beta prior on each state's probabilities.
        lags: autoregressive: P, how many steps before count. These columns may have no gaps, only an end.
        lag_scale: autoregressive: prior scale of a coefficient, in units of the columns' spreads.
        components: mixture: M, of how many normal laws each state mixes.
        sharpness: von_mises: prior scale of a concentration, of which the median is 1.7 times as large.
        turn: von_mises: where a turn begins, from which angles are told, in radians. Read off the data: 0 where none is below, else -pi.
    """

    def __init__(
        self,
        states: Annotated[int, Field(ge=2)] = 2,
        dim: PositiveInt = 1,
        *,
        emission: Family | list[Family] = "gaussian",
        duration: Literal["poisson", "negative_binomial", "categorical"] = "negative_binomial",
        longest: Annotated[int, Field(ge=2)] = 50,
        stay: PositiveFloat = 10.0,
        stay_shape: PositiveFloat = 2.0,
        concentration: PositiveFloat = 1.0,
        center: float | list[float] = 0.0,
        spread: PositiveFloat | Annotated[list[PositiveFloat], Field(min_length=1)] = 1.0,
        covariance: Literal["full", "diag", "spherical", "tied"] = "full",
        state_scale: PositiveFloat | None = None,
        shrinkage: PositiveFloat = 0.01,
        shape: PositiveFloat = 2.0,
        categories: PositiveInt | Annotated[list[PositiveInt], Field(min_length=1)] = 2,
        smoothing: PositiveFloat = 1.0,
        lags: PositiveInt = 1,
        lag_scale: PositiveFloat = 0.5,
        components: PositiveInt = 2,
        sharpness: PositiveFloat = 2.0,
        turn: float = -math.pi,
    ) -> None:
        self.states, self.dim, self.longest = states, dim, longest
        center, spread = by_column("center", center, dim), by_column("spread", spread, dim)
        options = {"covariance": covariance, "state_scale": state_scale, "shrinkage": shrinkage}
        options |= {"shape": shape, "categories": by_column("categories", categories, dim).tolist(), "smoothing": smoothing}
        options |= {"lags": lags, "lag_scale": lag_scale, "components": components, "sharpness": sharpness, "turn": turn}
        self.emission = make(emission, states, center, spread, options)
        if duration == "categorical":
            self.durations = CategoricalDurations(states, longest, smoothing)
        else:
            families = {"poisson": PoissonDurations, "negative_binomial": NegativeBinomialDurations}
            self.durations = families[duration](states, longest, stay, stay_shape)
        self.register_buffer("first", torch.ones(states))
        self.register_buffer("concentration", torch.full((states, states - 1), concentration))
        self.q_initial = PyroParam(self.first.clone(), constraints.positive)
        if states > 2:
            self.q_transition = PyroParam(self.concentration.clone(), constraints.positive)

    def model(self, x: Tensor, size: int | None = None) -> None:
        initial = pyro.sample("initial", dist.Dirichlet(self.first))
        here = torch.eye(self.states, dtype=torch.bool, device=initial.device)
        # Of two states, each is always followed by the other.
        transition = pyro.sample("transition", off_diagonal(self.concentration)) if self.states > 2 else (~here).to(initial)
        durations = self.durations.model()
        steps = torch.arange(1, self.longest + 1, dtype=durations.dtype, device=durations.device)
        pyro.deterministic("log_dwell", (durations + steps.log()).logsumexp(-1), event_dim=1)
        emission = self.emission.model()
        with self.rows(x, size):
            moves = torch.where(here, -torch.inf, log(transition))
            series = SemiMarkov(log(initial), moves, durations, emission, x.shape[1])
            pyro.sample("x", series, obs=x.reshape(*x.shape[:2], self.dim))

    def guide(self, x: Tensor, size: int | None = None) -> None:
        pyro.sample("initial", dist.Dirichlet(self.q_initial))
        if self.states > 2:
            pyro.sample("transition", off_diagonal(self.q_transition))
        self.durations.guide()
        self.emission.guide()

    def start(self, x: Tensor) -> None:
        """Clusters of steps, then rounds of smoothing under a draw from the guide and refitting the guide (stochastic EM)."""
        series = x.reshape(*x.shape[:2], self.dim)
        seen = (~series.isnan()).any(-1)
        found = clusters(series, self.emission.features(series[seen]), self.states, self.emission.parts)
        self._refit(series, found.member, found.moves, self.first.new_zeros(self.states, self.longest))

        def refit(chain: SemiMarkov) -> None:
            member, moves, visits = chain.smoothed(series)
            self._refit(series, member, moves.sum(0), visits.sum(0))

        stochastic_em(self, x, refit)

    def _refit(self, series: Tensor, member: Tensor, moves: Tensor, visits: Tensor) -> None:
        """The guide as the posterior given the states' probabilities at each step (N, T, K), and the expected moves (K, K) and visits by
        duration (K, D)."""
        self.q_initial = self.first + member[:, 0].sum(0)
        if self.states > 2:
            self.q_transition = self.concentration + moves[..., :-1].tril(-1) + moves[..., 1:].triu()
        self.durations.start(visits)
        self.emission.refit(series, member)

    @property
    def symmetries(self) -> tuple[Permutation, ...]:
        own = {"transition": (0, 1), "initial": 0, "log_dwell": 0, **dict.fromkeys(self.durations.sites, 0)}
        return (self.renumbered(own),)

    @property
    def dims(self) -> dict[str, tuple[str, ...]]:
        own = {"transition": ("state", "next"), "initial": ("state",), "log_dwell": ("state",), "z": ("state",)}
        return {**own, **self.durations.dims, **self.emission.dims}

    def coords(self, columns: list[str]) -> dict[str, list[Any]]:
        return {"steps": list(range(1, self.longest + 1)), **super().coords(columns)}
