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


def agreement(warmup: int = 500, draws: int = 1000) -> None:
    """R-hat of the worst parameter, of a first run; a peer's 64 chains and more take minutes."""
    print(f"\nmixture: R-hat after {warmup} warm-up transitions and {draws} draws of every chain")
    for chains in CHAINS:
        sizes = {"posterior": "mixture", "chains": chains, "warmup": warmup, "draws": draws}
        sides = {f"ours {kernel}": named(samplers.ours, kernel=kernel, **sizes) for kernel in ("nuts", "chees", "mams")}
        if chains < 64:
            sides["NumPyro NUTS"] = named(samplers.numpyro, **sizes)
        found = ", ".join(f"{name} {side()[0]['rhat']:.4f}" for name, side in sides.items())
        print(f"  {chains:>4} chains: {found}", flush=True)
