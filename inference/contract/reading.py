"""What can be told from the code of a pair without running it."""

import ast
import inspect
from collections.abc import Iterator

from ..docstring import meanings
from ..pair import parameters
from .fault import Fault
from .subject import Subject

PROGRAMS = ("model", "guide")
MOVES = ("cuda", "cpu")


def hyperparameters(subject: Subject) -> Iterator[Fault]:
    """Every argument of `__init__` has a type, by which it is checked, and a meaning, which the card tells."""
    cls, where = type(subject.pair), subject.source.start("__init__")
    told = meanings(cls)
    for name, parameter in parameters(cls).items():
        if parameter.annotation is parameter.empty:
            yield Fault(f"the hyperparameter {name!r} has no type, by which it could be checked; write {name}: int, say", where)
        if name not in told:
            yield Fault(f'the hyperparameter {name!r} has no meaning under "Arguments:" in the docstring of {cls.__name__}', where)


def signatures(subject: Subject) -> Iterator[Fault]:
    """Model and guide are called as f(x) and f(x, size)."""
    for name in PROGRAMS:
        method = subject.source.method(name)
        if method is None:  # assigned as a module, or inherited from elsewhere
            continue
        _, *arguments = inspect.signature(method).parameters.values()
        if len(arguments) < 2 or any(p.default is p.empty for p in arguments[2:]):
            yield Fault(f"{name} must take (self, x, size=None): the rows at hand, and how many there are", subject.source.start(name))
        elif arguments[1].default is not None:
            yield Fault(f"{name} must not need a size: write {arguments[1].name}=None", subject.source.start(name))


def one_path(subject: Subject) -> Iterator[Fault]:
    """There is no branch for simulating: that is the same model with its observed sites unconditioned."""
    for name in PROGRAMS:
        tree = subject.source.tree(name)
        rows = tree.args.args[1].arg if tree and len(tree.args.args) > 1 else None
        for node in ast.walk(tree) if tree else ():
            if isinstance(node, ast.Compare) and _is_none(node, rows):
                says = f"{name} has a branch for `{rows}` is None; leave it out: x is always there, and `generate` unconditions x"
                yield Fault(says, subject.source.place(name, node))


def named_devices(subject: Subject) -> Iterator[Fault]:
    """Model and guide name no device: their tensors are made where the rows are."""
    for name in PROGRAMS:
        tree = subject.source.tree(name)
        for node in ast.walk(tree) if tree else ():
            if isinstance(node, ast.Call) and (found := _device(node)):
                says = f"{name} names a device, {found}; make tensors where the rows are: x.new_zeros(...), or device=x.device"
                yield Fault(says, subject.source.place(name, node))


def _is_none(node: ast.Compare, name: str | None) -> bool:
    sides = [node.left, *node.comparators]
    none = any(isinstance(side, ast.Constant) and side.value is None for side in sides)
    return none and any(isinstance(side, ast.Name) and side.id == name for side in sides)


def _device(call: ast.Call) -> str | None:
    """What of a call names a device, as it is written."""
    if isinstance(call.func, ast.Attribute) and call.func.attr in MOVES:
        return f".{call.func.attr}()"
    named = [keyword.value for keyword in call.keywords if keyword.arg == "device"]
    if isinstance(call.func, ast.Attribute) and call.func.attr in ("to", "device"):
        named += call.args
    texts = [v for v in named if isinstance(v, ast.Constant) and isinstance(v.value, str)]
    return repr(texts[0].value) if texts else None
