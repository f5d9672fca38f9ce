"""The guide that a fit uses: the pair's own, a point estimate, or one of Pyro's automatic ones."""

from collections.abc import Callable, Iterable

import pyro
import torch
from pyro import poutine
from pyro.infer import autoguide
from pyro.infer.autoguide.initialization import init_to_value
from torch import Tensor

from ..objective import Objective
from ..objectives import run_guide
from ..program import Program, Values
from ..suggest import unknown

# Those of Pyro's that need nothing but the model, are fitted by one optimisation, and draw with a gradient.
AUTOMATIC = (
    "AutoDiagonalNormal",
    "AutoGaussian",
    "AutoIAFNormal",
    "AutoLowRankMultivariateNormal",
    "AutoMultivariateNormal",
    "AutoNormal",
    "AutoStructured",
)


def check_name(guide: str | None) -> None:
    """Refuse a guide that there is not. Raises ValueError that suggests the nearest."""
    if guide not in (None, "map", *AUTOMATIC):
        raise ValueError(unknown("guide", guide, ("map", *AUTOMATIC)))


def choose_guide(guide: str | None, program: Program, x: Tensor, start: Values) -> Callable:
    """The guide by its name: None for the pair's own, "map" for a point, or a class of `pyro.infer.autoguide`.

    start: values from which an automatic guide sets out.
    """
    if guide is None:
        return program.pair.guide
    continuous = [name for name, site in program.sites.items() if not site.discrete]
    model = poutine.block(program.pair.model, expose=continuous)
    made = getattr(autoguide, "AutoDelta" if guide == "map" else guide)(model, init_loc_fn=init_to_value(values=start))
    made(x, program.size)
    return made.to(x.device)


def starts(
    program: Program, guide: str | None, data: Iterable[Tensor], make: Callable[[Program, Callable], Objective]
) -> tuple[Objective, Values]:
    """The objective that `make` makes of the guide, and a start from each of `data`: (start, ...) of its named parameters."""
    found, objective = [], None
    with torch.no_grad(), pyro.settings.context(module_local_params=True):
        for x in data:
            program.pair.start(x)
            start = run_guide(program, program.pair.guide, x)[0] if guide else {}
            made = make(program, choose_guide(guide, program, x, start))
            found.append({name: p.detach().clone() for name, p in made.named_parameters()})
            objective = objective or made
    return objective, {name: torch.stack([values[name] for values in found]) for name in found[0]}
