"""What a decoder is fed: priors of the codes of rows, with all they have learnt as a point.

| prior       | a code is drawn from                                      | learnt                                   |
|-------------|-----------------------------------------------------------|------------------------------------------|
| `normal`    | Normal(0, 1)                                              | nothing                                  |
| `mixture`   | one of K components: Normal(locs_k, scales_k)             | weights (K,), locs (K, Q), scales (K, Q) |
| `vampprior` | one of K components: the guide's law given inputs_k       | weights (K,), inputs (K, numbers)        |
| `flow`      | a flow of standard normal numbers                         | its networks                             |

A prior offers `codes(x, law)`, the distribution of the codes of the rows `x`, where `law` is the guide's of what an encoder sees
(..., numbers); and `start(seen)`, which draws what is learnt anew, where the encoder sees `seen` (rows, numbers) of the rows.

Reference: Tomczak & Welling 2018, "VAE with a VampPrior", AISTATS, who compare mixtures; Chen, Kingma, Salimans, Duan, Dhariwal,
Schulman, Sutskever & Abbeel 2017, "Variational lossy autoencoder", ICLR (the flow).
"""

from collections.abc import Callable

import pyro.distributions as dist
import torch
from pyro.nn import PyroModule, PyroParam
from torch import Tensor
from torch.distributions import constraints

from .flows import Flow

Law = Callable[[Tensor], dist.TorchDistribution]
NEAR = 0.01


class StandardNormal(PyroModule):
    """Q standard normal numbers, whatever the guide's law."""

    def __init__(self, latents: int) -> None:
        super().__init__()
        self.latents = latents

    def codes(self, x: Tensor, law: Law | None = None) -> dist.TorchDistribution:
        return dist.Normal(x.new_zeros(len(x), self.latents), 1.0).to_event(1)

    def start(self, seen: Tensor) -> None:
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

    def codes(self, x: Tensor, law: Law) -> dist.TorchDistribution:
        shape = (len(x), *self.locs.shape)
        each = dist.Normal(self.locs.expand(shape), self.scales.expand(shape)).to_event(1)
        return Mixed(dist.Categorical(self.weights.expand(shape[:-1])), each)

    def start(self, seen: Tensor) -> None:
        """Equal weights, and standard normal locations, by torch's generator."""
        self.weights = torch.full_like(self.weights, 1 / len(self.weights))
        self.locs, self.scales = torch.randn_like(self.locs), torch.ones_like(self.scales)


class Vamp(PyroModule):
    """A mixture of what the guide makes of rows that are learnt too: where the guide puts rows, there the prior expects codes.

    They are not rows, but what an encoder sees of them; that may be anything.
    """

    def __init__(self, numbers: int, components: int) -> None:
        super().__init__()
        self.weights = PyroParam(torch.full((components,), 1 / components), constraints.simplex)
        self.inputs = PyroParam(torch.randn(components, numbers))

    def codes(self, x: Tensor, law: Law) -> dist.TorchDistribution:
        shape = (len(x), len(self.weights))
        return Mixed(dist.Categorical(self.weights.expand(shape)), law(self.inputs).expand(shape))

    def start(self, seen: Tensor) -> None:
        """Equal weights, and inputs near those of rows, by torch's generator."""
        self.weights = torch.full_like(self.weights, 1 / len(self.weights))
        rows = seen[torch.randint(len(seen), (len(self.weights),), device=seen.device)]
        self.inputs = rows + NEAR * torch.randn_like(rows)


class Bent(PyroModule):
    """Standard normal numbers, bent."""

    def __init__(self, latents: int) -> None:
        super().__init__()
        self.flow = Flow(latents)

    def codes(self, x: Tensor, law: Law) -> dist.TorchDistribution:
        return self.flow(x)

    def start(self, seen: Tensor) -> None:
        self.flow.start()
