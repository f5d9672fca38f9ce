"""Samplers on three small posteriors, on which what surrounds the gradient counts.

The funnel none can explore: what counts there is that divergences are reported. Ours set out from its mouth, NumPyro's from its
middle.
"""

from . import samplers
from .samplers import named, of_each, table

TITLES = {
    "schools": "eight schools, non-centred, 10 parameters",
    "gaussian": "correlated Gaussian, 100 parameters, eigenvalues from 1 to 1/1000",
    "funnel": "Neal's funnel, centred, 10 parameters",
}


def main(quick: bool) -> None:
    """Print effective draws a second of both sides, and their divergences."""
    warmup, draws = (100, 100) if quick else (1000, 1000)
    for posterior, title in TITLES.items():
        sizes = {"posterior": posterior, "warmup": warmup, "draws": draws}
        sides = {f"NumPyro NUTS, 4 x {warmup, draws}": named(samplers.numpyro, chains=4, **sizes)}
        if posterior == "gaussian":
            sides[f"NumPyro NUTS, dense, 4 x {warmup, draws}"] = named(samplers.numpyro, chains=4, dense=True, **sizes)
        sides |= of_each("nuts", "mams", chains=4, **sizes)
        sides |= of_each("nuts", "chees", "mams", chains=64, posterior=posterior, warmup=warmup // 2, draws=draws // 4)
        table(f"{title}; chains x (warm-up, draws)", sides, next(iter(sides)))
