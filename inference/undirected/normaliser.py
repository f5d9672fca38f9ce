"""The normaliser of an undirected model: so set that the total mass of rows and latents is one."""

import math
from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.distributions import constraints

from ..amortised import log_weight
from ..answers.predictive import some_rows
from ..program import Program
from ..run import at_least, seeded
from .annealing import Annealing

if TYPE_CHECKING:
    from ..posterior import Posterior

# Binary units up to which all their states are gone through, and numbers in memory at a time.
ENUMERATED, CELLS = 20, 4_000_000


def normalised(posterior: "Posterior", chains: int, places: int, exact: bool | None, seed: int) -> "Posterior":
    """See `Posterior.normalised`."""
    at_least(2, chains=chains, places=places)
    at_least(0, seed=seed)
    if not posterior.pair.undirected:
        raise TypeError(f"{posterior.name}: its density is normalised as it stands; only that of an undirected pair need be")
    pair = deepcopy(posterior.pair)
    with seeded(seed, posterior.device), torch.no_grad():
        found = _mass(Program(pair, some_rows(posterior)[:1].nan_to_num()), chains, places, exact)
        before = float(pair.log_z)
        found = {name: before + value if name in ("log_z", "low", "high") else value for name, value in found.items()}
        pair.log_z.fill_(found["log_z"])
    return replace(posterior, pair=pair, how={**posterior.how, "normaliser": found})


def _mass(program: Program, chains: int, places: int, exact: bool | None) -> dict[str, Any]:
    """The logarithm of the total mass, what it lies between, and how that was found."""
    sides = binary_sides(program)
    smaller = min(sides, key=sides.get, default=None)
    if exact is None:
        exact = smaller is not None and sides[smaller] <= ENUMERATED
    if not exact:
        found = Annealing(program, chains, places, compile="auto").run()
        return {**found._asdict(), "places": places, "by": "annealed importance sampling"}
    if smaller is None or sides[smaller] > ENUMERATED:
        least = f"at least {sides[smaller]} units on either side" if sides else "no binary units"
        raise ValueError(f"exact=True: it has {least}, and all states of {ENUMERATED} binary units at most are gone through; leave it out")
    log_mass = enumerated(program, smaller, sides[smaller])
    return {"log_z": log_mass, "low": log_mass, "high": log_mass, "by": f"all 2^{sides[smaller]} states of the {smaller}"}


def binary_sides(program: Program) -> dict[str, int]:
    """How many units the "latents" and the "rows" have, where all of that side are binary."""
    latents = program.amortised.values()
    sides = {"latents": sum(s.shape[1:].numel() for s in latents)} if all(_binary(s.support) for s in latents) else {}
    return sides | ({"rows": program.x[0].numel()} if _binary(program.support) else {})


def _binary(support: constraints.Constraint) -> bool:
    return getattr(support, "base_constraint", support) is constraints.boolean


def enumerated(program: Program, side: str, units: int) -> float:
    """The logarithm of the total mass, over all states of the binary units on one side, the other summed or integrated out."""
    step = max(1, CELLS // (program.x[0].numel() + sum(s.shape[1:].numel() for s in program.amortised.values())))
    of_side = _of_latents if side == "latents" else _of_rows
    total = torch.tensor(-math.inf, dtype=torch.double, device=program.x.device)
    numbers = torch.arange(2**units, device=program.x.device)
    for some in numbers.split(step):
        states = (some[:, None] >> torch.arange(units, device=some.device) & 1).to(program.x)
        total = torch.logaddexp(total, of_side(program, states).double().logsumexp(0))
    return float(total)


def _of_rows(program: Program, states: Tensor) -> Tensor:
    """(states,) log densities of rows: the guide being exact, by whatever latents."""
    rows = states.reshape(-1, *program.x.shape[1:])
    return log_weight(Program(program.pair, rows), {}, rows)[1]


def _of_latents(program: Program, states: Tensor) -> Tensor:
    """(states,) log densities of latents: of rows that are nothing but holes, which are integrated out."""
    sizes = [site.shape[1:].numel() for site in program.amortised.values()]
    parts = zip(program.amortised.items(), states.split(sizes, 1), strict=True)
    values = {name: part.reshape(len(states), *site.shape[1:]) for (name, site), part in parts}
    rows = states.new_full((len(states), *program.x.shape[1:]), torch.nan)
    return Program(program.pair, rows).log_rows(values, rows)
