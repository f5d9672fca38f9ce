"""Warm-up: what a Hamiltonian sampler learns before its draws count, from all chains together."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from .metric import Metric
from .nuts import Density, State, kernel

TARGET = 0.8
DENSE_UP_TO = 100
SOON = 15
SMALLEST, LARGEST = 2.0**-40, 2.0**20


class StepSize:
    """Dual averaging of the log step size towards a mean acceptance of `TARGET` (Hoffman & Gelman 2014, section 3.2)."""

    def __init__(self, first: float) -> None:
        self.restart(first)

    def restart(self, first: float) -> None:
        self._first = first
        self._center, self._error, self._count = math.log(10 * first), 0.0, 0
        self.log_now = self._log_mean = math.log(first)

    def learn(self, acceptance: float) -> None:
        self._count += 1
        n = self._count
        self._error += (TARGET - acceptance - self._error) / (n + 10)
        self.log_now = self._center - math.sqrt(n) / 0.05 * self._error
        weight = n**-0.75
        self._log_mean = weight * self.log_now + (1 - weight) * self._log_mean

    @property
    def now(self) -> float:
        return math.exp(self.log_now)

    @property
    def settled(self) -> float:
        # The first steps of dual averaging are ten times the first size; their mean means nothing until a few have passed.
        return math.exp(self._log_mean) if self._count >= SOON else self._first


def windows(warmup: int) -> Iterator[tuple[int, int]]:
    """Stretches [begin, end) in which a metric is learnt: after a first 15% and before a last 10%, each about twice the one before.

    None is shorter than 20 transitions, and 25 are left to learn the step size again; a short warm-up keeps its first metric.
    """
    begin, last = round(0.15 * warmup), warmup - max(25, round(0.1 * warmup))
    size = max(20, (last - begin) // 15)
    while begin + size <= last:
        end = begin + size if begin + 3 * size <= last else last
        yield begin, end
        begin, size = end, 2 * size


def first_step_size(state: State, density: Density, metric: Metric) -> float:
    """The largest power of two at which one leapfrog is accepted with a probability of at least `TARGET`, over all chains."""

    def accepted(size: float) -> bool:
        _, info = kernel(state, density, as_steps(size, state.log_density), metric, max_depth=1)
        return float(info.acceptance_rate.nan_to_num(0.0).mean()) > TARGET

    size = 1.0
    if accepted(size):
        while size < LARGEST and accepted(2 * size):
            size *= 2
    else:
        while size > SMALLEST and not accepted(size):
            size /= 2
    return size


def as_steps(size: float, like: Tensor) -> Tensor:
    """The step size for every chain, (chain,)."""
    return torch.full_like(like, size)
