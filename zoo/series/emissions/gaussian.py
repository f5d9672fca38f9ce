"""Gaussian emissions."""

from typing import Any

import pyro
import pyro.distributions as dist
import torch
from pyro.nn import PyroParam
from torch import Tensor
from torch.distributions import constraints

from ...covariance import MatrixPrecision, ScalarPrecision, clustered
from ...distributions.gaussian import DiagonalGaussian, Gaussian
from .emission import Emission


class GaussianEmission(Emission):
    """Numbers, normal around a location of each state, with a covariance of one of four shapes (`zoo/covariance.py`)."""

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

    def moved(self, law: dist.TorchDistribution, by: Tensor) -> dist.TorchDistribution:
        if isinstance(law, Gaussian):
            return Gaussian(law.loc + by, law.precision_tril, law.holes)
        return DiagonalGaussian(law.loc + by, law.scale)

    def start(self, x: Tensor, member: Tensor) -> None:
        found = clustered(x, member, self.center, self.shrinkage)
        self.q_offsets, self.q_shrinkage = (found.locs - self.center) / self.spread, found.precision
        self.covariance.start(found.counts, found.scatter)

    def labels(self, columns: list[str] | list[int]) -> dict[str, list[Any]]:
        pairs = [f"{columns[j]}~{columns[i]}" for i in range(len(columns)) for j in range(i)]
        return {"variable": columns, "variable2": columns, "pair": pairs}

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
