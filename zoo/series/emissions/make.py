"""Families of emissions by name."""

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor

from .angles import VonMisesEmission
from .autoregressive import AutoregressiveEmission
from .codes import BernoulliEmission, CategoricalEmission
from .counts import NegativeBinomialEmission, PoissonEmission
from .emission import Emission
from .gaussian import GaussianEmission
from .joint import JointEmission
from .mixture import MixtureEmission
from .positive import ExponentialEmission, GammaEmission
from .student import StudentEmission

Family = Literal[
    "gaussian",
    "student",
    "mixture",
    "von_mises",
    "poisson",
    "negative_binomial",
    "exponential",
    "gamma",
    "categorical",
    "bernoulli",
    "autoregressive",
]


def _mixture(states: int, center: Tensor, spread: Tensor, o: dict[str, Any]) -> MixtureEmission:
    count = o["components"]
    scale = (o["state_scale"] or (states * count) ** (-1 / len(center))) * spread
    return MixtureEmission(*(t.expand(states, count, -1) for t in (center, spread, scale)), o["shrinkage"], o["smoothing"])


# How each is made of the number of states, its columns' center and spread, and the pair's other hyperparameters.
FAMILIES: dict[str, Callable[[int, Tensor, Tensor, dict[str, Any]], Emission]] = {
    "gaussian": lambda k, center, spread, o: GaussianEmission(k, center, spread, o["covariance"], o["state_scale"], o["shrinkage"]),
    "student": lambda k, center, spread, o: StudentEmission(k, center, spread, o["state_scale"], o["shrinkage"]),
    "mixture": _mixture,
    "von_mises": lambda k, center, spread, o: VonMisesEmission(k, len(center), o["sharpness"], o["turn"]),
    "poisson": lambda k, center, spread, o: PoissonEmission(k, _above_zero(center), o["shape"]),
    "negative_binomial": lambda k, center, spread, o: NegativeBinomialEmission(k, _above_zero(center), o["shape"]),
    "exponential": lambda k, center, spread, o: ExponentialEmission(k, _above_zero(center), o["shape"]),
    "gamma": lambda k, center, spread, o: GammaEmission(k, _above_zero(center), o["shape"]),
    "categorical": lambda k, center, spread, o: CategoricalEmission(k, len(center), o["categories"], o["smoothing"], o["site"]),
    "bernoulli": lambda k, center, spread, o: BernoulliEmission(k, len(center), o["smoothing"]),
    "autoregressive": lambda k, center, spread, o: AutoregressiveEmission(k, center, spread, o["lags"], o["lag_scale"], o["shrinkage"]),
}


def make(emission: str | list[str], states: int, center: Tensor, spread: Tensor, options: dict[str, Any]) -> Emission:
    """The family `emission` for all columns, or one for each; `center` and `spread` (D,) are those of the data.

    Categorical columns with the same number of categories share a site: `probabilities`, or where numbers differ `probabilities3`
    and the like.

    Raises: ValueError where the names are not one a column.
    """
    names = [emission] * len(center) if isinstance(emission, str) else emission
    if len(names) != len(center):
        raise ValueError(f"emission names {len(names)} families and there are {len(center)} columns; give one name, or one a column")
    counts = [int(count) if name == "categorical" else None for name, count in zip(names, options["categories"], strict=True)]
    several = len(set(counts) - {None}) > 1
    families = {}
    for name, count in dict.fromkeys(zip(names, counts, strict=True)):
        columns = [i for i, own in enumerate(zip(names, counts, strict=True)) if own == (name, count)]
        number = str(count) if count and several else ""
        own = {**options, "categories": count, "site": f"probabilities{number}"}
        families[name + number] = FAMILIES[name](states, center[columns], spread[columns], own), columns
    return JointEmission(families) if len(families) > 1 else next(iter(families.values()))[0]


def _above_zero(center: Tensor) -> Tensor:
    return torch.where(center > 0, center, 1.0)
