"""How to optimise: what a fit is asked for, and what it takes where it is not."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any, Literal

from .fitting.optimiser import check_optimiser
from .fitting.schedule import check_schedule
from .graphs.compiling import Compile, check_compile
from .run import at_least

USUAL = {"lr": 0.05, "particles": 8, "steps": 5000, "draws": 1000, "schedule": "settle", "optimiser": "Adam"}


@dataclass(frozen=True)
class Recipe:
    """How to optimise; `svi` tells what each means."""

    steps: int = 5000
    batch: int | None = None
    lr: float = 0.05
    optimiser: str = "Adam"
    schedule: Literal["settle", "constant", "cosine", "cycles"] = "settle"
    clip: float | None = None
    patience: int = 10
    compile: Compile = "auto"


def chosen(pair: object, given: Mapping[str, Any]) -> dict[str, Any]:
    """What `USUAL` names, in its order: as given or, where that is None, as the pair's `recipe` has it, or else as usual."""
    return USUAL | dict(getattr(pair, "recipe", {})) | {name: value for name, value in given.items() if value is not None}


def check_recipe(recipe: Recipe, **counts: int) -> None:
    """Refuse what cannot be optimised by. counts: other numbers that must be at least 1. Raises ValueError."""
    at_least(1, steps=recipe.steps, batch=recipe.batch, patience=recipe.patience, **counts)
    for name, value in {"lr": recipe.lr, "clip": recipe.clip}.items():
        if not (name == "clip" and value is None) and (not isinstance(value, Real) or not 0 < value < math.inf):
            raise ValueError(f"{name}={value!r} must be a positive number")
    check_optimiser(recipe.optimiser)
    check_schedule(recipe.schedule)
    check_compile(recipe.compile)
