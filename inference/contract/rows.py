"""Whether rows are treated alike, however many are at hand."""

import ast
from collections.abc import Iterator

import torch
from pyro import poutine
from torch import Tensor

from ..graphs.elimination import is_sample, local, row_terms
from ..objectives import log_density
from ..program import Program, Values
from .fault import Fault, Place
from .subject import Subject

CLOSE = {"rtol": 1e-10, "atol": 1e-10}


def any_number_of_rows(subject: Subject) -> Iterator[Fault]:
    """Model and guide run on some of the rows, and what is outside the plate is as large as before."""
    few = subject.x[: max(1, len(subject.x) // 2)]
    for name in ("model", "guide"):
        program = getattr(subject.pair, name)
        try:
            with torch.no_grad(), subject.unchecked():
                whole, part = (poutine.trace(program).get_trace(x, len(subject.x)) for x in (subject.x, few))
        except (RuntimeError, ValueError, IndexError) as error:
            yield Fault(
                f"{name} runs on {len(subject.x)} rows and not on {len(few)} of them: {_line(error)}{_table(subject)}",
                _blamed(subject, error),
            )
            continue
        for site in (s for s in whole.nodes.values() if is_sample(s) and not local(s)):
            shapes = [tuple(run.nodes[site["name"]]["value"].shape) for run in (whole, part) if site["name"] in run.nodes]
            if len(set(shapes)) > 1:
                says = f"{site['name']!r} has shape {shapes[0]} for {len(subject.x)} rows and {shapes[1]} for {len(few)}: it is a row's, "
                yield Fault(
                    f"{says}but the {name} draws it outside the plate; draw it inside `with self.rows(x, size):`",
                    subject.lines(name)[site["name"]],
                )


def rows_stand_alone(subject: Subject) -> Iterator[Fault]:
    """A row's density, in model and guide, depends neither on its place among the rows nor on the other rows at hand."""
    some = torch.arange(len(subject.x), device=subject.x.device).flip(0)[: max(1, len(subject.x) // 2)]
    # As they begin, all entries of a table may be the same.
    subject = subject.shaken
    values = subject.of_rows(some)
    whole, part = _rows_of_the_model(subject, subject.x, subject.values), _rows_of_the_model(subject, subject.x[some], values)
    if not torch.allclose(whole[some], part, **CLOSE):
        says = (
            "the model gives a row another density in another place, or beside other rows; what a row needs must come from the row itself"
        )
        yield Fault(f"{says}: is something indexed by place, or an average over the rows at hand taken?", subject.source.start("model"))
    if subject.program.amortised:
        whole, part = _rows_of_the_guide(subject, subject.x, subject.values), _rows_of_the_guide(subject, subject.x[some], values)
        if not torch.allclose(whole[some], part, **CLOSE):
            says = "the guide draws a row's latent otherwise in another place, or beside other rows; compute it from the row, by an encoder"
            yield Fault(f"{says}{_table(subject)}", subject.source.start("guide"))


def minibatches_are_unbiased(subject: Subject) -> Iterator[Fault]:
    """The densities that two halves of the rows give, each standing for all, are on average that of all rows."""
    even = len(subject.x) // 2 * 2
    if not even:
        return
    rows = torch.arange(even, device=subject.x.device)
    for name, density in (("model", _model_density), ("guide", _guide_density)):
        if name == "guide" and not subject.program.amortised:
            continue
        whole = density(subject, rows, even)
        parts = torch.stack([density(subject, part, even) for part in rows.split(even // 2)])
        if not torch.allclose(parts.mean(), whole, rtol=1e-12, atol=1e-9):
            says = f"the {name}'s log density of minibatches is {parts.mean():.6g} on average, and of all their rows {whole:.6g}"
            yield Fault(f"{says}; {_scaling(subject, name)}", _scaled_at(subject, name))


def _model_density(subject: Subject, rows: Tensor, size: int) -> Tensor:
    x = subject.x[rows]
    with torch.no_grad(), subject.unchecked():
        return Program(subject.pair, x, size).log_joint(subject.of_rows(rows), x)


def _guide_density(subject: Subject, rows: Tensor, size: int) -> Tensor:
    guide = poutine.condition(subject.pair.guide, data=subject.of_rows(rows))
    with torch.no_grad(), subject.unchecked():
        return log_density(poutine.trace(guide).get_trace(subject.x[rows], size), subject.x)


def _rows_of_the_model(subject: Subject, x: Tensor, values: Values) -> Tensor:
    with torch.no_grad(), subject.unchecked():
        return Program(subject.pair, x).log_rows(values, x)


def _rows_of_the_guide(subject: Subject, x: Tensor, values: Values) -> Tensor:
    with torch.no_grad(), subject.unchecked():
        trace = poutine.trace(poutine.condition(subject.pair.guide, data=values)).get_trace(x)
        trace.compute_log_prob()
        return row_terms(trace, 1.0)


def _line(error: Exception) -> str:
    return str(error).strip().splitlines()[0].rstrip(".")


def _tables(subject: Subject) -> dict[str, tuple[int, ...]]:
    named = {name: tuple(p.shape) for name, p in subject.pair.named_parameters()}
    return {name.removesuffix("_unconstrained"): shape for name, shape in named.items() if len(subject.x) in shape[:1]}


def _table(subject: Subject) -> str:
    told = ", ".join(f"{name} {shape}" for name, shape in _tables(subject).items())
    why = "a row that comes later has no entry there, and rows that stream have no number"
    return f". A parameter with an entry for each row ({told}) does not do: {why}; use an encoder of the row" if told else ""


def _blamed(subject: Subject, error: Exception) -> Place | None:
    found = [subject.source.attribute(name.partition(".")[0]) for name in _tables(subject)]
    return next(iter(found), None) or subject.source.raised(error)


def _calls(subject: Subject, name: str) -> list[ast.Call]:
    tree = subject.source.tree(name)
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call)] if tree else []


def _called(call: ast.Call) -> str:
    return ast.unparse(call.func).rpartition(".")[2]


def _unsized(subject: Subject, name: str) -> list[ast.Call]:
    return [c for c in _calls(subject, name) if _called(c) == "rows" and len(c.args) + len(c.keywords) < 2]


def _own(subject: Subject, name: str) -> list[ast.Call]:
    return [c for c in _calls(subject, name) if _called(c) in ("plate", "scale", "factor")]


def _scaling(subject: Subject, name: str) -> str:
    if _unsized(subject, name):
        return "hand the size on: `with self.rows(x, size):`"
    if _own(subject, name):
        return f"`self.rows(x, size)` scales minibatches, and nothing else must: leave out `{ast.unparse(_own(subject, name)[0].func)}`"
    return "use `with self.rows(x, size):`, which scales minibatches, and multiply nothing by the number of rows"


def _scaled_at(subject: Subject, name: str) -> Place | None:
    found = [*_unsized(subject, name), *_own(subject, name)]
    return subject.source.place(name, found[0]) if found else subject.source.start(name)
