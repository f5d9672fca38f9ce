"""Posteriors made by hand, whose faults are known: shared by the tests of the diagnostics."""

import dataclasses
import functools

import torch
from torch import Tensor

import inference
import zoo
from inference import Finding, Posterior, Report, as_table
from inference.objectives import OBJECTIVES
from inference.program import Program
from inference.svi import _draw

SITES = ["weights", "locs", "scales", "correlations"]


def chains(count: int = 4, draws: int = 250, *, spread: float = 0.01, seed: int = 0) -> Posterior:
    """Independent draws around a good fit of Old Faithful: every chain has the same distribution."""
    frame = zoo.data.load("faithful").frame.iloc[:60]
    generator = torch.Generator().manual_seed(seed)

    def around(*center: object) -> Tensor:
        middle = torch.tensor(center)
        return middle * (1 + spread * torch.randn(count, draws, *middle.shape, generator=generator))

    share = around(0.35)
    scales = around([0.35, 6.0], [0.45, 6.0])
    values = {
        "weights": torch.cat([share, 1 - share], -1),
        "precision_trils": torch.diag_embed(1 / scales),
        "locs": around([2.04, 54.5], [4.29, 80.0]),
        "scales": scales,
        "correlations": around([0.3], [0.4]),
    }
    stats = {
        "lp": around(-100.0)[..., 0],
        "energy": around(100.0)[..., 0],
        "diverging": torch.zeros(count, draws, dtype=torch.bool),
        "tree_depth": torch.full((count, draws), 3),
    }
    how = {"method": "nuts", "settings": {}, "seed": seed, "device": "cpu", "seconds": 1.0}
    return Posterior.of(zoo.create("gmm", frame), values, stats, how, as_table(frame))


def from_guide(pair: inference.Pair, x: Tensor, draws: int = 200) -> Posterior:
    """Draws from the pair's guide as it stands, with their densities."""
    table = as_table(x)
    objective = OBJECTIVES["elbo"](Program(pair, table.x), pair.guide, particles=1)
    values, derived, stats = _draw(objective, table.x, draws, whole=True)
    how = {"method": "svi", "settings": {}, "seed": 0, "device": "cpu", "seconds": 1.0, "stopped": "converged", "restarts": [1.0]}
    return Posterior.of(pair, {**values, **derived}, stats, how, table)


def with_draws(posterior: Posterior, site: str, values: Tensor) -> Posterior:
    return dataclasses.replace(posterior, draws={**posterior.draws, site: values})


def with_stat(posterior: Posterior, name: str, values: Tensor) -> Posterior:
    return dataclasses.replace(posterior, stats={**posterior.stats, name: values})


def shifted(posterior: Posterior) -> Posterior:
    """The first chain has settled elsewhere, in one parameter."""
    locs = posterior.draws["locs"].clone()
    locs[0, :, 1, 1] += 3.0
    return with_draws(posterior, "locs", locs)


@functools.cache
def by_svi(draws: int = 200, restarts: int = 2) -> Posterior:
    frame = zoo.data.load("faithful").frame
    return inference.svi(zoo.create("gmm", frame), frame, steps=60, draws=draws, restarts=restarts, seed=1)


@functools.cache
def by_map() -> Posterior:
    x = zoo.data.load("faithful").x
    return inference.svi(zoo.create("gmm", x), x, guide="map", steps=60)


def finding(report: Report, name: str) -> Finding:
    found = [f for f in report.findings if f.name == name]
    assert len(found) == 1, f"{name} is not among {[f.name for f in report.findings]}"
    return found[0]


def switched(posterior: Posterior) -> Posterior:
    """Two of the chains number the components the other way round."""
    draws = {n: v.clone() for n, v in posterior.draws.items()}
    for value in draws.values():
        value[1::2] = value[1::2].flip(2)
    return dataclasses.replace(posterior, draws=draws)


EVERY_KIND = {
    "good": lambda: chains(),
    "shifted": lambda: shifted(chains()),
    "one chain": lambda: chains(1),
    "one draw": lambda: chains(draws=1),
    "three draws": lambda: chains(draws=3),
    "four draws": lambda: chains(draws=4),
    "one number": lambda: chains(1, 1),
    "constant": lambda: chains(spread=0.0),
    "svi": by_svi,
    "map": by_map,
    "no rows": lambda: dataclasses.replace(chains(), table=None),
}
