"""What mixture of given topics a text is: a Dirichlet for each text, found by a fixed point, and no table by text.

For texts x with words of topics phi, whose mixtures theta ~ Dirichlet(alpha), the approximation q(theta) = Dirichlet(gamma) solves

    gamma_k = alpha_k + sum_v x_v r_vk,    r_vk = w_k phi_kv / sum_j w_j phi_jv,    w_k = exp E[log theta_k].

Source: Blei, Ng & Jordan 2003, "Latent Dirichlet allocation", JMLR 3, section 5.2.
"""

import torch
from torch import Tensor
from torch.library import custom_op

from ..batched import batched

# Rounds at most, and by how much a shape moves, on average over topics, when it is near enough.
MOST, NEAR = 100, 1e-3


def fold_in(x: Tensor, topics: Tensor, concentration: Tensor) -> tuple[Tensor, Tensor]:
    """The shapes gamma (*batch, N, K) of the texts' mixtures, and how many words each topic has (*batch, K, V), summed over texts.

    No gradient goes through them: at the fixed point the bound that it is the maximum of does not move with gamma.

    Arguments:
        x: (*batch, N, V) counts; `NaN` counts as zero. topics: (*batch, K, V), up to a factor for each. concentration: (*batch, K).
    """
    given = (t.detach() for t in (x, topics, concentration))
    return _fold_in(*given)


@custom_op("zoo::fold_in", mutates_args=())
def _fold_in(x: Tensor, topics: Tensor, concentration: Tensor) -> tuple[Tensor, Tensor]:
    batch = torch.broadcast_shapes(x.shape[:-2], topics.shape[:-2], concentration.shape[:-1])
    if not batch:
        return _one(x, topics, concentration)
    given = ((x, 2), (topics, 2), (concentration, 1))
    parts = zip(*(t.expand(*batch, *t.shape[-n:]).reshape(-1, *t.shape[-n:]) for t, n in given), strict=True)
    shapes, counts = zip(*(_one(*part) for part in parts), strict=True)
    return tuple(torch.stack(found).reshape(*batch, *found[0].shape) for found in (shapes, counts))


def _one(x: Tensor, topics: Tensor, concentration: Tensor) -> tuple[Tensor, Tensor]:
    if x.device.type != "cpu":
        return _dense(x, topics, concentration)
    from .fold_in_kernels import fold_in as kernel

    by_word = topics.mT.contiguous()
    shapes, counts = x.new_empty(len(x), len(topics)), torch.zeros_like(by_word)
    arrays = (t.contiguous().numpy() for t in (x, by_word, concentration))
    kernel(*arrays, MOST, NEAR, shapes.numpy(), counts.numpy())
    return shapes, counts.mT.contiguous()


def _dense(x: Tensor, topics: Tensor, concentration: Tensor) -> tuple[Tensor, Tensor]:
    """The same by matrix products, all texts for as many rounds as the slowest of them; the device is asked every ten."""
    x = x.nan_to_num(nan=0.0)
    shapes = concentration + x.sum(-1, keepdim=True) / len(concentration)
    tiny = torch.finfo(x.dtype).tiny
    for number in range(MOST):
        weights = shapes.digamma().exp()
        new = concentration + weights * ((x / (weights @ topics).clamp(min=tiny)) @ topics.mT)
        moved, shapes = (new - shapes).abs().mean(-1).amax(), new
        if number % 10 == 9 and bool(moved < NEAR):
            break
    return shapes, words_of(x, shapes.digamma().exp(), topics)


def words_of(x: Tensor, mixture: Tensor, topics: Tensor) -> Tensor:
    """(K, V) how many of each word have each topic, in expectation, in texts x (N, V) with mixtures (N, K), each up to a factor. `NaN`
    counts as zero."""
    words = (mixture @ topics).clamp(min=torch.finfo(x.dtype).tiny)
    return topics * (mixture.mT @ (x.nan_to_num(nan=0.0) / words))


@_fold_in.register_fake
def _(x: Tensor, topics: Tensor, concentration: Tensor) -> tuple[Tensor, Tensor]:
    batch = torch.broadcast_shapes(x.shape[:-2], topics.shape[:-2], concentration.shape[:-1])
    return x.new_empty(*batch, x.shape[-2], topics.shape[-2]), x.new_empty(*batch, *topics.shape[-2:])


batched(_fold_in)
