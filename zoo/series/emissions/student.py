"""Emissions with heavy tails."""

import math

import pyro
import pyro.distributions as dist
import torch
from pyro.nn import PyroParam
from torch import Tensor
from torch.distributions import constraints

from ...distributions.columns import Columns
from .emission import Emission, moments
from .priors import Located


class StudentEmission(Emission):
    """Numbers of which some lie far out, by Student's t.

    The prior of the freedom is that of Juarez & Steel 2010, "Model-based clustering of non-Gaussian panel data", JBES 28.
    """

    sites = ("locs", "scales", "freedoms")
    dims = {site: ("state", "variable") for site in sites}

    def __init__(self, states: int, center: Tensor, spread: Tensor, state_scale: float | None, shrinkage: float) -> None:
        super().__init__()
        scale = (state_scale or states ** (-1 / len(center))) * spread
        self.located = Located(*(each.expand(states, -1) for each in (center, spread, scale)), shrinkage)
        self.register_buffer("freedom", torch.tensor([2.0, 0.1]))
        self.q_freedom = PyroParam(torch.full((states, len(center)), 2.0))
        self.q_freedom_sd = PyroParam(torch.ones_like(self.q_freedom.detach()), constraints.positive)

    def model(self) -> dist.TorchDistribution:
        locs, scales = self.located.model()
        shape, rate = self.freedom
        freedoms = pyro.sample("freedoms", dist.Gamma(shape.expand(locs.shape), rate).to_event(2))
        return Columns(dist.StudentT(freedoms, locs, scales))

    def guide(self) -> None:
        self.located.guide()
        pyro.sample("freedoms", dist.LogNormal(self.q_freedom, self.q_freedom_sd).to_event(2))

    def moved(self, law: Columns, by: Tensor) -> Columns:
        return Columns(dist.StudentT(law.base.df, law.base.loc + by, law.base.scale))

    def start(self, x: Tensor, member: Tensor) -> None:
        self.located.start(*moments(x, member))
        # Some of the variance is the tails'.
        self.located.q_scale = self.located.q_scale.detach() + math.log(0.8)
        self.q_freedom = torch.full_like(self.q_freedom.detach(), 2.0)
        self.q_freedom_sd = torch.full_like(self.q_freedom.detach(), 0.7)
