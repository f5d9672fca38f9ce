"""Positive parameters of hidden states, (K,) or (K, D): a Gamma prior, and one of two guides."""

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
