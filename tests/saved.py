"""A saved posterior, and ways to look into its folder and to spoil it."""

import functools
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import torch

import inference
import zoo
import zoo.registry
from inference import Posterior

FILES = {"posterior.json", "posterior.safetensors", "arviz.nc"}


def rows() -> pd.DataFrame:
    frame = zoo.data.load("faithful").frame.iloc[:30]
    return frame.mask((frame.index.to_numpy()[:, None] % 7 == 3) & (frame.columns == "waiting"))


@functools.cache
def fitted() -> Posterior:
    frame = rows()
    return inference.svi(zoo.create("gmm", frame, concentration=0.7), frame, steps=60, draws=20, seed=3)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return list(one) == list(other) and all(torch.equal(v, other[n]) and v.dtype == other[n].dtype for n, v in one.items())


def edit(folder: Path, change: Callable[[dict[str, Any]], None], sign: bool) -> None:
    """Change posterior.json; with `sign`, also its own checksum, as somebody who means harm would."""
    path = folder / "posterior.json"
    record = json.loads(path.read_text())
    change(record)
    if sign:
        rest = {k: v for k, v in record.items() if k != "checksum"}
        record["checksum"] = hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()
    path.write_text(json.dumps(record))


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)
