"""Emissions with heavy tails."""

import pyro
import pyro.distributions as dist
import torch
from pyro.nn import PyroParam
from torch import Tensor
from torch.distributions import constraints

from ...distributions.columns import Columns
from .emission import Emission, moments


class StudentEmission(Emission):
    """Numbers of which some lie far out, by Student's t.

    The prior of the freedom is that of Juarez & Steel 2010, "Model-based clustering of non-Gaussian panel data", JBES 28.
    """

    sites = ("locs", "scales", "freedoms")
    dims = {site: ("state", "variable") for site in sites}

    def __init__(self, states: int, center: Tensor, spread: Tensor, state_scale: float | None, shrinkage: float) -> None:
        super().__init__()
        scale = (state_scale or states ** (-1 / len(center))) * spread
        self.register_buffer("center", center.expand(states, -1).clone())
        self.register_buffer("spread", spread.expand(states, -1).clone())
        self.register_buffer("scale", scale.expand(states, -1).clone())
        self.register_buffer("width", self.scale / shrinkage**0.5)
        self.register_buffer("freedom", torch.tensor([2.0, 0.1]))
        # The guide's mean of locs is center + spread * q_offsets, so that a step means the same in every column.
        self.q_offsets, self.q_scale = PyroParam(torch.zeros_like(self.scale)), PyroParam(self.scale.log())
        self.q_freedom = PyroParam(torch.full_like(self.scale, 2.0))
        self.q_offset_sd = PyroParam(torch.ones_like(self.scale), constraints.positive)
        self.q_scale_sd = PyroParam(torch.ones_like(self.scale), constraints.positive)
        self.q_freedom_sd = PyroParam(torch.ones_like(self.scale), constraints.positive)

    def model(self) -> dist.TorchDistribution:
        locs = pyro.sample("locs", dist.Normal(self.center, self.width).to_event(2))
        scales = pyro.sample("scales", dist.LogNormal(self.scale.log(), 1.0).to_event(2))
        shape, rate = self.freedom
        freedoms = pyro.sample("freedoms", dist.Gamma(shape.expand(locs.shape), rate).to_event(2))
        return Columns(dist.StudentT(freedoms, locs, scales))

    def guide(self) -> None:
        pyro.sample("locs", dist.Normal(self.center + self.spread * self.q_offsets, self.spread * self.q_offset_sd).to_event(2))
        pyro.sample("scales", dist.LogNormal(self.q_scale, self.q_scale_sd).to_event(2))
        pyro.sample("freedoms", dist.LogNormal(self.q_freedom, self.q_freedom_sd).to_event(2))

    def moved(self, law: Columns, by: Tensor) -> Columns:
        return Columns(dist.StudentT(law.base.df, law.base.loc + by, law.base.scale))

    def start(self, x: Tensor, member: Tensor) -> None:
        counts, mean, variance = moments(x, member)
        offset = counts / (counts + 1) * (mean - self.center) / self.spread
        scale = ((counts * variance + self.scale.square()) / (counts + 1)).sqrt()
        self.q_offsets, self.q_offset_sd = offset, scale / self.spread / (counts + 1).sqrt()
        self.q_scale, self.q_scale_sd = (0.8 * scale).log(), (counts + 1).rsqrt()
        self.q_freedom, self.q_freedom_sd = torch.full_like(scale, 2.0), torch.full_like(scale, 0.7)
