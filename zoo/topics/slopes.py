"""How a text's words pull at its mixture: the slope of their log density, which an encoder is told.

With words' probabilities p in a text of n words, (x_v - n p_v) / p_v is what word v asks of p_v; of a mixture theta it asks as much as
p_v changes with theta. What is missing asks nothing.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from inference.missing import observed


class Slope(NamedTuple):
    """at: (rows, K) mixtures -> (rows, K) slopes there. first (rows, K): where to begin. length (rows, 1): how many words there are."""

    at: Callable[[Tensor], Tensor]
    first: Tensor
    length: Tensor


def of_products(x: Tensor, weights: Tensor, background: Tensor) -> Slope:
    """Where p = softmax(background + mixture @ weights): counts x (rows, V), weights (K, V), background (V,). It begins without topics."""
    counts, seen = observed(x)
    length = counts.sum(-1, keepdim=True)

    def at(mixture: Tensor) -> Tensor:
        words = (background + mixture @ weights).softmax(-1) * seen
        return (counts - length * _shares(words)) @ weights.mT

    return Slope(at, x.new_zeros(len(x), len(weights)), length)


def of_sums(x: Tensor, topics: Tensor) -> Slope:
    """Where p = mixture @ topics: counts x (rows, V), topics (K, V). It begins with as much of each."""
    counts, seen = observed(x)
    length, tiny = counts.sum(-1, keepdim=True), torch.finfo(x.dtype).tiny

    def at(mixture: Tensor) -> Tensor:
        words = (mixture @ topics).clamp(min=tiny)
        share = (words * seen).sum(-1, keepdim=True).clamp(min=tiny)
        return (counts / words - seen * length / share) @ topics.mT

    return Slope(at, x.new_full((len(x), len(topics)), 1 / len(topics)), length)


def _shares(words: Tensor) -> Tensor:
    return words / words.sum(-1, keepdim=True).clamp(min=torch.finfo(words.dtype).tiny)
