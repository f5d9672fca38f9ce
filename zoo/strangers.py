"""Pairs that no package has named yet, and rows to try a pair on."""

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from .registry import refuse_other_than_pairs

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
        from inference.suggest import unknown

        raise LookupError(f"{path}: {unknown('class', name, [n for n, v in vars(found).items() if isinstance(v, type)])}")
    refuse_other_than_pairs(getattr(found, name))
    return getattr(found, name)


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


def few(rows: object) -> "Table":
    """The first of the rows, complete ones: enough to check a pair on. Raises ValueError where fewer than two are complete."""
    import torch

    from inference import as_table

    table = as_table(rows)
    whole = torch.nonzero(~table.x.isnan().flatten(1).any(1)).flatten()[:ROWS]
    if len(whole) < 2:
        raise ValueError(f"{len(whole)} of the {len(table)} rows are complete; a pair is checked on at least 2 rows without missing values")
    return table.some(whole.numpy())
