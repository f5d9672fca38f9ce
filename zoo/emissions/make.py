"""Families of emissions by name."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .codes import BernoulliEmission, CategoricalEmission
from .counts import NegativeBinomialEmission, PoissonEmission
from .emission import Emission
from .gaussian import GaussianEmission
from .joint import JointEmission
from .positive import ExponentialEmission, GammaEmission
from .student import StudentEmission

# How each is made of the number of states, its columns' center and spread, and the pair's other hyperparameters.
FAMILIES: dict[str, Callable[[int, Tensor, Tensor, dict[str, Any]], Emission]] = {
    "gaussian": lambda k, center, spread, o: GaussianEmission(k, center, spread, o["covariance"], o["state_scale"], o["shrinkage"]),
    "student": lambda k, center, spread, o: StudentEmission(k, center, spread, o["state_scale"], o["shrinkage"]),
    "poisson": lambda k, center, spread, o: PoissonEmission(k, _above_zero(center), o["shape"]),
    "negative_binomial": lambda k, center, spread, o: NegativeBinomialEmission(k, _above_zero(center), o["shape"]),
    "exponential": lambda k, center, spread, o: ExponentialEmission(k, _above_zero(center), o["shape"]),
    "gamma": lambda k, center, spread, o: GammaEmission(k, _above_zero(center), o["shape"]),
    "categorical": lambda k, center, spread, o: CategoricalEmission(k, len(center), o["categories"], o["smoothing"]),
    "bernoulli": lambda k, center, spread, o: BernoulliEmission(k, len(center), o["smoothing"]),
}


def make(emission: str | list[str], states: int, center: Tensor, spread: Tensor, options: dict[str, Any]) -> Emission:
    """The family `emission` for all columns, or one for each; `center` and `spread` (D,) are those of the data.

    Raises: ValueError where the names are not one a column.
    """
    if isinstance(emission, str):
        return FAMILIES[emission](states, center, spread, options)
    if len(emission) != len(center):
        raise ValueError(f"emission names {len(emission)} families and there are {len(center)} columns; give one name, or one a column")
    families = {}
    for name in dict.fromkeys(emission):
        columns = [i for i, other in enumerate(emission) if other == name]
        families[name] = FAMILIES[name](states, center[columns], spread[columns], options), columns
    return JointEmission(families)


def _above_zero(center: Tensor) -> Tensor:
    return torch.where(center > 0, center, 1.0)
