"""Hidden Markov model."""

import math
from typing import Annotated, Any, Literal

import pyro
import pyro.distributions as dist
import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from pyro.nn import PyroParam
from torch import Tensor
from torch.distributions import constraints

from inference import Permutation
from inference.covariates import Covariates, how_many, named, split
from inference.missing import observed

from .by_column import by_column
from .distributions.given import with_given
from .series.clusters import clusters, stochastic_em
from .series.effects import EmissionEffects, TransitionEffects
from .series.emissions import Family, log, make
from .series.hidden_markov import HiddenMarkov, stationary
from .series.switching import SwitchingPair


class HiddenMarkovModel(SwitchingPair):
    """Series whose law at each step depends on a state that changes from step to step, and is not seen.

    | symbol     | distribution                              | shape     | meaning                                              |
    |------------|-------------------------------------------|-----------|------------------------------------------------------|
    | transition | rows: Dirichlet(concentration + stickiness e_k) | (K, K) | probability of each state (column) after each (row) |
    | initial    | Dirichlet(1, ..., 1), or as `initial` says | (K,)     | probability of each state at the first step          |
    | locs, ...  | the family's: see `zoo/series/emissions` | (K, D)    | what a state shows                                   |
    | transition_effects | Normal(0, effect_scale / spread_c), adding up to zero | (K, C, K) | of covariates on the logits of a transition |
    | effects    | Normal(0, effect_scale spread_d / spread_c) | (K, D, C) | of covariates on what a state shows                |
    | z          | Markov chain, summed out                  | (N, T)    | state at each step                                   |
    | x          | emission[z]                               | (N, T, D) | the series; `NaN` is integrated out                  |
    | stationary | derived                                   | (K,)      | share of the steps spent in each state, in the long run |
    | log_dwell  | derived; if K > 1                         | (K,)      | log of the steps that a visit to each state takes, on average |

    A row is a series: x is (series, time) or (series, time, columns). One series of T numbers is of shape (1, T). A series shorter
    than the others is padded with `NaN` at its end; `NaN` elsewhere is a gap, in which the chain runs on. A DataFrame holds a step a row
    where its index has two levels, series and time, or where its covariates have names. The guide is Dirichlet for
    each row of the transition times the family's conjugate posterior given the states; it takes the states as known, more or less,
    and is too narrow where they are not. Dwell times are in logarithms because under a flat prior they have no finite mean: a state
    may never be left. Quantiles carry over: the median of the steps is the exponential of the median here.

    Of angles the draws hold `directions`, the cosine and sine of where those of a state point to, and `concentrations`. Answers are
    told on the turn that the data are told on (`turn`).

    With covariates, the last C columns of a step, which are given and not modelled, this is an input-output hidden Markov model, or a
    switching regression (`zoo/series/effects.py`). An effect is that of one unit of a covariate, and what is said of transitions and
    emissions holds where covariates are at their means. They may be missing past the end of a series only.

    Reference: Zucchini & MacDonald 2009, "Hidden Markov models for time series", Chapman & Hall; Rabiner 1989, Proc. IEEE 77; Bengio &
    Frasconi 1995, "An input output HMM architecture", NeurIPS 7.

    Limits:
        - How long a visit lasts is geometric: likeliest one step, whatever its mean. For visits of a typical length take `hsmm`.
        - The number of states is not inferred: fit several, and hold them side by side by `inference.compare`.
        - Steps are equally spaced: where times are irregular, put them on a grid with `NaN` in between.
        - Columns are independent given the state, but for `mixture`, and `gaussian` with a `full` or
          `tied` covariance.
        - On `earthquakes` (three states, poisson) the guide's sds of rates came to 0.65 to 0.75 of those of NUTS, which the
          report names for some seeds only.

    Arguments:
        states: K, how many states.
        dim: D, how many columns a step has. Read off the data.
        emission: what a state shows: `gaussian`, `student`, `mixture` (of normal laws), `von_mises` (angles in radians), `poisson`,
            `negative_binomial`, `exponential`, `gamma`, `categorical` (codes 0, 1, ...), `bernoulli`, or `autoregressive` (numbers, by
            a regression on the steps before); one for all columns, or one for each.
        initial: `free` (to be learnt), `stationary` (that of the chain), `uniform`, or K probabilities.
        concentration: of the Dirichlet prior on each row of the transition.
        stickiness: added to the concentration on the diagonal: the prior's preference for staying.
        covariates: C, how many of a step's last columns are given, or their names.
        act_on: what covariates act on: `transition`, `emission` (none that is categorical, von_mises or autoregressive), or `both`.
        effect_scale: prior scale of the effect of one spread of a covariate, in units of the columns' spreads, or on logits and logarithms.
        center: prior mean of the states' locations or means, one number or one a column, covariates too. Read off the data: the
            columns' means.
        spread: gaussian, student, mixture, autoregressive, covariates: scale of the data, one number or one a column. Read off the
            data: the columns' standard deviations.
        covariance: gaussian: `full`, `diag`, `spherical` or `tied` (one for all states).
        state_scale: gaussian, student, mixture: prior scale of a state, or component, as a fraction of `spread`; by default K^(-1/D), or
            (K M)^(-1/D).
        shrinkage: gaussian, student, mixture, autoregressive: how many steps the prior's opinion on a location is worth.
        shape: counts and positive numbers: of the Gamma prior on rates or means, which for rates has the mean `center`; above 1 it
            keeps off zero.
        categories: categorical: V, how many, one number or one a column. Read off the data: the largest code and one more.
        smoothing: categorical, bernoulli, mixture: of the Dirichlet or Beta prior on each state's probabilities, or components' weights.
        lags: autoregressive: P, how many steps before count. These columns may have no gaps, only an end.
        lag_scale: autoregressive: prior scale of a coefficient, in units of the columns' spreads.
        components: mixture: M, of how many normal laws each state mixes.
        sharpness: von_mises: prior scale of a concentration, of which the median is 1.7 times as large.
        turn: von_mises: where a turn begins, from which angles are told, in radians. Read off the data: 0 where none is below, else -pi.
    """

    def __init__(
        self,
        states: PositiveInt = 2,
        dim: PositiveInt = 1,
        *,
        emission: Family | list[Family] = "gaussian",
        initial: Literal["free", "stationary", "uniform"] | list[NonNegativeFloat] = "free",
        concentration: PositiveFloat = 1.0,
        stickiness: NonNegativeFloat = 0.0,
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
        covariates: Covariates = 0,
        act_on: Literal["transition", "emission", "both"] = "both",
        effect_scale: PositiveFloat = 1.0,
    ) -> None:
        self.states, self.dim, self.initial, self.covariates = states, dim, initial, how_many(covariates)
        columns = dim + self.covariates
        center, spread = by_column("center", center, columns), by_column("spread", spread, columns)
        options = {"covariance": covariance, "state_scale": state_scale, "shrinkage": shrinkage}
        options |= {"shape": shape, "categories": by_column("categories", categories, dim).tolist(), "smoothing": smoothing}
        options |= {"lags": lags, "lag_scale": lag_scale, "components": components, "sharpness": sharpness, "turn": turn}
        self.emission = make(emission, states, center[:dim], spread[:dim], options)
        self.register_buffer("means", center[dim:] if self.covariates else None)
        self._take_covariates(act_on, spread, effect_scale)
        self.register_buffer("concentration", concentration + stickiness * torch.eye(states))
        self.q_transition = PyroParam(self.concentration.clone(), constraints.positive)
        self.register_buffer("first", _initial(initial, states))
        if initial == "free":
            self.q_initial = PyroParam(self.first.clone(), constraints.positive)

    def _take_covariates(self, act_on: str, spread: Tensor, scale: float) -> None:
        """What covariates act on, if there are any. Raises ValueError where they cannot."""
        self.on_transition = self.on_emission = None
        spread, spreads = spread.split((self.dim, self.covariates))
        if self.covariates and self.states > 1 and act_on != "emission":
            self.on_transition = TransitionEffects(self.states, spreads, scale)
        if self.covariates and act_on != "transition":
            if self.emission.moved is None:
                raise ValueError(
                    f"emission={self.hyperparameters['emission']!r}: covariates cannot move categories, angles or an autoregression; "
                    "say act_on='transition'"
                )
            self.on_emission = EmissionEffects(self.states, self.emission.unit_of(spread), spreads, scale)

    def model(self, x: Tensor, size: int | None = None) -> None:
        transition = pyro.sample("transition", dist.Dirichlet(self.concentration).to_event(1))
        long_run = pyro.deterministic("stationary", stationary(transition), event_dim=1)
        if self.states > 1:
            leaving = (transition - transition.diag().diag()).sum(-1)
            pyro.deterministic("log_dwell", -log(leaving), event_dim=1)
        initial = long_run if self.initial == "stationary" else self.first
        if self.initial == "free":
            initial = pyro.sample("initial", dist.Dirichlet(self.first))
        moves, emission, (_, given) = log(transition), self.emission.model(), self._parted(x)
        if self.on_transition:
            moves = self.on_transition.model(moves, given)
        if self.on_emission:
            emission = self.emission.moved(emission, self.on_emission.model(given))
        with self.rows(x, size):
            chain = HiddenMarkov(log(initial), moves, emission, x.shape[1])
            pyro.sample("x", with_given(chain, split(self, x)[1]), obs=self._whole(x))

    def guide(self, x: Tensor, size: int | None = None) -> None:
        pyro.sample("transition", dist.Dirichlet(self.q_transition).to_event(1))
        if self.initial == "free":
            pyro.sample("initial", dist.Dirichlet(self.q_initial))
        self.emission.guide()
        for effects in filter(None, (self.on_transition, self.on_emission)):
            effects.guide()

    def _parted(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The series (N, T, D), and their covariates (N, T, C) less their means."""
        own, given = split(self, x)
        return own.reshape(*x.shape[:2], self.dim), observed(given - self.means)[0] if self.covariates else given

    def _whole(self, x: Tensor) -> Tensor:
        return x.reshape(*x.shape[:2], self.dim + self.covariates)

    def start(self, x: Tensor) -> None:
        """Clusters of steps, then rounds of smoothing under a draw from the guide and refitting the guide (stochastic EM).

        Before there are clusters, covariates are taken to do the same in all states.
        """
        series, given = self._parted(x)
        seen = (~series.isnan()).any(-1)
        level = self._unmoved(series, given, series.new_full((*series.shape[:2], self.states), 1 / self.states))
        self._refit(series, given, *clusters(level, self.emission.features(level[seen]), self.states, self.emission.parts))

        def refit(chain: HiddenMarkov) -> None:
            member, moves = chain.smoothed(self._whole(x))
            self._refit(series, given, member, moves.sum(0))

        stochastic_em(self, x, refit)

    def _refit(self, series: Tensor, given: Tensor, member: Tensor, moves: Tensor) -> None:
        """The guide as the posterior given the states' probabilities at each step (N, T, K) and the expected transitions (K, K)."""
        self.q_transition = self.concentration + moves
        if self.initial == "free":
            self.q_initial = self.first + member[:, 0].sum(0)
        self.emission.refit(self._unmoved(series, given, member), member)

    def _unmoved(self, series: Tensor, given: Tensor, member: Tensor) -> Tensor:
        """The series as they would be without what covariates do to them, which the guide is told."""
        return self.on_emission.refit(self.emission, series, given, member) if self.on_emission else series

    @property
    def symmetries(self) -> tuple[Permutation, ...]:
        if isinstance(self.initial, list) and len(set(self.initial)) > 1:
            return ()
        own = {"transition": (0, 1), "initial": 0, "stationary": 0, "log_dwell": 0, "transition_effects": (0, 2)}
        return (self.renumbered(own, self.on_emission.sites if self.on_emission else ()),)

    @property
    def dims(self) -> dict[str, tuple[str, ...]]:
        own = {"transition": ("state", "next"), "initial": ("state",), "stationary": ("state",), "log_dwell": ("state",), "z": ("state",)}
        return {**own, **self.emission.dims, **TransitionEffects.dims, **EmissionEffects.dims}

    def coords(self, columns: list[str]) -> dict[str, list[Any]]:
        return {**super().coords(columns), "covariate": named(self.hyperparameters["covariates"]) or list(range(self.covariates))}


def _initial(initial: str | list[float], states: int) -> Tensor:
    """(K,) the probabilities at the first step, or the concentration of their prior if they are free."""
    if not isinstance(initial, list):
        return torch.full((states,), 1.0 if initial == "free" else 1 / states)
    if len(initial) != states or abs(sum(initial) - 1) > 1e-6:
        raise ValueError(f"initial={initial} must be {states} probabilities that add up to one, or 'free', 'stationary' or 'uniform'")
    return torch.tensor(initial)
