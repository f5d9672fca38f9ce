"""Linear Gaussian state space models: the log evidence of a batch of series as one differentiable operator, and their states.

z_1 ~ Normal(0, start), z_t ~ Normal(transition z_t-1, drift), x_t ~ Normal(loadings z_t, noise), the noise independent by column and
the drift by state: correlated drift is uncorrelated in other axes of the states. Every function takes these, whose batch shapes
broadcast:

- start, drift: (*batch, K) variances; transition: (*batch, K, K), to a state (row) from those before (column);
- loadings: (*batch, D, K); noise: (*batch, D) variances;
- x: (*batch, T, D), `NaN` where nothing is seen; a step of which nothing is seen changes nothing before it.

They are compiled loops on the CPU (`kalman_kernels`), in double precision; tensors elsewhere are taken there and back.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.library import custom_op

from inference.native.direct import called_from_c

from ..batched import batched
from .over_series import differentiable, flat, over_series, together

# How many axes each of the six arguments has.
DIMS = (1, 2, 1, 2, 1, 2)


def log_evidence(*given: Tensor) -> Tensor:
    """log p(x), (*batch) in double precision, with a gradient in each argument (a first one: none of the gradient)."""
    return _log_evidence(*together(DIMS, *given))


def smoothed(*given: Tensor) -> tuple[Tensor, Tensor]:
    """Means and variances of z_t given x, (*batch, T, K) each."""
    return _smooth(*together(DIMS, *given))


def filtered(*given: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Means and variances of z_t given x_1..t, (*batch, T, K) each, and log p(x_t | x_1..t-1) (*batch, T)."""
    return _filter(*together(DIMS, *given))


def follow(transition: Tensor, shocks: Tensor) -> Tensor:
    """(*batch, T, K) states that begin at the first of `shocks` (*batch, T, K), the others being added to each step."""
    return _follow(*together((2, 2), transition, shocks))


@custom_op("zoo::kalman_evidence", mutates_args=())
def _evidence(
    start: Tensor, transition: Tensor, drift: Tensor, loadings: Tensor, noise: Tensor, x: Tensor, gradient: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Log evidence, and its gradient in each of the six arguments; these are empty unless `gradient`."""
    from . import kalman_kernels as kernels

    given = (start, transition, drift, loadings, noise, x)
    arrays = _arrays(*given)
    logs = torch.empty(len(arrays[-1]), dtype=torch.double)
    grads = [torch.empty(a.shape if gradient else (0, *a.shape[1:]), dtype=torch.double) for a in arrays]
    _run(kernels.evidence, arrays, gradient, logs, tuple(g.numpy() for g in grads))
    like = [g.reshape(t.shape if gradient else 0).to(t) for g, t in zip(grads, given, strict=True)]
    return logs.reshape(x.shape[:-2]).to(x.device), *like


def _loops() -> Callable[..., None]:
    from .kalman_kernels import evidence_at

    return evidence_at


called_from_c(_evidence, "nk nkk nk ndk nd ntd -> n mk mkk mk mdk md mtd", _loops)


@_evidence.register_fake
def _(
    start: Tensor, transition: Tensor, drift: Tensor, loadings: Tensor, noise: Tensor, x: Tensor, gradient: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    given = (start, transition, drift, loadings, noise, x)
    return x.new_empty(x.shape[:-2], dtype=torch.double), *(t.new_empty(t.shape if gradient else 0) for t in given)


_log_evidence = differentiable(_evidence, DIMS)


@custom_op("zoo::kalman_smooth", mutates_args=())
def _smooth(start: Tensor, transition: Tensor, drift: Tensor, loadings: Tensor, noise: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    from . import kalman_kernels as kernels

    shape = (*x.shape[:-1], start.shape[-1])
    means, variances = (torch.empty(shape, dtype=torch.double) for _ in range(2))
    _run(kernels.smooth, _arrays(start, transition, drift, loadings, noise, x), flat(means, 2), flat(variances, 2))
    return means.to(x), variances.to(x)


@custom_op("zoo::kalman_filter", mutates_args=())
def _filter(start: Tensor, transition: Tensor, drift: Tensor, loadings: Tensor, noise: Tensor, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    from . import kalman_kernels as kernels

    shape = (*x.shape[:-1], start.shape[-1])
    means, variances = (torch.empty(shape, dtype=torch.double) for _ in range(2))
    logs = torch.empty(x.shape[:-1], dtype=torch.double)
    _run(kernels.filter, _arrays(start, transition, drift, loadings, noise, x), flat(means, 2), flat(variances, 2), flat(logs, 1))
    return means.to(x), variances.to(x), logs.to(x.device)


@custom_op("zoo::kalman_follow", mutates_args=())
def _follow(transition: Tensor, shocks: Tensor) -> Tensor:
    from . import kalman_kernels as kernels

    states = torch.empty(shocks.shape, dtype=torch.double)
    steps = flat(shocks, 2).cpu().double()
    over_series(kernels.follow, len(steps), steps.numel() * shocks.shape[-1], flat(transition, 2).cpu().double(), steps, flat(states, 2))
    return states.to(shocks)


def _arrays(*given: Tensor) -> list[Tensor]:
    return [flat(t, dims).cpu().double() for t, dims in zip(given, DIMS, strict=True)]


def _run(kernel: Any, arrays: list[Tensor], *out: Any) -> None:
    series, steps, columns = arrays[-1].shape
    states = arrays[0].shape[-1]
    over_series(kernel, series, series * steps * (columns + states) * states**2, *arrays, *out)


for _operator in (_evidence, _smooth, _filter, _follow):
    batched(_operator)
