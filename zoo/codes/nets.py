"""Small networks: encoders, decoders and critics."""

import math
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn

# Of a leaky ReLU, below zero.
SLOPE = 0.2
# What may stand between the layers of an encoder and a decoder, by name.
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {"silu": nn.SiLU, "tanh": nn.Tanh}


def mlp(sizes: list[int], between: Callable[[], nn.Module] = nn.SiLU) -> nn.Sequential:
    """Layers of the given sizes, input and output included, with an activation between them; two sizes are a linear map."""
    return _layers(sizes, between)


def leaky(sizes: list[int]) -> nn.Sequential:
    """The same with leaky ReLU, whose corners make the steep slopes between clusters that a smooth function takes long to learn."""
    return _layers(sizes, bent)


def residual(sizes: list[int]) -> nn.Sequential:
    """The same with a block for each hidden layer, so that a map of many steep steps is learnt soon; two sizes are a linear map."""
    if len(sizes) == 2:
        return leaky(sizes)
    inputs, *hidden, outputs = sizes
    blocks = [Block(*widths) for widths in pairwise([hidden[0], *hidden])]
    return nn.Sequential(nn.Linear(inputs, hidden[0]), *blocks, bent(), nn.Linear(hidden[-1], outputs))


class Block(nn.Module):
    """Two layers, with leaky ReLU before each, and what goes in added to what comes out, by a linear map where it is of another size.

    Source: He, Zhang, Ren & Sun 2016, "Identity mappings in deep residual networks", ECCV.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(bent(), nn.Linear(inputs, outputs), bent(), nn.Linear(outputs, outputs))
        self.past = nn.Identity() if inputs == outputs else nn.Linear(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.past(x) + self.layers(x)


def bent() -> nn.Module:
    """A leaky ReLU."""
    return nn.LeakyReLU(SLOPE)


def _layers(sizes: list[int], between: Callable[[], nn.Module]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), between()]
    return nn.Sequential(*layers[:-1])


class Critic(nn.Module):
    """A number for each row, by `net`, of its features and those of its latents that are named; up to a constant, which tells nothing."""

    def __init__(self, net: nn.Sequential, latents: list[str]) -> None:
        super().__init__()
        self.net, self.latents = net, latents
        self.net[-1].register_parameter("bias", None)
        spread_out(self)

    def forward(self, features: Tensor, latents: dict[str, Tensor]) -> Tensor:
        return self.net(torch.cat([features, *(latents[name] for name in self.latents)], -1)).squeeze(-1)


def restart(net: nn.Module) -> None:
    """Draw the weights of all layers anew, by torch's generator."""
    for layer in net.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            layer.reset_parameters()


def spread_out(net: nn.Module) -> None:
    """Draw the weights of all layers anew, by torch's generator, so large that what goes in is as far spread after each leaky ReLU.

    Source: He, Zhang, Ren & Sun 2015, "Delving deep into rectifiers", ICCV.
    """
    for layer in net.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            layer.reset_parameters()
            nn.init.normal_(layer.weight, std=(2 / (1 + SLOPE**2) / _inputs(layer)) ** 0.5)


def _inputs(layer: nn.Linear | nn.Conv2d | nn.ConvTranspose2d) -> float:
    """Of how many numbers each number that comes out of a layer is a sum."""
    if isinstance(layer, nn.ConvTranspose2d):
        return layer.in_channels * math.prod(layer.kernel_size) / math.prod(layer.stride)
    return layer.weight[0].numel()
