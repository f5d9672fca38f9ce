"""Pairs that no package has named yet, and rows to try a pair on."""

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from . import registry

if TYPE_CHECKING:
    from inference import Pair, Table

ROWS, TRIES = 24, 20


def imported(path: str) -> type["Pair"]:
    """The class that PACKAGE.MODULE:CLASS names, looked for in the folder at hand too.

    Raises LookupError where there is no such module or class, TypeError where it is no Pair.
    """
    module, _, name = path.partition(":")
    sys.path.insert(0, str(Path.cwd()))
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not module.startswith(error.name):
            raise LookupError(f"{path}: importing {module} needs {error.name}, which is not installed") from error
        raise LookupError(f"{path}: there is no module {module}, neither installed nor in {Path.cwd()}") from error
    finally:
        sys.path.pop(0)
    if not hasattr(found, name):
        from inference import Pair
        from inference.suggest import unknown

        pairs = [n for n, v in vars(found).items() if isinstance(v, type) and issubclass(v, Pair) and v is not Pair]
        raise LookupError(f"{path}: {unknown('class', name, pairs) if pairs else module + ' has no class that is a Pair'}")
    registry.refuse_other_than_pairs(getattr(found, name))
    return getattr(found, name)


def registered(name: str) -> type["Pair"]:
    """The class of a pair that is known by name. Raises LookupError that says how one is named that is not."""
    try:
        return registry.find(name)
    except LookupError as error:
        if name in registry.names():
            raise
        raise LookupError(f"{error}; one that has no name yet is PACKAGE.MODULE:CLASS, as in my_model.pair:MyModel") from error


def simulated(pair: "Pair") -> "Table":
    """Some rows that the pair's own model makes and its `check` lets pass. Raises ValueError where it cannot make any."""
    way_out = "hand rows in: --data"
    error: Exception | None = None
    for seed in range(TRIES):
        try:
            table = drawn(pair, seed)
            pair.check(table, fitting=True)
            return table
        except (ValueError, RuntimeError) as refused:
            error = refused
    raise ValueError(f"{type(pair).__name__} makes no rows to try it on ({error}); {way_out}") from error


def drawn(pair: "Pair", seed: int = 0) -> "Table":
    """Some rows that the pair's own model makes. Raises ValueError or TypeError where it cannot make any."""
    import torch

    from inference import as_table
    from inference.diagnostics.calibration.simulate import simulate, template
    from inference.program import run_unobserved
    from inference.run import seeded

    cpu = torch.device("cpu")
    with seeded(seed, cpu):
        if pair.undirected:  # its factors say how likely rows are, and not what they may be
            sites = run_unobserved(pair.model, {}, torch.zeros(ROWS, 1)).nodes.values()
            return as_table(next(site["value"] for site in sites if site.get("infer", {}).get("was_observed") and site["value"].numel()))
        return as_table(simulate(pair, template(pair, ROWS, cpu), 1).rows[0])


def few(pair: "Pair", rows: object) -> "Table":
    """The first of the rows without holes, as `pair` reads them, enough to check it on; series without a gap, as long as the longest.

    Raises ValueError where there are fewer than two.
    """
    import torch

    from inference.covariates import rows_for

    table = rows_for(pair, rows)
    whole = torch.nonzero(~table.x.isnan().flatten(1).any(1)).flatten()[:ROWS]
    if len(whole) < 2:
        kind = "series, of which each is a row, are complete and as long as the longest" if pair.any_length else "rows are complete"
        way_out = "a pair is checked on at least 2 without missing values; leave the data out to have them made by its model"
        raise ValueError(f"{len(whole)} of the {len(table)} {kind}; {way_out}")
    return table.some(whole.numpy())
