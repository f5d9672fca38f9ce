"""Networks of convolutions, for rows that are images: each lists its pixels line by line, and of each pixel its channels."""

import math
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn


def image_shape(network: str, image: list[int] | None, dim: int, layers: int) -> tuple[int, int, int] | None:
    """Height, width and channels of an image of `dim` numbers, which `layers` convolutions halve; a square where none is given.

    None of other networks. Raises ValueError for an image given to these, images of another size, and sides that cannot be halved so often.
    """
    if network != "convolution":
        if image is not None:
            raise ValueError(f"image={image} is of network='convolution'; a dense one sees columns in no order")
        return None
    side = math.isqrt(dim)
    if image is None and side * side != dim:
        raise ValueError(f"network='convolution': rows of {dim} columns are no square image; give image=[height, width] or with channels")
    height, width, channels = (*(image or (side, side)), 1)[:3]
    if height * width * channels != dim:
        raise ValueError(f"image={image}: it has {height * width * channels} numbers, and rows have {dim} columns")
    for name, size in {"height": height, "width": width}.items():
        if size % 2**layers:
            most = (size & -size).bit_length() - 1
            able = f"at most {most} of them" if most else "network='dense'"
            raise ValueError(f"a {name} of {size} pixels cannot be halved by each of {layers} hidden layers of convolutions; take {able}")
    return height, width, channels


class Encoder(nn.Module):
    """Convolutions that each halve height and width, with SiLU or another activation after them, and a linear map.

    Arguments:
        shape: height, width and channels of the image.
        blocks: how many numbers of each channel of a pixel the input has, in blocks one after the other.
        hidden: channels that convolutions make. outputs: how many numbers come out.
        beside: how many numbers follow that are no pixels; the linear map takes them. between: makes an activation.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        blocks: list[int],
        hidden: list[int],
        outputs: int,
        beside: int = 0,
        between: Callable[[], nn.Module] = nn.SiLU,
    ) -> None:
        super().__init__()
        height, width, channels = shape
        self.shape, self.sizes = (height, width), [*(height * width * channels * block for block in blocks), beside]
        layers: list[nn.Module] = []
        for before, after in pairwise([channels * sum(blocks), *hidden]):
            layers += [nn.Conv2d(before, after, 4, stride=2, padding=1), between()]
        left = (height * width >> 2 * len(hidden)) * (hidden[-1] if hidden else channels * sum(blocks))
        self.layers, self.last = nn.Sequential(*layers, nn.Flatten()), nn.Linear(left + beside, outputs)

    def forward(self, x: Tensor) -> Tensor:
        *blocks, beside = x.split(self.sizes, -1)
        planes = torch.cat([block.unflatten(-1, (*self.shape, -1)) for block in blocks], -1)
        return self.last(torch.cat([self.layers(planes.movedim(-1, -3)), beside], -1))


class Decoder(nn.Module):
    """The way back: a linear map, and transposed convolutions that each double height and width, with SiLU or another before them.

    Arguments:
        inputs: how many numbers go in. hidden: channels of which convolutions make the next.
        shape: height, width and channels of the image. outputs: how many numbers of each channel of a pixel come out.
        between: makes an activation.
    """

    def __init__(
        self, inputs: int, hidden: list[int], shape: tuple[int, int, int], outputs: int, between: Callable[[], nn.Module] = nn.SiLU
    ) -> None:
        super().__init__()
        height, width, channels = shape
        first, *rest = [*hidden, channels * outputs]
        small = (first, height >> len(hidden), width >> len(hidden))
        layers: list[nn.Module] = [nn.Linear(inputs, math.prod(small)), nn.Unflatten(-1, small)]
        for before, after in pairwise([first, *rest]):
            layers += [between(), nn.ConvTranspose2d(before, after, 4, stride=2, padding=1)]
        self.layers = nn.Sequential(*layers)

    def forward(self, z: Tensor) -> Tensor:
        made = self.layers(z.flatten(0, -2))
        return made.movedim(-3, -1).reshape(*z.shape[:-1], -1)
