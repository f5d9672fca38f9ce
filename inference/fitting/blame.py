"""Which site made a loss that is not finite."""

from collections.abc import Iterator
from typing import Any

import torch
from pyro import poutine
from torch import Tensor
from torch.func import functional_call

from ..graphs.functorch import traceable
from ..missing import known_missing
from ..objective import Objective
from ..objectives import sample_sites, values_of
from ..program import Values

TRIES = 20
ADVICE = "Lower lr, or put the columns on a common scale; priors scaled to the data (zoo.create with x) help too."


def blame(objective: Objective, parameters: Values, x: Tensor) -> str:
    """A phrase that names the first site of guide and model, run once more at `parameters`, that is not finite; "" if none is.

    What depends on chance is tried a few times.
    """
    tries = (functional_call(objective, parameters, (_first, objective, x)) for _ in range(TRIES))
    with torch.no_grad(), traceable(), known_missing(objective.program.missing):
        return next(filter(None, tries), "")


def _first(objective: Objective, x: Tensor) -> str:
    program = objective.program
    drawn = poutine.trace(objective.guide).get_trace(x, program.size)
    found = next(_bad("guide", sample_sites(drawn)), "")
    if found:
        return found
    return next(_bad("model", sample_sites(program.trace(values_of(drawn, program), x))), "")


def _bad(program: str, sites: dict[str, dict[str, Any]]) -> Iterator[str]:
    for name, site in sites.items():
        fn = site["fn"]
        given = {n: getattr(fn, n, None) for n in getattr(_inner(fn), "arg_constraints", {})}
        parts = {f"its {n}": v for n, v in given.items()} | {"its value": None if site["is_observed"] else site["value"]}
        parts["its log density"] = fn.log_prob(site["value"])
        for part, value in parts.items():
            if isinstance(value, Tensor) and not value.isfinite().all():
                yield f"the {program}'s site {name!r}, {_inner(fn)}: {part} is {_worst(value)}"


def _inner(fn: Any) -> Any:
    while hasattr(fn, "base_dist"):
        fn = fn.base_dist
    return fn


def _worst(value: Tensor) -> float:
    return value[~value.isfinite()].flatten()[0].item()
