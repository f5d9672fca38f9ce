"""Warm-up: what a Hamiltonian sampler learns before its draws count, from all chains together."""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial

import torch
from torch import Tensor

from .leapfrog import Point, State, Target, kinetic, leapfrog
from .space import Space

SOON = 15
SMALLEST, LARGEST = 2.0**-40, 2.0**20
NEGLIGIBLE = 10.0


@dataclass
class StepSize:
    """Dual averaging of the log step size towards a mean acceptance of `target` (Hoffman & Gelman 2014, section 3.2)."""

    target: float
    first: float = 1.0
    error: float = 0.0
    count: int = 0
    log_now: float = 0.0
    log_mean: float = 0.0

    def restart(self, first: float) -> None:
        """Begin anew at the step size `first`."""
        self.first, self.error, self.count = first, 0.0, 0
        self.log_now = self.log_mean = math.log(first)

    def learn(self, acceptance: float) -> None:
        """Take note of the mean acceptance of a transition."""
        self.count += 1
        n = self.count
        self.error += (self.target - acceptance - self.error) / (n + 10)
        self.log_now = math.log(10 * self.first) - math.sqrt(n) / 0.05 * self.error
        weight = n**-0.75
        self.log_mean = weight * self.log_now + (1 - weight) * self.log_mean

    @property
    def now(self) -> float:
        return math.exp(self.log_now)

    def settle(self) -> None:
        """Keep the mean from now on."""
        # The first steps of dual averaging are ten times the first size; their mean means nothing until a few have passed.
        self.log_now = self.log_mean if self.count >= SOON else math.log(self.first)

    def asdict(self) -> dict[str, float]:
        return asdict(self)


def windows(warmup: int) -> Iterator[tuple[int, int]]:
    """Stretches [begin, end) in which a space is learnt: after a first 15% and before a last 10%, each about twice the one before.

    None is shorter than 20 transitions, and 25 are left to learn the step size again; a short warm-up keeps its first space.
    """
    begin, last = round(0.15 * warmup), warmup - max(25, round(0.1 * warmup))
    size = max(20, (last - begin) // 15)
    while begin + size <= last:
        end = begin + size if begin + 3 * size <= last else last
        yield begin, end
        begin, size = end, 2 * size


def first_step_size(state: State, target: Target, space: Space, momentum: Tensor, acceptance: float, size: float) -> float:
    """The largest size at which one leapfrog is accepted with a probability of at least `acceptance`, over all chains.

    It is found among `size` times the powers of two.
    """
    point, before = Point(state.position, momentum, state.grad), kinetic(momentum) - state.log_density

    def accepted(size: float) -> bool:
        end, log_density = leapfrog(point, momentum.new_tensor(size), partial(target, space=space))
        error = (kinetic(end.momentum) - log_density - before).nan_to_num(nan=torch.inf)
        return float((-error).exp().clamp(max=1.0).mean()) > acceptance

    if accepted(size):
        while size < LARGEST and accepted(2 * size):
            size *= 2
    else:
        while size > SMALLEST and not accepted(size):
            size /= 2
    return size


def hopeless(positions: Tensor, log_densities: Tensor) -> Tensor:
    """(chain,) whether a chain sits in a mode of no weight beside the others', by its draws (draw, chain, dim) and (draw, chain).

    The log weight of a mode is, up to a constant, the mean log density of draws from it and half the log determinant of their
    covariance (exact for Gaussian modes). A chain is hopeless where that falls short of the best quarter's by 10 nats, e^-10 of
    the weight, and four standard errors. Draws too few for the determinant judge no chain.
    """
    count, chains, dim = positions.shape
    if count < 4 * dim:
        return torch.zeros(chains, dtype=torch.bool, device=positions.device)
    centered = (positions - positions.mean(0)).double().transpose(0, 1)
    weight = log_densities.mean(0) + 0.5 * torch.linalg.slogdet(centered.mT @ centered / count).logabsdet
    independent = max(1.0, count / 4)
    error = ((log_densities.var(0) + dim / 2) / independent).sqrt()
    best = weight.quantile(0.75, interpolation="higher")
    return ~(best - weight < NEGLIGIBLE + 4 * error)
