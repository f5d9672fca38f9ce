"""Annealing in general: at which places between 0 and 1 chains stop on their way, and what the weights say that they gain on it."""

import math

import numpy as np
import torch
from torch import Tensor


def spaced(pilot: Tensor, spreads: Tensor, count: int) -> Tensor:
    """(count,) places between which gains spread alike, given how they spread (places - 1,) between those of a pilot run (places,)."""
    at, spread = (part.double().cpu().numpy() for part in (pilot, spreads))
    travelled = np.concatenate([[0], np.cumsum(spread + 0.1 * spread.mean() + 1e-9)])
    return torch.as_tensor(np.interp(np.linspace(0, travelled[-1], count), travelled, at)).to(pilot)


def log_mean(logs: Tensor) -> Tensor:
    """The logarithm of the mean weight over chains (first axis), given logarithms of the weights."""
    return logs.logsumexp(0) - math.log(len(logs))


def relative_error(logs: Tensor) -> Tensor:
    """The standard error of the mean of the weights over chains (first axis), as a share of it."""
    weights = (logs - logs.amax(0)).exp()
    return weights.std(0) / weights.mean(0) / len(logs) ** 0.5
