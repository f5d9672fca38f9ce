"""Microcanonical trajectories chain by chain, in compiled loops: `microcanonical` says what they are."""

import numpy as np
from numba import njit

from ..native.calling import Calls
from .chain_loops import gradient_of, logaddexp
from .microcanonical import LEAST, Point


@njit(cache=True, nogil=True, error_model="numpy")
def travel(point: Point, step: np.ndarray, steps: int, calls: Calls, first: int, last: int, thread: int) -> None:
    """Trajectories of `steps` steps, of the chains [first, last): a `microcanonical.Point` of arrays, step (chain,)."""
    for chain in range(first, last):
        x, v, g, aside = point.position[chain], point.velocity[chain], point.grad[chain], point.aside[chain]
        size, gained = np.float64(step[chain]), 0.0
        for _ in range(steps):
            gained += turn(v, g, aside[0], 0.5 * size)
            for i in range(len(x)):
                x[i] += size * v[i]
            aside[0] += size * v[-1]
            gradient_of(chain, thread, calls)
            gained += turn(v, g, aside[0], 0.5 * size)
        point.gained[chain] += gained


@njit(cache=True, nogil=True, error_model="numpy")
def turn(velocity: np.ndarray, grad: np.ndarray, aside: float, time: float) -> float:
    """Turn the velocity by the force for a time; the kinetic energy gained."""
    n, last = len(velocity), len(grad)
    square, product = np.float64(aside) ** 2, -np.float64(velocity[last]) * aside
    for i in range(last):
        square += np.float64(grad[i]) ** 2
        product += np.float64(velocity[i]) * grad[i]
    speed, strength = np.sqrt(n), max(np.sqrt(square), LEAST)
    cosine = min(1.0, max(-1.0, product / (speed * strength)))
    turned = time * strength * speed / (n - 1)
    left = np.exp(-turned)
    ahead, length = speed / strength * (1 - left) * (1 + left + cosine * (1 - left)), 0.0
    for i in range(n):
        velocity[i] = ahead * (grad[i] if i < last else -aside) + 2 * left * velocity[i]
        length += np.float64(velocity[i]) ** 2
    for i in range(n):
        velocity[i] *= speed / np.sqrt(length)
    return (n - 1) * (turned + logaddexp(np.log((1 + cosine) / 2), np.log((1 - cosine) / 2) - 2 * turned))
