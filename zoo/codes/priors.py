"""What a decoder is fed: priors of the codes of rows, with all they have learnt as a point.

| prior     | a code is drawn from                              | learnt                                    |
|-----------|---------------------------------------------------|-------------------------------------------|
| `normal`  | Normal(0, 1)                                      | nothing                                   |
| `mixture` | one of K components: Normal(locs_k, scales_k)     | weights (K,), locs (K, Q), scales (K, Q)  |

A prior offers `codes(x)`, the distribution of the codes of the rows `x`, and `start()`, which draws what is learnt anew.

Reference: Tomczak & Welling 2018, "VAE with a VampPrior", AISTATS, who compare mixtures.
"""

import pyro.distributions as dist
import torch
from pyro.nn import PyroModule, PyroParam
from torch import Tensor
from torch.distributions import constraints


class StandardNormal(PyroModule):
    """Q standard normal numbers."""

    def __init__(self, latents: int) -> None:
        super().__init__()
        self.latents = latents

    def codes(self, x: Tensor) -> dist.TorchDistribution:
        return dist.Normal(x.new_zeros(len(x), self.latents), 1.0).to_event(1)

    def start(self) -> None:
        """There is nothing to draw."""


class Mixed(dist.MixtureSameFamily):
    """A mixture of distributions of vectors; torch's does not say that its draws are real ones."""

    support = constraints.real_vector


class Mixture(PyroModule):
    """A mixture of Normal distributions, so that codes may gather in clusters."""

    def __init__(self, latents: int, components: int) -> None:
        super().__init__()
        self.weights = PyroParam(torch.full((components,), 1 / components), constraints.simplex)
        self.locs = PyroParam(torch.randn(components, latents))
        self.scales = PyroParam(torch.ones(components, latents), constraints.positive)

    def codes(self, x: Tensor) -> dist.TorchDistribution:
        shape = (len(x), *self.locs.shape)
        each = dist.Normal(self.locs.expand(shape), self.scales.expand(shape)).to_event(1)
        return Mixed(dist.Categorical(self.weights.expand(shape[:-1])), each)

    def start(self) -> None:
        """Equal weights, and standard normal locations, by torch's generator."""
        self.weights = torch.full_like(self.weights, 1 / len(self.weights))
        self.locs, self.scales = torch.randn_like(self.locs), torch.ones_like(self.scales)
