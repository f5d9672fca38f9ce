"""Rows as a fit saw them, where a pair draws rows anew for each step (`Pair.augment`)."""

from typing import TYPE_CHECKING

from torch import Tensor

from ..run import seeded

if TYPE_CHECKING:
    from ..posterior import Posterior

# A sampler goes over the rows as they are.
BY_STEPS = ("svi", "map")


def as_seen(posterior: "Posterior", x: Tensor, seed: int = 0) -> Tensor:
    """Rows like `x` as a step of the fit would see them: these are what the model was taught, and what it makes is like them."""
    if posterior.how.get("method") not in BY_STEPS:
        return x
    with seeded(seed, x.device):
        return posterior.pair.augment(x)
