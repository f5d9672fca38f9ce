"""Rows that one normal distribution describes, or does not, and a fit of it that is exact."""

import functools
from collections.abc import Callable

import torch
from torch import Tensor

import inference
import zoo
from inference import Posterior


@functools.cache
def one_normal(make: Callable[[], Tensor]) -> Posterior:
    """A mixture of one component, whose guide starts at the exact posterior."""
    x = make()
    pair = zoo.create("gmm", x, components=1)
    return inference.svi(pair, x, steps=1, draws=1000, progress=False, compile=False, device="cpu")


def normal_rows() -> Tensor:
    return torch.randn(200, 2, generator=torch.Generator().manual_seed(0)) @ torch.tensor([[1.0, 0.7], [0.0, 0.7]])


def rows_with_holes() -> Tensor:
    x = normal_rows()
    x[::3, 1] = torch.nan
    return x


def heavy_tails() -> Tensor:
    """Student's t with two degrees of freedom."""
    generator = torch.Generator().manual_seed(0)
    chi = torch.randn(200, 2, 2, generator=generator).square().sum(-1) / 2
    return torch.randn(200, 2, generator=generator) / chi.sqrt()


def two_clumps() -> Tensor:
    x = normal_rows()
    x[:70, 0] += 8.0
    return x
