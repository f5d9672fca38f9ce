"""How many steps a visit to a hidden state takes, 1 to D, by family: each with its prior, its guide and its start from the data.

| duration            | steps after the first                 | sites                       | prior                                     |
|---------------------|---------------------------------------|-----------------------------|-------------------------------------------|
| `poisson`           | Poisson(stays)                        | `stays`                     | Gamma(shape, shape / stay)                |
| `negative_binomial` | variance stays + stays^2 / dispersion | `stays`, `stay_dispersions` | Gamma(shape, shape / stay), Gamma(2, 0.5) |
| `categorical`       | any                                   | `visits` (K, D)             | Dirichlet(smoothing, ..., smoothing)      |

Sites are of shape (K,) where nothing else is said. All are given that a visit takes D steps at most. A dispersion of one is a visit
without memory, which is what a hidden Markov model has.
"""

from collections.abc import Callable, Mapping

import pyro
import pyro.distributions as dist
import torch
from pyro.nn import PyroModule, PyroParam
from torch import Tensor
from torch.distributions import constraints

from .emissions import log
from .emissions.priors import Conjugate, Positive


class Durations(PyroModule):
    """What every family offers.

    - `model()` draws the family's sites and returns log probabilities (K, D) of 1, ..., D steps; `guide()` draws them from the guide.
    - `start(counts)` sets the guide to about the posterior given so many visits of each state and duration (K, D).
    - `sites`, `dims`: as of an `Emission`.
    """

    model: Callable[[], Tensor]
    guide: Callable[[], None]
    start: Callable[[Tensor], None]
    sites: tuple[str, ...]
    dims: Mapping[str, tuple[str, ...]]


class PoissonDurations(Durations):
    """Visits of about the same length. Arguments: stay: prior mean of the steps after the first. shape: of the prior."""

    sites = ("stays",)
    dims = {"stays": ("state",)}

    def __init__(self, states: int, longest: int, stay: float, shape: float) -> None:
        super().__init__()
        self.register_buffer("more", torch.arange(float(longest)))
        self.stays = Conjugate("stays", shape, torch.full((states,), shape / stay))

    def model(self) -> Tensor:
        stays = self.stays.model()[:, None]
        return (self.more * stays.log() - torch.lgamma(self.more + 1)).log_softmax(-1)

    def guide(self) -> None:
        self.stays.guide()

    def start(self, counts: Tensor) -> None:
        self.stays.start(counts @ self.more, counts.sum(-1))


class NegativeBinomialDurations(Durations):
    """Visits of more various lengths. Arguments: as of `PoissonDurations`."""

    sites = ("stays", "stay_dispersions")
    dims = {"stays": ("state",), "stay_dispersions": ("state",)}

    def __init__(self, states: int, longest: int, stay: float, shape: float) -> None:
        super().__init__()
        self.register_buffer("more", torch.arange(float(longest)))
        self.stays = Positive("stays", shape, torch.full((states,), shape / stay))
        # Between visits without memory and such as are as good as Poisson's.
        self.dispersions = Positive("stay_dispersions", 2.0, torch.full((states,), 0.5))

    def model(self) -> Tensor:
        stays, dispersions = self.stays.model()[:, None], self.dispersions.model()[:, None]
        ways = torch.lgamma(self.more + dispersions) - torch.lgamma(dispersions) - torch.lgamma(self.more + 1)
        return (ways + self.more * (stays.log() - (stays + dispersions).log())).log_softmax(-1)

    def guide(self) -> None:
        self.stays.guide()
        self.dispersions.guide()

    def start(self, counts: Tensor) -> None:
        visits = counts.sum(-1)
        prior = self.stays.shape / self.stays.rate
        mean = ((prior + counts @ self.more) / (1 + visits)).clamp(min=1e-2)
        variance = (counts @ self.more.square() + prior + 2 * prior.square()) / (1 + visits) - mean.square()
        dispersion = (mean.square() / (variance - mean).clamp(min=1e-6)).clamp(0.3, 20.0)
        self.stays.start(mean, ((1 / mean + 1 / dispersion) / (1 + visits)).sqrt())
        self.dispersions.start(dispersion, mean.new_tensor(0.5))


class CategoricalDurations(Durations):
    """Visits of any lengths. Arguments: smoothing: of the Dirichlet prior."""

    sites = ("visits",)
    dims = {"visits": ("state", "steps")}

    def __init__(self, states: int, longest: int, smoothing: float) -> None:
        super().__init__()
        self.register_buffer("smoothing", torch.full((states, longest), smoothing))
        self.q_visits = PyroParam(self.smoothing.clone(), constraints.positive)

    def model(self) -> Tensor:
        return log(pyro.sample("visits", dist.Dirichlet(self.smoothing).to_event(1)))

    def guide(self) -> None:
        pyro.sample("visits", dist.Dirichlet(self.q_visits).to_event(1))

    def start(self, counts: Tensor) -> None:
        self.q_visits = self.smoothing + counts
