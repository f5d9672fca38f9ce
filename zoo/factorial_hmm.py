"""Factorial hidden Markov model."""

from typing import Annotated, Any, Literal

import pyro
import pyro.distributions as dist
import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from pyro.nn import PyroParam
from torch import Tensor
from torch.distributions import constraints, transforms

from inference import NestedPermutation
from inference.missing import observed
from inference.supports import cholesky

from .by_column import by_column
from .distributions.columns import Columns
from .distributions.zero_sum import FreeToZeroSum, axes, zero_sum_normal
from .series import pictures
from .series.clusters import clusters, stochastic_em
from .series.emissions import log
from .series.factorial import FactorialHiddenMarkov, product_states, sums
from .series.hidden_markov import stationary
from .series.numbers import NumbersPair

MOST = 1024


class FactorialHiddenMarkovModel(NumbersPair):
    """Series to which several hidden chains, each in one of a few states that change from step to step, add their parts.

    | symbol        | distribution                                        | shape     | meaning                               |
    |---------------|-----------------------------------------------------|-----------|---------------------------------------|
    | transition    | rows: Dirichlet(concentration + stickiness e_k)     | (M, K, K) | of each state (column) after each (row) of a chain |
    | initial       | Dirichlet(1, ..., 1), or as `initial` says          | (M, K)    | of each state of a chain at the first step |
    | loc           | Normal(center, loc_scale * spread)                  | (D,)      | what the chains add to                |
    | contributions | Normal(0, contribution_scale * spread_d), those of a chain adding up to zero | (D, M, K) | what a state adds |
    | noise         | HalfCauchy(noise_scale * spread)                    | (D,)      | sd of what the chains leave           |
    | z             | M independent Markov chains, summed out             | (N, T, M) | state of each chain at each step      |
    | x             | Normal(loc + sum_m contributions[:, m, z_m], noise) | (N, T, D) | the series; `NaN` is integrated out   |
    | stationary    | derived                                             | (M, K)    | share of steps in each state, in the long run |
    | log_dwell     | derived                                             | (M, K)    | log of the steps of a visit, on average |

    A row is a series: x is (series, time) or (series, time, columns), short ones padded with `NaN`; `NaN` elsewhere is a gap, in which
    the chains run on. All K^M states of the chains together are summed out exactly, at the cost of K^2M a step. A chain's contributions
    add up to zero, as a constant could be moved from one chain to another and nothing would tell.

    The chains may be numbered in any order, and the states of each. The guide is Dirichlet for each row of the transitions; log-normal
    for the noise; and, given the noise, Normal for the contributions of all chains to a column, and for its location given these: the
    posterior that they would have if the states were known. It is too narrow where they are not.

    Reference: Ghahramani & Jordan 1997, "Factorial hidden Markov models", Machine Learning 29. There states cost K^M+1 a step, and the
    noise has a full covariance.

    Limits:
        - At most 1024 states of all chains together: ten chains of two, or five of four.
        - Only numbers, with one Normal noise for each column, the same in all states: no counts, and no state that widens the noise.
        - Chains add up: what two of them do together, beyond what each does, is not seen.
        - Chains that add nearly the same are not told apart, and which is which may differ from draw to draw.
        - On `earthquakes` the guide's sds of transitions came to 0.5 to 1 of those of NUTS, and no finding named it.

    Arguments:
        chains: M, how many chains.
        states: K, how many states each of them has.
        dim: D, how many columns a step has. Read off the data.
        initial: `free` (to be learnt), `stationary` (that of the chain), or `uniform`.
        concentration: of the Dirichlet prior on each row of the transitions.
        stickiness: added to the concentration on the diagonal: the prior's preference for staying.
        center: prior mean of the location, one number or one a column. Read off the data: the columns' means.
        spread: scale of the data, one number or one a column. Read off the data: the columns' standard deviations.
        loc_scale: prior scale of the location, in units of `spread`.
        contribution_scale: prior scale of a contribution, in units of `spread`.
        noise_scale: prior scale of the noise, in units of `spread`.
    """

    def __init__(
        self,
        chains: PositiveInt = 2,
        states: Annotated[int, Field(ge=2)] = 2,
        dim: PositiveInt = 1,
        *,
        initial: Literal["free", "stationary", "uniform"] = "free",
        concentration: PositiveFloat = 1.0,
        stickiness: NonNegativeFloat = 0.0,
        center: float | list[float] = 0.0,
        spread: PositiveFloat | Annotated[list[PositiveFloat], Field(min_length=1)] = 1.0,
        loc_scale: PositiveFloat = 10.0,
        contribution_scale: PositiveFloat = 1.0,
        noise_scale: PositiveFloat = 1.0,
    ) -> None:
        if states**chains > MOST:
            raise ValueError(f"{chains} chains of {states} states have {states**chains} states together, and at most {MOST} are summed out")
        self.chains, self.states, self.dim, self.initial = chains, states, dim, initial
        self.loc_scale, self.contribution_scale, self.noise_scale = loc_scale, contribution_scale, noise_scale
        self.register_buffer("center", by_column("center", center, dim))
        self.register_buffer("spread", by_column("spread", spread, dim))
        self.register_buffer("concentration", (concentration + stickiness * torch.eye(states)).expand(chains, -1, -1).clone())
        self.register_buffer("first", torch.full((chains, states), 1.0 if initial == "free" else 1 / states))
        self.q_transition = PyroParam(self.concentration.clone(), constraints.positive)
        if initial == "free":
            self.q_initial = PyroParam(self.first.clone(), constraints.positive)
        # The contributions to a column and at last its location: the mean in units of `spread`, the covariance in those of the noise.
        count = chains * (states - 1) + 1
        self.q_parts = PyroParam(torch.zeros(dim, count), constraints.real)
        self.q_parts_tril = PyroParam(torch.eye(count), cholesky)
        self.q_noise = PyroParam(torch.zeros(dim), constraints.real)
        self.q_noise_scale = PyroParam(torch.ones(dim), constraints.positive)

    def model(self, x: Tensor, size: int | None = None) -> None:
        transition = pyro.sample("transition", dist.Dirichlet(self.concentration).to_event(2))
        long_run = pyro.deterministic("stationary", stationary(transition), event_dim=2)
        staying = transition.diagonal(dim1=-2, dim2=-1)
        pyro.deterministic("log_dwell", -log((transition - staying.diag_embed()).sum(-1)), event_dim=2)
        initial = long_run if self.initial == "stationary" else self.first
        if self.initial == "free":
            initial = pyro.sample("initial", dist.Dirichlet(self.first).to_event(1))
        loc = pyro.sample("loc", dist.Normal(self.center, self.loc_scale * self.spread).to_event(1))
        scale = (self.contribution_scale * self.spread)[:, None].expand(-1, self.chains)
        contributions = pyro.sample("contributions", zero_sum_normal(scale, self.states).to_event(2))
        noise = pyro.sample("noise", dist.HalfCauchy(self.noise_scale * self.spread).to_event(1))
        with self.rows(x, size):
            emission = Columns(dist.Normal((loc[:, None] + sums(contributions)).mT, noise))
            series = FactorialHiddenMarkov(log(initial), log(transition), emission, x.shape[1])
            pyro.sample("x", series, obs=x.reshape(*x.shape[:2], self.dim))

    def guide(self, x: Tensor, size: int | None = None) -> None:
        pyro.sample("transition", dist.Dirichlet(self.q_transition).to_event(2))
        if self.initial == "free":
            pyro.sample("initial", dist.Dirichlet(self.q_initial).to_event(1))
        noise = pyro.sample("noise", dist.LogNormal(self.q_noise + self.spread.log(), self.q_noise_scale).to_event(1))
        mean, tril = self.spread[:, None] * self.q_parts, self.q_parts_tril
        unit = dist.MultivariateNormal(torch.zeros_like(mean[:, :-1]), scale_tril=tril[:-1, :-1])
        scaled = transforms.AffineTransform(mean[:, :-1], noise[:, None], event_dim=1)
        shaped = transforms.ReshapeTransform((mean.shape[1] - 1,), (self.chains, self.states - 1))
        parts = dist.TransformedDistribution(unit, [scaled, shaped, FreeToZeroSum()])
        contributions = pyro.sample("contributions", parts.to_event(1))
        free = (contributions @ axes(self.states, contributions)).flatten(1)
        off = torch.linalg.solve_triangular(tril[:-1, :-1], ((free - mean[:, :-1]) / noise[:, None]).mT, upper=False)
        given = self.center + mean[:, -1] + noise * (tril[-1, :-1] @ off)
        pyro.sample("loc", dist.Normal(given, noise * tril[-1, -1]).to_event(1))

    def start(self, x: Tensor) -> None:
        """Clusters of what the chains before leave, chain by chain, then rounds of smoothing and refitting (stochastic EM)."""
        series = x.reshape(*x.shape[:2], self.dim)
        seen = (~series.isnan()).any(-1)
        left, shares, moves = (series - self.center) / self.spread, [], []
        for _ in range(self.chains):
            found = clusters(left, left[seen].nan_to_num(), self.states)
            counts = torch.einsum("ntk,ntd->kd", found.member, (~left.isnan()).to(x.dtype)).clamp(min=1e-6)
            left = left - found.member @ (torch.einsum("ntk,ntd->kd", found.member, left.nan_to_num()) / counts)
            shares.append(log(found.member))
            moves.append(found.moves)
        self._refit(series, sums(torch.stack(shares, -2)).softmax(-1), torch.stack(moves))

        def refit(chain: FactorialHiddenMarkov) -> None:
            member, moves = chain.smoothed(series)
            self._refit(series, member, moves.sum(0))

        stochastic_em(self, x, refit)

    def _refit(self, series: Tensor, member: Tensor, moves: Tensor) -> None:
        """The guide as the posterior given the probabilities of the product states (N, T, K^M) and expected transitions (M, K, K)."""
        which = torch.nn.functional.one_hot(product_states(self.chains, self.states, series.device), self.states).to(series)
        self.q_transition = self.concentration + moves
        if self.initial == "free":
            self.q_initial = self.first + torch.einsum("ns,smk->mk", member[:, 0], which)
        design = torch.cat([(which @ axes(self.states, which)).flatten(1), torch.ones_like(which[:, 0, :1])], 1)
        self._regress(series.flatten(0, 1), member.flatten(0, 1), design)

    def _regress(self, x: Tensor, member: Tensor, design: Tensor) -> None:
        """The guide of what the states (S) show as the posterior given steps (n, D) and the probabilities of their states (n, S)."""
        values, seen = observed((x - self.center) / self.spread)
        weights, shown = seen.to(x.dtype).mT @ member, values.mT @ member
        scale = torch.full_like(design[0], self.contribution_scale)
        scale[-1] = self.loc_scale
        ridge = (self.q_noise.detach().exp()[:, None] / scale).square().diag_embed()
        gram = torch.einsum("ds,sp,sq->dpq", weights, design, design) + ridge
        parts = torch.linalg.solve(gram, shown @ design)
        means = parts @ design.mT
        left = values.square().sum(0) + (weights * means.square() - 2 * shown * means).sum(1)
        counts = weights.sum(1).clamp(min=1.0)
        self.q_parts, self.q_parts_tril = parts, torch.linalg.cholesky(torch.linalg.inv(gram.mean(0)))
        self.q_noise, self.q_noise_scale = 0.5 * (left / counts).clamp(min=1e-6).log(), (2 * counts).rsqrt()

    @property
    def symmetries(self) -> tuple[NestedPermutation, ...]:
        axes = {"contributions": (1, 2), "transition": (0, 1, 2), "initial": (0, 1), "stationary": (0, 1), "log_dwell": (0, 1)}
        # What a chain adds tells it apart; how often its states are visited, and left, is known far less well.
        return (NestedPermutation(axes, order="contributions", told_by=("contributions",), groups=self.chains),)

    dims = {
        "transition": ("chain_of_states", "state", "next"),
        "initial": ("chain_of_states", "state"),
        "loc": ("column",),
        "contributions": ("column", "chain_of_states", "state"),
        "noise": ("column",),
        "stationary": ("chain_of_states", "state"),
        "log_dwell": ("chain_of_states", "state"),
        "z": ("chain_of_states", "state"),
    }

    def coords(self, columns: list[str]) -> dict[str, list[Any]]:
        states = list(range(self.states))
        return {"column": columns, "chain_of_states": list(range(self.chains)), "state": states, "next": states}

    picture = staticmethod(pictures.chains)
