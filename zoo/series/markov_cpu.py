"""The compiled loops of `markov_kernels` on tensors, for the functions of `markov`; the kernels are imported when first called."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .over_series import over_series

# Numbers that are kept of series side by side.
LANES = 10_000_000


def forward_backward(start: Tensor, transition: Tensor, emission: Tensor, gradient: bool) -> tuple[Tensor, Tensor, Tensor]:
    """As `markov_scan.forward_backward`."""
    from . import markov_kernels, markov_lanes

    series, steps, states = emission.shape
    abreast = series >= markov_lanes.FEWEST and markov_lanes.MOST * steps * states <= LANES
    kernel = markov_lanes.forward_backward if abreast else markov_kernels.forward_backward
    evidence, shares, counts = _run(kernel, start, transition, emission, gradient)
    lost = evidence.isnan()
    if abreast and lost.any():
        again = _run(markov_kernels.forward_backward, start[lost], transition[lost], emission[lost], gradient)
        for all_series, some in zip((evidence, shares, counts), again, strict=True):
            all_series[lost[: len(all_series)]] = some
    return evidence, shares, counts


def filter(start: Tensor, transition: Tensor, emission: Tensor) -> tuple[Tensor, Tensor]:
    """As `markov_scan.filter`."""
    from . import markov_kernels as kernels

    filtered = torch.empty(emission.shape, dtype=torch.double)
    increments = torch.empty(emission.shape[:-1], dtype=torch.double)
    _over_series(kernels.filter, emission.shape, start.double(), transition.double(), emission, filtered, increments)
    return filtered, increments


def viterbi(start: Tensor, transition: Tensor, emission: Tensor) -> Tensor:
    """(N, T) the likeliest path of each series; of equal ones, that of the lower states."""
    from . import markov_kernels as kernels

    paths = torch.empty(emission.shape[:-1], dtype=torch.long)
    _over_series(kernels.viterbi, emission.shape, start.double(), transition.double(), emission, paths)
    return paths


def sample(transition: Tensor, filtered: Tensor, uniform: Tensor) -> Tensor:
    """(N, T) a path of each series, given log p(z_t | x_1..t) and random numbers (N, T), one a step."""
    from . import markov_kernels as kernels

    paths = torch.empty(uniform.shape, dtype=torch.long)
    _over_series(kernels.sample, filtered.shape, transition.double(), filtered, uniform, paths)
    return paths


def _run(kernel: Callable, start: Tensor, transition: Tensor, emission: Tensor, gradient: bool) -> tuple[Tensor, Tensor, Tensor]:
    evidence = torch.empty(len(emission), dtype=torch.double)
    states = emission.new_empty(emission.shape if gradient else (0, *emission.shape[1:]))
    counts = transition.new_empty(transition.shape if gradient else (0, *transition.shape[1:]))
    _over_series(kernel, emission.shape, start, transition, emission, gradient, evidence, states, counts)
    return evidence, states, counts


def _over_series(kernel: Callable, shape: torch.Size, *given: Any) -> None:
    """Run a kernel on all series of `shape` (N, T, K)."""
    series, steps, states = shape
    over_series(kernel, series, series * steps * states**2, *given)
