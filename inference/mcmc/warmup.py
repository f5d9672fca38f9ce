"""Warm-up: what a Hamiltonian sampler learns before its draws count, from all chains together."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from .metric import Metric
from .nuts import Density, State, kernel

TARGET = 0.8
DENSE_UP_TO = 100


class StepSize:
    """Dual averaging of the log step size towards a mean acceptance of `TARGET` (Hoffman & Gelman 2014, section 3.2)."""

    def __init__(self, first: float) -> None:
        self.restart(first)

    def restart(self, first: float) -> None:
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
        return math.exp(self._log_mean)


def windows(warmup: int) -> Iterator[tuple[int, int]]:
    """Stretches [begin, end) of slow adaptation: after a first 15% and before a last 10%, each about twice the one before."""
    begin, last = round(0.15 * warmup), warmup - round(0.1 * warmup)
    size = max(20, (last - begin) // 15)
    while begin < last:
        end = begin + size if begin + 3 * size <= last else last
        yield begin, end
        begin, size = end, 2 * size


def first_step_size(state: State, density: Density, metric: Metric) -> float:
    """A step size at which one leapfrog is accepted with probability near `TARGET`, found by halving or doubling from one."""
    size, direction = 1.0, 0
    for _ in range(50):
        step = torch.full_like(state.log_density, size)
        _, info = kernel(state, density, step, metric, max_depth=1)
        accepted = float(info.acceptance_rate.nan_to_num(0.0).mean()) > TARGET
        turn = 1 if accepted else -1
        if direction and turn != direction:
            break
        direction = turn
        size *= 2.0**turn
    return size


def as_steps(size: float, like: Tensor) -> Tensor:
    """The step size for every chain, (chain,)."""
    return torch.full_like(like, size)
