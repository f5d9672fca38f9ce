"""Paths between rows through their latents: straight, along a sphere, and along the geodesic of the decoder's metric."""

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor
from torch.func import grad_and_value

from ..graphs.graph import traced
from ..run import at_least
from ..suggest import unknown
from .decoding import Decoder, codes, decoder

if TYPE_CHECKING:
    from ..posterior import Posterior

# Pieces in which a path is measured, sines that a geodesic is made of, draws over which the decoder is averaged.
PIECES, SINES, DRAWS = 64, 12, 20
ITERATIONS = 500


class Path(NamedTuple):
    """latents: (pairs, step, Q) on the way from the first row of each pair to the second. rows: (pairs, step, ...) the means of the
    rows that have them. length: (pairs,) of the way, in the space of rows."""

    latents: Tensor
    rows: Tensor
    length: Tensor


def interpolate(posterior: "Posterior", a: Any, b: Any, steps: int, path: str) -> Path:
    """See `Posterior.interpolate`."""
    at_least(2, steps=steps)
    if path not in WAYS:
        raise ValueError(unknown("path", path, WAYS))
    first, last = codes(posterior, a), codes(posterior, b)
    if len(first) != len(last):
        raise ValueError(f"a has {len(first)} rows and b has {len(last)}; a path goes from each row of a to the same of b")
    program, decode = decoder(posterior, DRAWS)
    fine = WAYS[path](first, last, torch.linspace(0, 1, PIECES + 1, dtype=first.dtype, device=first.device), decode)
    measure = traced(lambda z: decode(z.flatten(0, 1)).unflatten(0, z.shape[:2]), fine, missing=False)
    pieces = measure(fine).diff(dim=1).norm(dim=-1)
    at = torch.linspace(0, 1, steps, dtype=first.dtype, device=first.device)
    latents = _at_even_speed(fine, pieces, at) if path == "geodesic" else WAYS[path](first, last, at, decode)
    rows = traced(lambda z: decode(z), latents.flatten(0, 1), missing=False)(latents.flatten(0, 1))
    return Path(latents, rows.reshape(*latents.shape[:2], *program.x.shape[1:]), pieces.sum(1))


def straight(first: Tensor, last: Tensor, at: Tensor, decode: Decoder) -> Tensor:
    """(pairs, step, Q) from `first` (pairs, Q) to `last`, at the fractions `at` (step,) of the way."""
    return first[:, None] + at[:, None] * (last - first)[:, None]


def spherical(first: Tensor, last: Tensor, at: Tensor, decode: Decoder) -> Tensor:
    """The same along the great circle, the length changing evenly in its turn.

    Draws of a standard normal lie near a sphere, which a straight way leaves. Raises ValueError for two that lie opposite.

    Source: Shoemake 1985, "Animating rotation with quaternion curves", SIGGRAPH; White 2016, "Sampling generative networks".
    """
    lengths = torch.stack([first.norm(dim=1), last.norm(dim=1)])
    cosine = ((first * last).sum(1) / lengths.prod(0).clamp(min=1e-30)).clamp(-1, 1)
    angle = cosine.acos()[:, None, None]
    opposite = (math.pi - angle.flatten() < 1e-3).nonzero()
    if len(opposite):
        raise ValueError(f"the latents of row {int(opposite[0])} of a and of b lie opposite: no way round is the shortest; go straight")
    t = at[:, None]
    turned = (((1 - t) * angle).sin() * first[:, None] + (t * angle).sin() * last[:, None]) / angle.sin()
    return torch.where(angle < 1e-3, straight(first, last, at, decode), turned)


def geodesic(first: Tensor, last: Tensor, at: Tensor, decode: Decoder) -> Tensor:
    """The same along the way on which the mean of the row changes least: the geodesic of the metric J'J, J the decoder's Jacobian.

    It minimises the energy, the sum of squared changes of the row over small steps, among the straight way and `SINES` sines in
    each latent. Where there are several geodesics it is the one reached from the straight way.

    Source: Arvanitidis, Hansen & Hauberg 2018, "Latent space oddity: on the curvature of deep generative models", ICLR, of which
    this is the mean's part; Shao, Kumar & Fletcher 2018, "The Riemannian geometry of deep generative models", CVPR (the energy).
    """
    numbers = torch.arange(1, SINES + 1, dtype=at.dtype, device=at.device)
    # Of one energy each where the decoder is linear.
    sines = (math.pi * at[:, None] * numbers).sin() / numbers
    begin = straight(first, last, at, decode)

    def energy(amplitudes: Tensor) -> Tensor:
        way = begin + sines @ amplitudes
        return (len(at) - 1) * decode(way.flatten(0, 1)).unflatten(0, way.shape[:2]).diff(dim=1).square().sum()

    nothing = begin.new_zeros(len(first), SINES, first.shape[1])
    step = traced(grad_and_value(energy), nothing, missing=False)
    unit = max(float(step(nothing)[1]), 1e-30)

    def scaled(flat: np.ndarray) -> tuple[float, np.ndarray]:
        grad, value = step(torch.as_tensor(flat).to(nothing).reshape(nothing.shape))
        return float(value) / unit, (grad / unit).double().cpu().numpy().ravel()

    found = minimize(scaled, np.zeros(nothing.numel()), jac=True, method="L-BFGS-B", options={"maxiter": ITERATIONS})
    return begin + sines @ torch.as_tensor(found.x).to(nothing).reshape(nothing.shape)


def _at_even_speed(fine: Tensor, pieces: Tensor, at: Tensor) -> Tensor:
    """(pairs, step, Q) where a path of many points has gone the fractions `at` of its length."""
    gone = torch.cat([pieces.new_zeros(len(pieces), 1), pieces.cumsum(1)], 1)
    gone = gone / gone[:, -1:].clamp(min=1e-30)
    right = torch.searchsorted(gone, at.expand(len(gone), -1).contiguous()).clamp(1, gone.shape[1] - 1)
    low, high = gone.gather(1, right - 1), gone.gather(1, right)
    share = ((at - low) / (high - low).clamp(min=1e-30))[..., None]
    index = right[..., None].expand(-1, -1, fine.shape[2])
    return fine.gather(1, index - 1).lerp(fine.gather(1, index), share)


WAYS = {"straight": straight, "spherical": spherical, "geodesic": geodesic}
