"""The log evidence of many series of hidden Markov chains, and its gradients: by the fastest loops that lose nothing of each."""

from typing import Any

import numpy as np
from numba import carray

from . import markov_kernels, markov_lanes
from .markov_kernels import compiled

# Numbers that are kept of series side by side.
LANES = 10_000_000

_one_by_one, _side_by_side = markov_kernels.forward_backward, markov_lanes.forward_backward
_FEWEST, _MOST = markov_lanes.FEWEST, markov_lanes.MOST


@compiled
def forward_backward(
    begin: int,
    end: int,
    start: np.ndarray,
    transition: np.ndarray,
    emission: np.ndarray,
    gradient: bool,
    evidence: np.ndarray,
    smoothed: np.ndarray,
    counts: np.ndarray,
) -> None:
    """As that of `markov_kernels`."""
    series, steps, states = emission.shape
    if series < _FEWEST or _MOST * steps * states > LANES:
        _one_by_one(begin, end, start, transition, emission, gradient, evidence, smoothed, counts)
        return
    _side_by_side(begin, end, start, transition, emission, gradient, evidence, smoothed, counts)
    for n in range(begin, end):
        if np.isnan(evidence[n]):
            _one_by_one(n, n + 1, start, transition, emission, gradient, evidence, smoothed, counts)


def forward_backward_at(start: Any, transition: Any, emission: Any, evidence: Any, smoothed: Any, counts: Any, sizes: Any) -> None:
    """The same of all series, for `inference.native`: pointers to each tensor, and to sizes and `gradient`."""
    told = carray(sizes, 6)
    series, states, moves, steps, asked, gradient = told[0], told[1], told[2], told[3], told[4], told[5] != 0
    forward_backward(
        0,
        series,
        carray(start, (series, states)),
        carray(transition, (series, moves, states, states)),
        carray(emission, (series, steps, states)),
        gradient,
        carray(evidence, series),
        carray(smoothed, (asked, steps, states)),
        carray(counts, (asked, moves, states, states)),
    )
