"""Whether the model runs, and the guide draws what the model does."""

import re
from collections.abc import Iterator

import pyro.distributions as dist
import torch
from pyro import poutine
from torch import Tensor

from ..objectives import check_guide, sample_sites, values_of
from ..program import Program, Values
from ..run import seeded
from .fault import Fault
from .subject import Subject

DRAWS = 20


def rows_in_a_plate(subject: Subject) -> Iterator[Fault]:
    """The model runs, has a plate over its rows, and observes them there."""
    try:
        program = Program(subject.pair, subject.x)
    except (ValueError, TypeError) as error:
        lines = subject.lines("model")
        named = [lines[name] for name in re.findall(r"'(\w+)'", str(error)) if name in lines]
        observed = [*lines.values()][-1:] if "no plate 'data'" in str(error) else []
        yield Fault(str(error), next(iter([*named, *observed]), None) or subject.source.raised(error) or subject.source.start("model"))
        return
    if not program.observed:
        says = f"{subject.name}.model observes nothing in the plate 'data': pyro.sample(..., obs=x) goes inside `with self.rows(x, size):`"
        yield Fault(says, subject.source.start("model"))


def guide_draws_the_latents(subject: Subject) -> Iterator[Fault]:
    """The guide has the continuous sites of the model and no other, of the same shapes, on the same side of the plate."""
    try:
        check_guide(subject.program, subject.pair.guide, subject.x)
    except (ValueError, TypeError) as error:
        lines = subject.lines("model") | subject.lines("guide")
        named = [lines[name] for name in re.findall(r"'(\w+)'", str(error)) if name in lines]
        raised = subject.source.raised(error.__cause__) if error.__cause__ else None
        yield Fault(str(error), raised or next(iter(named), None) or subject.source.start("guide"))


def guide_stays_in_the_support(subject: Subject) -> Iterator[Fault]:
    """What the guide draws lies where the model has a density, and the guide has one wherever the model has."""
    found: dict[str, Fault] = {}
    lines = subject.lines("guide")
    with torch.no_grad(), subject.unchecked(), seeded(0, subject.x.device):
        for _ in range(DRAWS):
            drawn = values_of(poutine.trace(subject.pair.guide).get_trace(subject.x), subject.program)
            for name, bad, support in _outside(subject, drawn):
                says = (
                    f"the guide draws {bad:.3g} at {name!r}, which the model takes from {support}; draw it there: a log-normal, a Gamma, "
                )
                found.setdefault(name, Fault(f"{says}or a TransformedDistribution that ends there", lines.get(name)))
        for position in subject.positions:
            for name, value, law in _never(subject, subject.flat.constrain(position)):
                says = (
                    f"the guide, {law}, never draws values like {value:.3g} at {name!r}, which the model allows; give it the whole support"
                )
                found.setdefault(name, Fault(says, lines.get(name)))
    yield from found.values()


def _outside(subject: Subject, drawn: Values) -> Iterator[tuple[str, float, object]]:
    """Sites of which a value drawn by the guide is outside what the model's distribution supports, given the others."""
    model = sample_sites(poutine.trace(poutine.condition(subject.pair.model, data=drawn)).get_trace(subject.x))
    for name, value in drawn.items():
        support = model[name]["fn"].support
        inside = support.check(value)
        if not bool(inside.all()):
            yield name, _first(value, ~inside), support


def _never(subject: Subject, values: Values) -> Iterator[tuple[str, float, str]]:
    """Sites at which the guide has no density for values that the model allows; a point has none anywhere, and is let pass."""
    guide = poutine.trace(poutine.condition(subject.pair.guide, data=values)).get_trace(subject.x)
    for name, site in sample_sites(guide).items():
        law = site["fn"]
        while hasattr(law, "base_dist") and not isinstance(law, dist.TransformedDistribution):
            law = law.base_dist
        if name not in values or isinstance(law, dist.Delta):
            continue
        density = site["fn"].log_prob(values[name])
        if not bool(density.isfinite().all()):
            yield name, _first(values[name], ~density.isfinite()), type(law).__name__


def _first(value: Tensor, wrong: Tensor) -> float:
    """The first number of `value` where `wrong`, of a shape that may lack its last axes, says so."""
    wrong = wrong.reshape(wrong.shape + (1,) * (value.dim() - wrong.dim())).expand(value.shape)
    return float(value[wrong][0])
