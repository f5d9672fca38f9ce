"""Our pair and its rows, for every posterior that samplers are compared on."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

import zoo
from inference import Pair

from ..published import EightSchools, OrderedChain, OrderedMixture, mixture_rows, published, schools_rows
from ..targets import CorrelatedGaussian, Funnel, correlated_rows


def _mixture() -> tuple[Pair, Tensor]:
    return OrderedMixture(), mixture_rows(1000)


def chain_rows() -> Tensor:
    """(1, 1000): a series that switches between states at -2, 0 and 2.5, which overlap."""
    rng = np.random.default_rng(0)
    moves, state, found = np.array([[0.95, 0.03, 0.02], [0.05, 0.9, 0.05], [0.02, 0.08, 0.9]]), 0, []
    for _ in range(1000):
        found.append(rng.normal([-2.0, 0.0, 2.5][state], [0.8, 0.6, 1.0][state]))
        state = rng.choice(3, p=moves[state])
    return torch.tensor(found, dtype=torch.get_default_dtype())[None]


def _chain() -> tuple[Pair, Tensor]:
    x = chain_rows()
    return zoo.create("hmm", x, states=3, covariance="diag"), x


def _hmm_example() -> tuple[Pair, Tensor]:
    return OrderedChain(), torch.tensor(published("hmm_example-hmm_example", "data.json")["y"])[None]


OURS: dict[str, Callable[[], tuple[Pair, Tensor]]] = {
    "mixture": _mixture,
    "enumerated": _mixture,  # NumPyro has two ways to sum a component out
    "schools": lambda: (EightSchools(), schools_rows()),
    "gaussian": lambda: (CorrelatedGaussian(100), correlated_rows(100, 1e3)),
    "hmm_example": _hmm_example,
    "chain": _chain,
    "funnel": lambda: (Funnel(9), torch.zeros(1, 1)),
}

# Sites whose first axes count states, how many; states are told in the order of the first site's first entry.
STATES: dict[str, dict[str, int]] = {"chain": {"locs": 1, "precisions": 1, "initial": 1, "transition": 2}}
