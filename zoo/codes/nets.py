"""Small networks: encoders and decoders."""

from itertools import pairwise

from torch import nn


def mlp(sizes: list[int]) -> nn.Sequential:
    """Layers of the given sizes, input and output included, with SiLU between them; two sizes are a linear map."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.SiLU()]
    return nn.Sequential(*layers[:-1])


def restart(net: nn.Module) -> None:
    """Draw the weights of all layers anew, by torch's generator."""
    for layer in net.modules():
        if isinstance(layer, nn.Linear):
            layer.reset_parameters()
