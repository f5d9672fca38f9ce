"""Emissions that are mixtures."""

import pyro
import pyro.distributions as dist
import torch
from pyro.nn import PyroParam
from torch import Tensor
from torch.distributions import constraints

from ...distributions.mixed import Mixed
from .codes import log
from .emission import Emission, moments
from .priors import Located

# Of a start: how often components are set out at random, rounds of EM for each, and how many steps these are shown.
TRIES, ROUNDS, SAMPLE = 8, 10, 5000


class MixtureEmission(Emission):
    """Numbers from one of M normal components of each state, columns independent within a component; which one is summed out.

    Reference: Rabiner 1989, Proc. IEEE 77, section IV.A.
    """

    sites = ("locs", "scales", "weights")
    dims = {site: ("state", "component", "variable") for site in ("locs", "scales")} | {"weights": ("state", "component")}
    members = dict.fromkeys(sites, 1)

    def __init__(self, center: Tensor, spread: Tensor, scale: Tensor, shrinkage: float, smoothing: float) -> None:
        """Arguments: center, spread, scale: (K, M, D)."""
        super().__init__()
        self.parts = center.shape[1]
        self.located = Located(center, spread, scale, shrinkage)
        self.register_buffer("smoothing", torch.full(center.shape[:2], smoothing))
        self.q_counts = PyroParam(self.smoothing.clone(), constraints.positive)

    def model(self) -> Mixed:
        weights = pyro.sample("weights", dist.Dirichlet(self.smoothing).to_event(1))
        return Mixed(log(weights), *self.located.model())

    def guide(self) -> None:
        pyro.sample("weights", dist.Dirichlet(self.q_counts).to_event(1))
        self.located.guide()

    def moved(self, law: Mixed, by: Tensor) -> Mixed:
        return Mixed(law.log_weights, law.locs + by[..., None, :], law.scales)

    def start(self, x: Tensor, member: Tensor) -> None:
        """Rounds of EM within each state on some steps, from components set out at random; of several tries the best."""
        some = torch.randperm(len(x), device=x.device)[:SAMPLE]
        law = self._set_out(x[some], member[some])
        for _ in range(ROUNDS):
            law = self._fitted(x[some], self._shares(law, x[some], member[some]))
        worth = torch.einsum("nk,nrk->rk", member[some], law.log_prob(x[some][:, None, None]))
        best, states = worth.argmax(0), torch.arange(member.shape[1], device=x.device)
        law = Mixed(law.log_weights[best, states], law.locs[best, states], law.scales[best, states])
        shares = self._shares(law, x, member)
        self.q_counts = self.smoothing + shares.sum(0)
        self.located.start(*self._moments(x, shares))

    def _set_out(self, x: Tensor, member: Tensor) -> Mixed:
        """Mixtures of batch shape (R, K): components at steps of the state, and as wide as it is."""
        count, dim = self.parts, x.shape[1]
        steps = torch.multinomial(member.T.clamp(min=1e-12), TRIES * count, replacement=True)
        chosen = x[steps].reshape(-1, TRIES, count, dim).transpose(0, 1)
        _, _, variance = moments(x, member)
        scales = (0.5 * variance.sqrt()[:, None] + 1e-3 * self.located.scale).expand(chosen.shape)
        weights = torch.full(chosen.shape[:3], 1 / count).to(x)
        return Mixed(weights.log(), torch.where(chosen.isnan(), self.located.center, chosen), scales)

    def _fitted(self, x: Tensor, shares: Tensor) -> Mixed:
        """The mixtures (R, K) to steps (n, D) by their components' shares of them (n, R, K, M)."""
        weights = self.smoothing + shares.sum(0)
        mean, scale = self.located.shrunk(*self._moments(x, shares))
        return Mixed((weights / weights.sum(-1, keepdim=True)).log(), mean, scale)

    def _shares(self, law: Mixed, x: Tensor, member: Tensor) -> Tensor:
        """(n, [R], K, M) the probability of each component of each state at each step."""
        each = law.log_components(x[(slice(None), *[None] * len(law.batch_shape))])
        return each.softmax(-1) * member.reshape(len(x), *[1] * (len(law.batch_shape) - 1), -1, 1)

    def _moments(self, x: Tensor, shares: Tensor) -> tuple[Tensor, ...]:
        """Of each component ([R], K, M, D): how many steps were seen, their mean and their variance."""
        return tuple(found.reshape(*shares.shape[1:], -1) for found in moments(x, shares.flatten(1)))

    def labels(self, columns: list[str] | list[int]) -> dict[str, list[int]]:
        return {"variable": columns, "component": list(range(self.parts))}
