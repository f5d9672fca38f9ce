"""What a pair costs, measured on the data that its pretrained posterior is of: CPU seconds on one core, and memory.

Seconds are the process's own, not the clock's, so that what else a machine does hardly matters. Steps are timed apart from what goes
before them, and nothing is compiled, which some pairs take a minute to be. Each measurement is made in a process of its own, whose memory
nothing else has grown.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

import zoo
from inference.fitting.guides import starts
from inference.fitting.restarts import Batch
from inference.graphs.unconstrained import Flat
from inference.mcmc.space import unit
from inference.mcmc.targets import target_of
from inference.program import Program
from inference.recipe import Recipe, chosen
from inference.run import open_door, seeded
from inference.svi import maker
from tests.benchmarks.side import apart
from zoo import pretrained

MORE = 8  # times the rows: how costs grow
CHAINS = 4
SPENT = 0.5  # CPU seconds that a measurement lasts at least


def costs(name: str) -> dict[str, Any]:
    """What the card of the pair `name` says of its costs, in plain values."""
    posterior = next(n for n in pretrained.names() if n.startswith(f"{name}/"))
    few, many = (apart(fitting, posterior=posterior, times=times) for times in (1, MORE))
    given = {"data": posterior.partition("/")[2], "sizes": pretrained.recipes()[posterior].get("hyperparameters", {}), "chains": CHAINS}
    return given | few | {"more": {"times": MORE, "step": many["step"], "memory": many["memory"]}}


def fitting(posterior: str, times: int) -> dict[str, Any]:
    """What one fit costs on the rows of a pretrained posterior, so many times over; all of them in every step."""
    torch.set_num_threads(1)
    name, table = posterior.partition("/")[0], pretrained._rows(posterior)
    pair = zoo.create(name, table, **pretrained.recipes()[posterior].get("hyperparameters", {}))
    table = table.some(np.tile(np.arange(len(table)), times))
    _forget_peak()
    before, begin = _memory("VmRSS"), time.process_time()
    with seeded(0, torch.device("cpu")):
        pair, _, rows = open_door(pair, table, "cpu")
        program, usual = Program(pair, rows), chosen(pair, {})
        make = maker(getattr(pair, "objective", "elbo"), usual["particles"])
        objective, begins = starts(program, None, [rows], make)
        batch = Batch(objective, begins, rows, Recipe(100_000, lr=usual["lr"], optimiser=usual["optimiser"], compile=False))
        batch.advance(1)
        begun, step = time.process_time() - begin, _each(batch.advance)
        memory, gradient = _memory("VmHWM") - before, _gradient(program, rows)
    learnt = sum(value.numel() for value in batch.parameters.values())
    known = {"rows": len(rows) // times, "inferred": objective.inferred, "parameters": learnt}
    return {**known, "begin": _rounded(begun), "step": _rounded(step), "memory": _rounded(memory), "gradient": gradient}


def _gradient(program: Program, rows: torch.Tensor) -> float | None:
    """Seconds of one gradient of all the chains, uncompiled as the rest; None for a pair that is not suited to `mcmc`."""
    if "mcmc" in program.pair.unsuited or not program.parameters:
        return None
    flat = Flat(program.continuous)
    space = unit(flat.size, False, rows)
    target, at = target_of(program, flat, rows, CHAINS, space, False, 0), 0.1 * torch.randn(CHAINS, flat.size)
    target(at, space)
    return _rounded(_each(lambda count: [target(at, space) for _ in range(count)]))


def _each(run: Callable[[int], Any]) -> float:
    """CPU seconds that each of many runs takes, more and more of them until they last."""
    count, spent = 4, 0.0
    while spent < SPENT:
        begin, count = time.process_time(), 2 * count
        run(count)
        spent = time.process_time() - begin
    return spent / count


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def _memory(kind: str) -> float:
    """Megabytes that this process has (`VmRSS`) or has had at most (`VmHWM`)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(kind)) / 1000


def _rounded(value: float) -> float:
    return float(f"{value:.2g}")
