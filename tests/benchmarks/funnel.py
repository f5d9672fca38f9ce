"""Samplers on Neal's funnel, which none can explore: what counts is that divergences are reported.

Ours set out from the funnel's mouth, NumPyro's from its middle.
"""

from . import samplers
from .samplers import named, table


def main(quick: bool) -> None:
    """Print effective draws a second of both sides, and their divergences."""
    warmup, draws = (100, 100) if quick else (1000, 1000)
    sizes = {"posterior": "funnel", "warmup": warmup, "draws": draws}
    many = {**sizes, "warmup": warmup // 2, "draws": draws // 4}
    sides = {
        f"NumPyro NUTS, 4 x {warmup, draws}": named(samplers.numpyro, chains=4, **sizes),
        f"ours NUTS, 4 x {warmup, draws}": named(samplers.ours, kernel="nuts", chains=4, **sizes),
        f"ours ChEES, 64 x {warmup // 2, draws // 4}": named(samplers.ours, kernel="chees", chains=64, **many),
    }
    table("Neal's funnel, centred, 10 parameters; chains x (warm-up, draws)", sides, next(iter(sides)))
