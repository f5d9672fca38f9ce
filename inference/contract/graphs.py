"""Whether programs can be batched over chains and draws, traced into graphs, and put on another device."""

import copy
from collections.abc import Iterator
from typing import Any

import torch
from pyro import poutine
from torch import Tensor
from torch.func import grad_and_value, vmap

from ..graphs.elimination import is_sample
from ..graphs.graph import batched, traced
from .fault import Fault
from .subject import Subject

STEP, CHUNK = 1e-5, 256


def one_dtype(subject: Subject) -> Iterator[Fault]:
    """What model and guide draw has the dtype of the rows, whatever torch's default is."""
    x = subject.x.float()
    pair = copy.deepcopy(subject.pair).float()
    for name in ("model", "guide"):
        with torch.no_grad(), subject.unchecked():
            try:
                nodes = poutine.trace(getattr(pair, name)).get_trace(x, len(x)).nodes
            except RuntimeError as error:
                says = f"the {name} does not run on single precision rows: {error}; name no dtype: x.new_zeros(...), say"
                yield Fault(says, subject.source.raised(error) or subject.source.start(name))
                continue
        wrong = [s for s in nodes.values() if is_sample(s) and s["value"].is_floating_point() and s["value"].dtype != x.dtype]
        for site in wrong[:1]:
            says = f"{site['name']!r} is {site['value'].dtype} in the {name}, and the rows are {x.dtype}; name no dtype: x.new_zeros(...)"
            yield Fault(says, subject.lines(name).get(site["name"]))


def batched_over_draws(subject: Subject) -> Iterator[Fault]:
    """Model and guide run for many draws at once: neither branches on a value, nor hands one to Python."""
    draws = torch.zeros(2, device=subject.x.device)
    guide = batched(lambda _: _drawn(subject), subject.program.missing)
    model = batched(lambda p: subject.density(p), subject.program.missing)
    for name, run, given in (("model", model, subject.positions), ("guide", guide, draws)):
        torch.manual_seed(0)
        try:
            run(given)
        except (TypeError, RuntimeError) as error:
            yield Fault(
                f"the {name} cannot be run for many draws at once: {_line(error)}",
                subject.source.raised(error) or subject.source.start(name),
            )


def traced_is_interpreted(subject: Subject) -> Iterator[Fault]:
    """The graph of the density and its gradient give what the program does, and differences of it."""
    positions = subject.positions
    graph = traced(vmap(grad_and_value(subject.density)), positions, missing=subject.program.missing)
    if graph.interpreted:
        says = "the model cannot be traced into a graph, so that it runs many times slower; does it turn a tensor into a number?"
        yield Fault(says, subject.source.start("model"))
    grads, logs = graph(positions)
    with torch.no_grad(), subject.unchecked():
        interpreted = torch.stack([subject.density(p) for p in positions])
    if not torch.allclose(logs, interpreted, rtol=1e-9, atol=1e-9):
        yield Fault(
            f"the traced density is {_far(logs, interpreted)} off the program's own; does the model keep a state?",
            subject.source.start("model"),
        )
    slopes = _slopes(subject, positions)
    wrong = (grads - slopes).abs() > 1e-6 + 1e-6 * slopes.abs()
    if bool((wrong | grads.isnan()).any()):
        site = _site_of(subject, int((wrong | grads.isnan()).any(0).nonzero()[0]))
        says = f"the gradient of the model's density in {site!r} is {_far(grads, slopes)} off its slope; is something detached, or rounded?"
        yield Fault(says, subject.lines("model").get(site))


def _slopes(subject: Subject, positions: Tensor) -> Tensor:
    """(position, size) central differences of the density."""
    if not subject.flat.size:
        return torch.zeros_like(positions)
    step = STEP * torch.eye(subject.flat.size, dtype=positions.dtype, device=positions.device)
    density = batched(subject.density, subject.program.missing, CHUNK)
    ahead, behind = (density((positions[:, None] + s).flatten(0, 1)).reshape(len(positions), -1) for s in (step, -step))
    return (ahead - behind) / (2 * STEP)


def _site_of(subject: Subject, entry: int) -> str:
    which = torch.arange(subject.flat.size)
    return next(name for name, part in subject.flat.split(which).items() if bool((part == entry).any()))


def _drawn(subject: Subject) -> dict[str, Any]:
    nodes = poutine.trace(subject.pair.guide).get_trace(subject.x, len(subject.x)).nodes
    return {name: site["value"] for name, site in nodes.items() if is_sample(site)}


def _line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]


def _far(found: Tensor, truth: Tensor) -> str:
    return f"{float((found - truth).abs().max()):.3g}"
