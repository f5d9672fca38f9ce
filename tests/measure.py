"""`make cards`: measure the pairs whose code has changed, and write all cards and the figures of README.

`python -m tests.measure NAME...` measures those named.
"""

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
import typer

import inference
import zoo
from inference import contract
from tests import figures
from tests.costs import costs
from zoo import cards, registry
from zoo.fingerprint import fingerprint

ROOT = Path(__file__).parent.parent
RECORDS, CARDS = ROOT / "zoo" / "measured", ROOT / "cards"
SIMULATIONS = 100


def current(name: str) -> str:
    """The checksum of a pair's code as it is."""
    return fingerprint(registry.find(name).__module__)


def fresh(name: str) -> bool:
    """Whether a pair's record is of its code as it is, and has all that is measured."""
    known = cards.measured(name)
    return known.get("fingerprint") == current(name) and "costs" in known


def measure(name: str) -> dict[str, Any]:
    """How near the oracle a pair comes, whether a short calibration of its guide finds fault, and what it costs."""
    oracle = importlib.import_module(f"tests.oracles.{name}")
    off = max(_off(oracle, name, case) for case in oracle.cases())
    story = (oracle.__doc__ or "").strip().splitlines()[0].rstrip(".")
    known = {"oracle": story, "cases": len(oracle.cases()), "log_joint_off": float(f"{off:.0e}")}
    return {**known, "calibration": _calibration(name, oracle), "costs": costs(name), "fingerprint": current(name)}


def _off(oracle: Any, name: str, case: Any) -> float:
    examined = contract.Subject(zoo.create(name, **case.hyperparameters), torch.as_tensor(case.x))
    values = examined.flat.constrain(0.5 * torch.randn(examined.flat.size)) | examined.drawn
    truth = oracle.log_joint(examined.pair, {n: v.numpy() for n, v in values.items()}, case.x)
    return abs(examined.program.log_joint(values, examined.x).item() - truth) / abs(truth)


def _calibration(name: str, oracle: Any) -> dict[str, Any] | None:
    case = next(case for case in oracle.cases() if not np.isnan(case.x).any())
    pair = zoo.create(name, **case.hyperparameters)
    # No data sets can be simulated whose density is known; or what rows share is a point, and has no posterior to calibrate.
    if pair.undirected or not contract.Subject(pair, torch.as_tensor(case.x)).program.parameters:
        return None
    found = inference.calibrate(pair, rows=torch.as_tensor(case.x), simulations=SIMULATIONS, steps=1500, particles=4, compile=False)
    doubts = [f"{f.name}: {f.evidence}" for f in found.findings if f.severity in ("failure", "warning")]
    return {"title": f"{found.title}, of {len(case.x)} rows each ({case.id})", "verdict": found.verdict, "doubts": doubts}


def main() -> None:
    """Measure, and write the cards and the table."""
    torch.set_default_dtype(torch.double)
    torch.manual_seed(0)
    CARDS.mkdir(exist_ok=True)
    RECORDS.mkdir(exist_ok=True)
    stale = [name for name in zoo.names() if not fresh(name)]
    for name in sys.argv[1:] or stale:
        (RECORDS / f"{name}.json").write_text(json.dumps(measure(name), indent=1) + "\n", encoding="utf-8")
        typer.echo(f"measured {name}")
    for name in zoo.names():
        (CARDS / f"{name}.md").write_text(zoo.card(name), encoding="utf-8")
    figures.README.write_text(figures.written(figures.README.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
