"""Samplers on the posteriors of hidden Markov models: posteriordb's `hmm_example`, and 3 Gaussian states in a series of 1000 steps.

Both sides sum the path of states out, NumPyro by the forward algorithm in a scan. Of the second, states are told in the order of their
locations, draw by draw, on both sides; NumPyro sets out from the parameters that the series was made with, ours from its guide. Set
ZOO_DATA to a folder that holds posteriordb for the first, which is passed over without.
"""

from ..published import FOLDER
from . import samplers
from .samplers import named, of_each, table

# What it is, and transitions to warm up and to keep: NumPyro takes long for the second.
POSTERIORS = {"hmm_example": ("hmm_example of posteriordb, T=100, K=2", 1000), "chain": ("Gaussian hidden Markov model, T=1000, K=3", 300)}


def main(quick: bool) -> None:
    """Print effective draws a second of both sides."""
    for posterior, (title, count) in POSTERIORS.items():
        warmup = draws = 100 if quick else count
        if posterior == "hmm_example" and not FOLDER.is_dir():
            print(f"\n{title}: ZOO_DATA does not hold posteriordb")
            continue
        sizes = {"posterior": posterior, "warmup": warmup, "draws": draws}
        sides = {
            f"NumPyro NUTS, 4 x {warmup, draws}": named(samplers.numpyro, chains=4, **sizes),
            **of_each("nuts", "mams", chains=4, **sizes),
            **of_each("nuts", "chees", "mams", chains=64, posterior=posterior, warmup=warmup // 2, draws=draws // 4),
        }
        table(f"{title}; chains x (warm-up, draws)", sides, next(iter(sides)))
