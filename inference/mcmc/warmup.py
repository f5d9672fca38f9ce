"""Warm-up: what a Hamiltonian sampler learns before its draws count, from all chains together."""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from .leapfrog import Point, State, Target, kinetic, leapfrog
from .space import Space

Number = float | np.ndarray
SOON = 15
SMALLEST, LARGEST = 2.0**-40, 2.0**20
NEGLIGIBLE = 10.0


@dataclass
class StepSize:
    """Dual averaging of the log step size towards a mean acceptance of `target` (Hoffman & Gelman 2014, section 3.2).

    Numbers are one for all chains, or (chain,) where each chain learns a step size of its own.
    """

    target: float
    first: Number = 1.0
    error: Number = 0.0
    count: int = 0
    log_now: Number = 0.0
    log_mean: Number = 0.0

    def restart(self, first: Number) -> None:
        """Begin anew at the step size `first`."""
        self.first, self.error, self.count = first, 0.0, 0
        self.log_now = self.log_mean = np.log(first)

    def learn(self, acceptance: Number) -> None:
        """Take note of the mean acceptance of a transition."""
        self.count += 1
        n = self.count
        self.error += (self.target - acceptance - self.error) / (n + 10)
        self.log_now = np.log(10 * self.first) - math.sqrt(n) / 0.05 * self.error
        weight = n**-0.75
        self.log_mean = weight * self.log_now + (1 - weight) * self.log_mean

    @property
    def now(self) -> Number:
        return np.exp(self.log_now)

    def settle(self) -> None:
        """Keep the mean from now on."""
        # The first steps of dual averaging are ten times the first size; their mean means nothing until a few have passed.
        self.log_now = self.log_mean if self.count >= SOON else np.log(self.first)

    def asdict(self) -> dict[str, Number]:
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


def most_draws(warmup: int) -> int:
    """How many draws of a chain the longest stretch has in which a space is learnt; none where a warm-up is too short for one."""
    return max((end - begin for begin, end in windows(warmup)), default=0)


def first_step_size(state: State, target: Target, space: Space, momentum: Tensor, acceptance: float, size: Number) -> Number:
    """The largest size at which one leapfrog is accepted with a probability of at least `acceptance`, over all chains.

    It is found among `size` times the powers of two; for each chain by itself where `size` is (chain,).
    """
    point, before = Point(state.position, momentum, state.grad), kinetic(momentum) - state.log_density

    def accepted(size: Number) -> np.ndarray:
        end, log_density = leapfrog(point, momentum.new_tensor(size)[..., None], partial(target, space=space))
        error = (kinetic(end.momentum) - log_density - before).nan_to_num(nan=torch.inf)
        probability = (-error).exp().clamp(max=1.0)
        return (probability if np.ndim(size) else probability.mean()).cpu().numpy() > acceptance

    rising = accepted(size)
    going = np.ones_like(rising)
    while going.any():
        following = np.where(rising, 2.0, 0.5) * size
        fits = accepted(following)
        going = going & np.where(rising, fits & (following <= LARGEST), following >= SMALLEST)
        size = np.where(going, following, size)
        going = going & (rising | ~fits)
    return size if np.ndim(size) else float(size)


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
