"""What a hidden state shows at a step, by family: D columns, each family with its prior, its guide and its start from the data.

| emission      | a column shows                        | sites                       | prior                                              |
|---------------|---------------------------------------|-----------------------------|----------------------------------------------------|
| `gaussian`    | numbers                               | `locs`, `precisions` or kin | as in `zoo/covariance.py`                          |
| `poisson`     | counts 0, 1, 2, ...                   | `rates` (K, D)              | Gamma(shape, shape / center)                       |
| `categorical` | one of V codes 0, 1, ..., V - 1       | `probabilities` (K, D, V)   | Dirichlet(smoothing, ..., smoothing)               |

A family offers `model()`, which draws its sites and returns the distribution of a step, batch shape (K,), event shape (D,);
`guide()`; `start(x, member)`, which sets the guide to the conjugate posterior given each step's states; `features(x)`, by which
steps are clustered before anything else is known; `sites`, with the states along their first axis, of which the first numbers
the states; and `dims`, the names of the sites' axes. `wrong(x)` says which values it cannot
show, and why.
"""

from typing import ClassVar

import pyro
import pyro.distributions as dist
import torch
from pyro.nn import PyroModule, PyroParam
from torch import Tensor
from torch.distributions import constraints

from inference.missing import observed

from .columns import Columns
from .covariance import MatrixPrecision, ScalarPrecision

Wrong = tuple[Tensor, str]


class GaussianEmission(PyroModule):
    """Numbers, normal around a location of each state, with a covariance of one of four shapes."""

    def __init__(self, states: int, center: Tensor, spread: Tensor, covariance: str, state_scale: float | None, shrinkage: float) -> None:
        super().__init__()
        self.states, self.dim = states, len(center)
        scale = (state_scale or states ** (-1 / self.dim)) * spread
        if covariance in ("full", "tied"):
            self.covariance = MatrixPrecision(states, scale, None, tied=covariance == "tied")
        else:
            self.covariance = ScalarPrecision(states, scale, None, spherical=covariance == "spherical")
        self.register_buffer("center", center)
        self.register_buffer("spread", spread)
        self.register_buffer("shrinkage", torch.tensor(shrinkage))
        # The guide's mean of locs is center + spread * q_offsets, so that a step means the same in every column.
        self.q_offsets = PyroParam(torch.zeros(states, self.dim), constraints.real)
        self.q_shrinkage = PyroParam(torch.ones(states), constraints.positive)

    def model(self) -> dist.TorchDistribution:
        precisions = pyro.sample(self.covariance.site, self.covariance.prior())
        center, shrinkage = self.center.expand(self.states, -1), self.shrinkage.expand(self.states)
        locs = pyro.sample("locs", self.covariance.gaussian(center, precisions, shrinkage).to_event(1))
        for name, value in self.covariance.derive(precisions).items():
            pyro.deterministic(name, value)
        return self.covariance.rows(locs, precisions, torch.arange(self.states, device=locs.device))

    def guide(self) -> None:
        precisions = pyro.sample(self.covariance.site, self.covariance.guide())
        pyro.sample("locs", self.covariance.gaussian(self.center + self.spread * self.q_offsets, precisions, self.q_shrinkage).to_event(1))

    def start(self, x: Tensor, member: Tensor) -> None:
        filled = _filled(x)
        counts, precision = member.sum(0), self.shrinkage + member.sum(0)
        locs = (self.shrinkage * self.center + member.T @ filled) / precision[:, None]
        deviation, offset = filled[:, None] - locs, locs - self.center
        scatter = torch.einsum("nk,nki,nkj->kij", member, deviation, deviation)
        scatter = scatter + self.shrinkage * offset[:, :, None] * offset[:, None, :]
        self.q_offsets, self.q_shrinkage = offset / self.spread, precision
        self.covariance.start(counts, scatter)

    def features(self, x: Tensor) -> Tensor:
        filled = _filled(x)
        return (filled - filled.mean(0)) / filled.std(0).clamp(min=1e-12)

    @property
    def sites(self) -> tuple[str, ...]:
        return ("locs",) if self.covariance.shared else ("locs", self.covariance.site, *self.covariance.derived)

    @property
    def restated(self) -> tuple[str, ...]:
        return (self.covariance.site,)

    @property
    def dims(self) -> dict[str, tuple[str, ...]]:
        state = () if self.covariance.shared else ("state",)
        variable = () if getattr(self.covariance, "spherical", False) else ("variable",)
        matrix = ("variable", "variable2") if self.covariance.site == "precision_trils" else variable
        pair = {"correlations": (*state, "pair")} if self.covariance.site == "precision_trils" else {}
        return {"locs": ("state", "variable"), self.covariance.site: state + matrix, "scales": state + variable, **pair}

    @staticmethod
    def wrong(x: Tensor) -> Wrong:
        return torch.zeros_like(x, dtype=torch.bool), ""


class PoissonEmission(PyroModule):
    """Counts."""

    sites: ClassVar = ("rates",)
    restated: ClassVar = ()
    dims: ClassVar = {"rates": ("state", "variable")}

    def __init__(self, states: int, center: Tensor, shape: float) -> None:
        super().__init__()
        self.register_buffer("shape", torch.full((states, len(center)), shape))
        self.register_buffer("rate", shape / center.expand(states, -1))
        self.q_shape = PyroParam(self.shape.clone(), constraints.positive)
        self.q_rate = PyroParam(self.rate.clone(), constraints.positive)

    def model(self) -> dist.TorchDistribution:
        return Columns(dist.Poisson(pyro.sample("rates", dist.Gamma(self.shape, self.rate).to_event(2))))

    def guide(self) -> None:
        pyro.sample("rates", dist.Gamma(self.q_shape, self.q_rate).to_event(2))

    def start(self, x: Tensor, member: Tensor) -> None:
        counts, seen = observed(x)
        self.q_shape, self.q_rate = self.shape + member.T @ counts, self.rate + member.T @ seen.to(x.dtype)

    def features(self, x: Tensor) -> Tensor:
        return _filled(x).sqrt()

    @staticmethod
    def wrong(x: Tensor) -> Wrong:
        return (x < 0) | (x != x.floor()), "is no count: a Poisson emission shows 0, 1, 2, ...; choose another emission"


class CategoricalEmission(PyroModule):
    """Codes of V categories, 0 to V - 1."""

    sites: ClassVar = ("probabilities",)
    restated: ClassVar = ()
    dims: ClassVar = {"probabilities": ("state", "variable", "category")}

    def __init__(self, states: int, dim: int, categories: int, smoothing: float) -> None:
        super().__init__()
        self.categories = categories
        self.register_buffer("smoothing", torch.full((states, dim, categories), smoothing))
        self.q_counts = PyroParam(self.smoothing.clone(), constraints.positive)

    def model(self) -> dist.TorchDistribution:
        probabilities = pyro.sample("probabilities", dist.Dirichlet(self.smoothing).to_event(2))
        return Columns(dist.Categorical(logits=log(probabilities)))

    def guide(self) -> None:
        pyro.sample("probabilities", dist.Dirichlet(self.q_counts).to_event(2))

    def start(self, x: Tensor, member: Tensor) -> None:
        self.q_counts = self.smoothing + torch.einsum("nk,ndv->kdv", member, self._shown(x))

    def features(self, x: Tensor) -> Tensor:
        return self._shown(x).flatten(1)

    def _shown(self, x: Tensor) -> Tensor:
        """(n, D, V) one where a category is shown; nothing where nothing is."""
        codes, seen = observed(x)
        return torch.nn.functional.one_hot(codes.long(), self.categories).to(x.dtype) * seen[..., None]

    def wrong(self, x: Tensor) -> Wrong:
        wrong = (x < 0) | (x != x.floor()) | (x >= self.categories)
        return wrong, f"is no category: with categories={self.categories} they are 0, 1, ..., {self.categories - 1}"


def log(probabilities: Tensor) -> Tensor:
    """Logarithms that stay finite: Pyro would take a probability below 1e-7 for 1e-7."""
    return probabilities.clamp(min=torch.finfo(probabilities.dtype).tiny).log()


def _filled(x: Tensor) -> Tensor:
    """`x` (n, D) with the column's mean for what is missing."""
    return torch.where(x.isnan(), x.nanmean(0), x)
