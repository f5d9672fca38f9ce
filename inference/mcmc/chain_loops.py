"""Chains that go on by themselves, in compiled loops: each computes its own gradients, by a C function."""

import math

import numpy as np
from numba import njit

from ..native.calling import Calls, call
from .leapfrog import Point


@njit(cache=True, nogil=True)
def gradient_of(chain: int, thread: int, calls: Calls) -> None:
    """Compute the gradient of a chain where it is."""
    inputs, outputs = calls.inputs[chain].ctypes.data, calls.outputs[chain].ctypes.data
    call(calls.address, inputs, outputs, calls.work[thread].ctypes.data)


@njit(cache=True, nogil=True)
def evaluate(calls: Calls, first: int, last: int, thread: int) -> None:
    """The gradients of the chains [first, last) where they are."""
    for chain in range(first, last):
        gradient_of(chain, thread, calls)


@njit(cache=True, nogil=True)
def travel(point: Point, step: np.ndarray, steps: int, calls: Calls, first: int, last: int, thread: int) -> None:
    """Trajectories of `steps` leapfrogs, of the chains [first, last): a `leapfrog.Point` of arrays, step (chain,)."""
    for chain in range(first, last):
        x, p, g, size = point.position[chain], point.momentum[chain], point.grad[chain], step[chain]
        for _ in range(steps):
            for i in range(len(x)):
                p[i] += 0.5 * size * g[i]
                x[i] += size * p[i]
            gradient_of(chain, thread, calls)
            for i in range(len(x)):
                p[i] += 0.5 * size * g[i]


@njit(cache=True, error_model="numpy")
def kinetic(momentum: np.ndarray) -> float:
    """The kinetic energy of a chain, in double precision."""
    total = 0.0
    for p in momentum:
        total += 0.5 * np.float64(p) * np.float64(p)
    return total


@njit(cache=True, error_model="numpy")
def logaddexp(a: float, b: float) -> float:
    """log(exp(a) + exp(b)), of which either may be nothing."""
    most, least = max(a, b), min(a, b)
    return most if least == -np.inf else most + math.log1p(math.exp(least - most))
