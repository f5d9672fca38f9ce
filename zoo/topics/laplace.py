"""What mixture of given topics a text is, where the logits of mixtures are Gaussian: Laplace's approximation, found anew for each text.

For a text x of n words, topics phi and logits eta ~ Normal(mu, P^-1), theta = softmax(eta), the log density has the slope

    s_k = c_k - n theta_k - (P (eta - mu))_k,    c_k = sum_v x_v r_vk,    r_vk = theta_k phi_kv / sum_j theta_j phi_jv,

and Newton steps are taken with the curvature that it would have if the topic of each word were known,
H = n (diag theta - theta theta') + P, which is never too small. The Gaussian at the mode has the curvature of the density itself.

Source: Wang & Blei 2013, "Variational inference in nonconjugate models", JMLR 14; Lange 1995, "A gradient algorithm locally equivalent
to the EM algorithm", JRSS-B 57, for the steps.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.library import custom_op

from ..batched import batched

# Rounds by the curvature that there would be if topics were known, and then by that of the density.
ROUNDS, LAST = 15, 5
# How far a logit goes in one step, and how much of the prior's precision the Gaussian keeps, at least.
FARTHEST, LEAST = 2.0, 0.1


class Laplace(NamedTuple):
    """mode (*batch, N, K) and precision_tril (*batch, N, K, K) of the logits of N texts; words (*batch, K, V): how many of each have
    each topic."""

    mode: Tensor
    precision_tril: Tensor
    words: Tensor


def laplace(x: Tensor, topics: Tensor, loc: Tensor, precision: Tensor) -> Laplace:
    """The texts' logits, given topics (*batch, K, V), loc (*batch, N, K) and precision (*batch, K, K). No gradient goes through them.

    x: (*batch, N, V) counts; `NaN` counts as zero.
    """
    given = (t.detach() for t in (x, topics, loc.expand(*loc.shape[:-2], x.shape[-2], -1), precision))
    return Laplace(*_laplace(*given))


@custom_op("zoo::laplace", mutates_args=())
def _laplace(x: Tensor, topics: Tensor, loc: Tensor, precision: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    x = x.nan_to_num(nan=0.0)
    tiny, total = torch.finfo(x.dtype).tiny, x.sum(-1, keepdim=True)

    def moved(logits: Tensor, factor: Tensor | None) -> Tensor:
        mixture = logits.softmax(-1)
        slope = mixture * ((x / (mixture @ topics).clamp(min=tiny)) @ topics.mT) - total * mixture - (logits - loc) @ precision
        if factor is None:
            factor = torch.linalg.cholesky_ex(_if_known(mixture, total) + precision[..., None, :, :])[0]
        step = torch.cholesky_solve(slope[..., None], factor)[..., 0]
        return logits + step * (FARTHEST / step.abs().amax(-1, keepdim=True).clamp(min=FARTHEST))

    logits, factor = loc.clone(), None
    for rounds in (ROUNDS, LAST):
        for _ in range(rounds):
            logits = moved(logits, factor)
        mixture = logits.softmax(-1)
        share = x / (mixture @ topics).clamp(min=tiny)
        factor = _factor(mixture, share, total, topics, precision)
    return logits, factor.contiguous(), topics * (mixture.mT @ share)


@_laplace.register_fake
def _(x: Tensor, topics: Tensor, loc: Tensor, precision: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    batch = torch.broadcast_shapes(x.shape[:-2], topics.shape[:-2], loc.shape[:-2], precision.shape[:-2])
    shape = *batch, *loc.shape[-2:]
    return x.new_empty(shape), x.new_empty(*shape, shape[-1]), x.new_empty(*batch, *topics.shape[-2:])


batched(_laplace)


def _if_known(mixture: Tensor, total: Tensor) -> Tensor:
    """(*batch, N, K, K) the curvature of a text's words if the topic of each were known."""
    return total[..., None] * (torch.diag_embed(mixture) - mixture[..., :, None] * mixture[..., None, :])


def _factor(mixture: Tensor, share: Tensor, total: Tensor, topics: Tensor, precision: Tensor) -> Tensor:
    """(*batch, N, K, K) the Cholesky factor of the curvature at the mode; where that is hardly positive, of the one with known topics."""
    count, tiny = mixture.shape[-1], torch.finfo(mixture.dtype).tiny
    # sum_v x_v r_vj r_vk, and sum_v x_v r_vk: words whose topic is not known bend the density less.
    precision = precision[..., None, :, :]
    pairs = (topics[..., :, None, :] * topics[..., None, :, :]).flatten(-3, -2)
    shown = ((share / (mixture @ topics).clamp(min=tiny)) @ pairs.mT).unflatten(-1, (count, count))
    both = mixture[..., :, None] * mixture[..., None, :] * shown
    each = mixture * (share @ topics.mT)
    known = _if_known(mixture, total)
    found = known - torch.diag_embed(each) + both
    steep = torch.linalg.cholesky_ex(found + (1 - LEAST) * precision)[1] == 0
    return torch.linalg.cholesky_ex(torch.where(steep[..., None, None], found, known) + precision)[0]
