"""Pairs by name: those of installed packages (entry points "zoo.pairs", this one included) and those registered by hand.

Nothing here imports torch until a pair is asked for. Listing the zoo's own pairs as entry points, and not in a table of its own,
makes a pair from another package the equal of ours, and lets `inference.load` find every class without importing `zoo`.
"""

import ast
import importlib.metadata
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from inference import Pair

_registered: dict[str, type["Pair"]] = {}


def names() -> list[str]:
    """The names of all pairs, sorted. Raises ValueError when two installed packages claim one name."""
    return sorted({*_installed(), *_registered})


def register(name: str) -> Callable[[type["Pair"]], type["Pair"]]:
    """A decorator that makes a pair known by `name` in this process.

    Raises ValueError when another class has the name (the same class may be defined anew, as a notebook does), and TypeError
    for what is not a subclass of Pair.
    """

    def decorate(cls: type["Pair"]) -> type["Pair"]:
        refuse_other_than_pairs(cls)
        path = _path(cls)
        taken = _path(_registered[name]) if name in _registered else _installed().get(name, path)
        if taken != path:
            raise ValueError(f"the name {name!r} is taken by {taken}; register {path} under another")
        _registered[name] = cls
        return cls

    return decorate


def find(name: str) -> type["Pair"]:
    """The class of the pair `name`. Raises LookupError that suggests the nearest name."""
    if name in _registered:
        return _registered[name]
    known = _installed()
    if name not in known:
        from inference.suggest import unknown

        raise LookupError(unknown("pair", name, names()))
    try:
        cls = importlib.metadata.EntryPoint(name, known[name], "zoo.pairs").load()
        refuse_other_than_pairs(cls)
    except (ImportError, AttributeError, TypeError) as error:
        raise LookupError(f"the pair {name!r} is {known[name]}, which cannot be loaded: {error}; mend or uninstall its package") from error
    return cls


def create(name: str, x: Any = None, **hyperparameters: Any) -> "Pair":
    """The pair `name`, with what is not given read off the rows `x` (sizes, scales) or left at its default.

    Arguments:
        x: rows, as `inference.svi` reads them; they are checked here, before any work.

    Raises:
        LookupError: no such pair. TypeError: no such hyperparameter. ValueError: one of the wrong type or out of range, or
        rows that this pair cannot be fitted to.
    """
    return made(find(name), x, hyperparameters)


def made(cls: type["Pair"], x: Any, hyperparameters: dict[str, Any]) -> "Pair":
    """A pair of a class that need not have a name here; else as `create`."""
    from inference.covariates import how_many, named
    from inference.pair import checked
    from inference.rows.steps import arranged
    from inference.rows.stream import glance
    from inference.rows.table import fit_for

    given = checked(cls, hyperparameters)
    if x is None:
        return cls(**given)
    table, covariates = glance(x), given.get("covariates", 0)
    if named(covariates) and not table.frame:
        raise ValueError(f"covariates={covariates!r}: these rows have no names to find columns by; hand in a DataFrame, or say how many")
    table = arranged(table, named(covariates), cls.any_length)
    fit_for(table, None)
    told = {"covariates": how_many(covariates)} if covariates else {}
    read = cls.read(table, **told)
    try:
        pair = cls(**{**read, **given})
    except ValueError:
        # What was given may contradict what was read off the rows: the check of the rows says so better.
        if read.keys() & given.keys():
            cls(**given).check(table, fitting=True)
        raise
    pair.check(table, fitting=True)
    if table.variables or (table.frame and not cls.any_length):
        pair.columns = table.names
    return pair


def summary(name: str) -> str:
    """What a pair is, in a sentence: the first line of its class's docstring, read without importing its module."""
    if name in _registered:
        return (_registered[name].__doc__ or "").strip().partition("\n")[0]
    module, _, cls = _installed()[name].partition(":")
    try:
        spec = importlib.util.find_spec(module)
    except ModuleNotFoundError:
        spec = None
    if spec is None or spec.origin is None:
        return f"(cannot be loaded: there is no module {module})"
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    docs = [ast.get_docstring(node) for node in tree.body if isinstance(node, ast.ClassDef) and node.name == cls]
    return (docs[0] if docs and docs[0] else "").partition("\n")[0]


def refuse_other_than_pairs(cls: Any) -> None:
    from inference import Pair

    if not (isinstance(cls, type) and issubclass(cls, Pair)):
        raise TypeError(f"{cls!r} is not a subclass of inference.Pair")


def _installed() -> dict[str, str]:
    found: dict[str, str] = {}
    for point in importlib.metadata.entry_points(group="zoo.pairs"):
        if found.setdefault(point.name, point.value) != point.value:
            raise ValueError(f"two installed packages name a pair {point.name!r}: {found[point.name]} and {point.value}; uninstall one")
    return found


def _path(cls: type) -> str:
    return f"{cls.__module__}:{cls.__qualname__}"
