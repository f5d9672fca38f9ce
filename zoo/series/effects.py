"""What covariates do to hidden Markov chains: to where a state leads, and to what it shows.

Covariates of a step act on the transition into it and on what it shows. Their means are taken off, so that all else a pair says of a
transition or an emission holds where covariates are at their means; an effect is that of one unit of a covariate.
"""

import pyro
import pyro.distributions as dist
import torch
from pyro.nn import PyroModule, PyroParam
from torch import Tensor
from torch.distributions import constraints

from inference.missing import observed
from inference.supports import cholesky

from ..distributions.zero_sum import FreeToZeroSum, zero_sum_normal
from .emissions import Emission

# How many steps the prior's opinion on where a column stands is worth in a start.
LITTLE = 1e-3


class TransitionEffects(PyroModule):
    """A multinomial logistic regression for each state: site `transition_effects` (K, C, K).

    log p(next state k after state j) = log transition_jk + sum_c effects_jck (c - center) + constant_j, where effects add up to zero
    over the next states k, and are Normal(0, scale / spread_c) but for that.

    Reference: Bengio & Frasconi 1995, "An input output HMM architecture", NeurIPS 7.
    """

    sites = ("transition_effects",)
    dims = {"transition_effects": ("state", "covariate", "next")}

    def __init__(self, states: int, spread: Tensor, scale: float) -> None:
        super().__init__()
        self.states = states
        self.register_buffer("unit", (1 / spread).expand(states, -1).clone())
        self.register_buffer("scale", scale * self.unit)
        # In the unit of one over a covariate's spread.
        self.q_mean = PyroParam(torch.zeros(states, len(spread), states - 1))
        self.q_sd = PyroParam(torch.full_like(self.q_mean, 0.3 * scale), constraints.positive)

    def model(self, log_transition: Tensor, given: Tensor) -> Tensor:
        """(N, T - 1, K, K) log probabilities of transitions, from those at the means (K, K), by covariates (N, T, C) less their means."""
        effects = pyro.sample("transition_effects", zero_sum_normal(self.scale, self.states).to_event(2))
        return (log_transition + torch.einsum("ntc,jck->ntjk", given[:, 1:], effects)).log_softmax(-1)

    def guide(self) -> None:
        free = dist.Normal(self.unit[..., None] * self.q_mean, self.unit[..., None] * self.q_sd).to_event(1)
        pyro.sample("transition_effects", dist.TransformedDistribution(free, [FreeToZeroSum()]).to_event(2))


class EmissionEffects(PyroModule):
    """A regression for each state and column: site `effects` (K, D, C), Normal(0, scale unit_d / spread_c).

    What a state shows is moved by effects_kd (c - center): numbers themselves, of which the unit is the column's spread, the logarithm of
    the mean of counts and amounts, or the logit of yes and no.
    """

    sites = ("effects",)
    dims = {"effects": ("state", "variable", "covariate")}

    def __init__(self, states: int, unit: Tensor, spread: Tensor, scale: float) -> None:
        super().__init__()
        self.register_buffer("unit", (unit[:, None] / spread).expand(states, -1, -1).clone())
        self.register_buffer("columns", unit)
        self.register_buffer("spread", spread)
        self.register_buffer("scale", torch.tensor(scale))
        # In that unit.
        self.q_mean = PyroParam(torch.zeros_like(self.unit))
        self.q_tril = PyroParam(scale * torch.eye(len(spread)).expand(*self.unit.shape, -1).clone(), cholesky)

    def model(self, given: Tensor) -> Tensor:
        """(N, T, K, D) how far each state's columns are moved at each step, by covariates (N, T, C) less their means."""
        effects = pyro.sample("effects", dist.Normal(0.0, self.scale * self.unit).to_event(3))
        return torch.einsum("kdc,ntc->ntkd", effects, given)

    def guide(self) -> None:
        law = dist.MultivariateNormal(self.unit * self.q_mean, scale_tril=self.unit[..., None] * self.q_tril)
        pyro.sample("effects", law.to_event(2))

    def refit(self, emission: Emission, series: Tensor, given: Tensor, member: Tensor) -> Tensor:
        """The guide as about the posterior given series (N, T, D), their covariates and the probabilities (N, T, K) of their states.

        Returns the series as they would be without the effects.
        """
        shown, seen = observed(emission.response(series) / self.columns)
        # In double precision: what the prior alone tells apart is lost beside the squares of many steps.
        shown, known = shown.double(), (given / self.spread).double()
        design = torch.cat([known, torch.ones_like(known[..., :1])], -1)
        weight = torch.einsum("ntk,ntd->ntkd", member.double(), seen.double())
        ridge = torch.cat([self.scale.double().expand(given.shape[-1]).square().reciprocal(), known.new_tensor([LITTLE])])
        gram = torch.einsum("ntkd,ntp,ntq->kdpq", weight, design, design) + ridge.diag()
        parts = torch.linalg.solve(gram, torch.einsum("ntkd,ntp,ntd->kdp", weight, design, shown))
        left = torch.einsum("ntkd,ntkd->kd", weight, (shown[..., None, :] - torch.einsum("ntp,kdp->ntkd", design, parts)).square())
        sd = ((left + 1) / (weight.sum((0, 1)) + 1)).sqrt()
        inverse = torch.linalg.inv(gram)[..., :-1, :-1]
        tril = sd[..., None, None] * torch.linalg.cholesky(inverse)
        self.q_mean, self.q_tril = parts[..., :-1].to(given), tril.to(given)
        return emission.undone(series, torch.einsum("ntk,kdc,ntc->ntd", member, self.unit * self.q_mean.detach(), given))
