"""Our pair and its rows, for every posterior that samplers are compared on."""

from collections.abc import Callable

import torch
from torch import Tensor

from inference import Pair

from ..published import EightSchools, OrderedMixture, mixture_rows, schools_rows
from ..targets import CorrelatedGaussian, Funnel, correlated_rows


def _mixture() -> tuple[Pair, Tensor]:
    return OrderedMixture(), mixture_rows(1000)


OURS: dict[str, Callable[[], tuple[Pair, Tensor]]] = {
    "mixture": _mixture,
    "enumerated": _mixture,  # NumPyro has two ways to sum a component out
    "schools": lambda: (EightSchools(), schools_rows()),
    "gaussian": lambda: (CorrelatedGaussian(100), correlated_rows(100, 1e3)),
    "funnel": lambda: (Funnel(9), torch.zeros(1, 1)),
}
