"""Parameters of hidden states with their priors and guides: positive ones, (K,) or (K, D), and locations with scales."""

import pyro
import pyro.distributions as dist
import torch
from pyro.nn import PyroModule, PyroParam
from torch import Tensor
from torch.distributions import constraints


class GammaPrior(PyroModule):
    """Arguments: site: the parameter's name. shape: of the prior. rate: the prior's, of the parameter's shape."""

    def __init__(self, site: str, shape: float, rate: Tensor) -> None:
        super().__init__()
        self.site = site
        self.register_buffer("shape", torch.full_like(rate, shape))
        self.register_buffer("rate", rate.clone())

    def model(self) -> Tensor:
        return pyro.sample(self.site, dist.Gamma(self.shape, self.rate).to_event(self.rate.dim()))


class Conjugate(GammaPrior):
    """With a Gamma guide, for a parameter whose posterior given the states is one."""

    def __init__(self, site: str, shape: float, rate: Tensor) -> None:
        super().__init__(site, shape, rate)
        self.q_shape = PyroParam(self.shape.clone(), constraints.positive)
        self.q_rate = PyroParam(self.rate.clone(), constraints.positive)

    def guide(self) -> None:
        pyro.sample(self.site, dist.Gamma(self.q_shape, self.q_rate).to_event(self.rate.dim()))

    def start(self, events: Tensor, exposure: Tensor) -> None:
        """The guide as the posterior given so many events in so much exposure, both of its shape."""
        self.q_shape, self.q_rate = self.shape + events, self.rate + exposure


class Positive(GammaPrior):
    """With a LogNormal guide."""

    def __init__(self, site: str, shape: float, rate: Tensor) -> None:
        super().__init__(site, shape, rate)
        self.q_log = PyroParam((self.shape / self.rate).log())
        self.q_sd = PyroParam(torch.ones_like(rate), constraints.positive)

    def guide(self) -> None:
        pyro.sample(self.site, dist.LogNormal(self.q_log, self.q_sd).to_event(self.rate.dim()))

    def start(self, value: Tensor, sd: Tensor) -> None:
        """The guide around `value`, give or take a share `sd` of it."""
        self.q_log, self.q_sd = value.log(), sd.expand_as(value).clone()


class Located(PyroModule):
    """Sites `locs`, Normal(center, width), and `scales`, LogNormal(log scale, 1), each with a guide of the same family.

    Arguments: center, spread, scale: of the sites' shape: the prior's center, and the scales of the data and of what is to be found in
    them. shrinkage: how many steps the prior's opinion on a location is worth.
    """

    def __init__(self, center: Tensor, spread: Tensor, scale: Tensor, shrinkage: float) -> None:
        super().__init__()
        self.register_buffer("center", center.clone())
        self.register_buffer("spread", spread.clone())
        self.register_buffer("scale", scale.clone())
        self.register_buffer("width", scale / shrinkage**0.5)
        # The guide's mean of locs is center + spread * q_offsets, so that a step means the same in every column.
        self.q_offsets, self.q_scale = PyroParam(torch.zeros_like(scale)), PyroParam(scale.log())
        self.q_offset_sd = PyroParam(torch.ones_like(scale), constraints.positive)
        self.q_scale_sd = PyroParam(torch.ones_like(scale), constraints.positive)

    def model(self) -> tuple[Tensor, Tensor]:
        """The locations and the scales."""
        axes = self.scale.dim()
        locs = pyro.sample("locs", dist.Normal(self.center, self.width).to_event(axes))
        return locs, pyro.sample("scales", dist.LogNormal(self.scale.log(), 1.0).to_event(axes))

    def guide(self) -> None:
        axes = self.scale.dim()
        pyro.sample("locs", dist.Normal(self.center + self.spread * self.q_offsets, self.spread * self.q_offset_sd).to_event(axes))
        pyro.sample("scales", dist.LogNormal(self.q_scale, self.q_scale_sd).to_event(axes))

    def shrunk(self, counts: Tensor, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
        """Locations and scales given so many steps of such mean and variance, and one more that says what the prior does."""
        return self.center + counts / (counts + 1) * (mean - self.center), ((counts * variance + self.scale.square()) / (counts + 1)).sqrt()

    def start(self, counts: Tensor, mean: Tensor, variance: Tensor) -> None:
        """The guide as about the posterior given so many steps of such mean and variance."""
        loc, scale = self.shrunk(counts, mean, variance)
        self.q_offsets, self.q_offset_sd = (loc - self.center) / self.spread, scale / self.spread / (counts + 1).sqrt()
        self.q_scale, self.q_scale_sd = scale.log(), (counts + 1).rsqrt()
