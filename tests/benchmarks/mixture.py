"""Samplers on an enumerated mixture of 1000 numbers, beside NumPyro's NUTS and Pyro's; and R-hat as chains are added."""

from . import samplers
from .samplers import named, of_each, table

CHAINS = (4, 16, 64, 256)


def main(quick: bool) -> None:
    """Print effective draws a second, and R-hat of both sides with 4 to 256 chains."""
    long, short = ((100, 100), (20, 10)) if quick else ((1000, 1000), (200, 200))
    sizes = {"posterior": "mixture", "warmup": long[0], "draws": long[1]}
    sides = {
        f"NumPyro NUTS, enumerating, 4 x {long}": named(samplers.numpyro, chains=4, **{**sizes, "posterior": "enumerated"}),
        f"NumPyro NUTS, 4 x {long}": named(samplers.numpyro, chains=4, **sizes),
        **of_each("nuts", "mams", chains=4, **sizes),
        **of_each("nuts", "chees", "mams", chains=64, **{**sizes, "warmup": 3 * long[0] // 10}),
        f"Pyro NUTS, 1 x {short}": named(samplers.pyro, posterior="mixture", warmup=short[0], draws=short[1]),
    }
    table("mixture of two Gaussians, 1000 rows; chains x (warm-up, draws)", sides, next(iter(sides)))
    if not quick:
        agreement()


def agreement(warmup: int = 500, draws: int = 250) -> None:
    """R-hat of the worst parameter, of a first run."""
    print(f"\nmixture: R-hat after {warmup} warm-up transitions and {draws} draws of every chain")
    for chains in CHAINS:
        sizes = {"posterior": "mixture", "chains": chains, "warmup": warmup, "draws": draws}
        theirs = named(samplers.numpyro, **sizes)()[0]["rhat"]
        found = ", ".join(f"ours {k} {named(samplers.ours, kernel=k, **sizes)()[0]['rhat']:.3f}" for k in ("nuts", "chees"))
        print(f"  {chains:>4} chains: NumPyro NUTS {theirs:.3f}, {found}", flush=True)
