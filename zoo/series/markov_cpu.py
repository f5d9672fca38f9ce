"""Compiled loops along hidden Markov chains on tensors, for the functions of `markov`; the loops are imported when first called."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .over_series import over_series


def forward_backward(start: Tensor, transition: Tensor, emission: Tensor, gradient: bool) -> tuple[Tensor, Tensor, Tensor]:
    """As `markov_scan.forward_backward`."""
    from . import markov_loops as loops

    evidence = torch.empty(len(emission), dtype=torch.double)
    states = emission.new_empty(emission.shape if gradient else (0, *emission.shape[1:]))
    counts = transition.new_empty(transition.shape if gradient else (0, *transition.shape[1:]))
    _over_series(loops.forward_backward, emission.shape, start, transition, emission, gradient, evidence, states, counts)
    return evidence, states, counts


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


def _over_series(kernel: Callable, shape: torch.Size, *given: Any) -> None:
    """Run a kernel on all series of `shape` (N, T, K)."""
    series, steps, states = shape
    over_series(kernel, series, series * steps * states**2, *given)
