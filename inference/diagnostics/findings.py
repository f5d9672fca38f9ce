"""What is the matter with a posterior, in plain words, and what to do about it."""

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from ..posterior import Posterior

WIDTH = 130
# Rows times draws up to which a report also looks at the rows one by one.
CHEAP = 2_000_000


@dataclass(frozen=True)
class Finding:
    """name: what was looked at. severity: how bad. evidence: what was seen. advice: what to do, if anything."""

    name: str
    severity: Literal["good", "note", "warning", "failure"]
    evidence: str
    advice: str = ""

    def __str__(self) -> str:
        mark = {"good": "ok", "note": "--", "warning": "!!", "failure": "XX"}[self.severity]
        said = f"{mark} {self.name}: {self.evidence}"
        room = " " if len(said) + len(self.advice) < WIDTH else "\n     "
        return said + room + self.advice if self.advice else said


def unlooked(name: str, posterior: "Posterior", least: int) -> Finding | None:
    """That a look at the rows was not taken, for want of them or of draws; None where there are enough of both."""
    if posterior.table is None:
        return Finding(name, "note", "not looked at: the rows were not kept.")
    if (draws := prod(posterior.shape)) < least:
        return Finding(name, "note", f"not looked at: {draws} draws are too few, and {least} enough.")
    return None


def stuck(table: pd.DataFrame) -> Finding | None:
    still = table.index[table["sd"] == 0] if "sd" in table else []
    if len(still):
        return Finding("draws", "failure", f"{still[0]} has the same value in every draw.", "Check the priors and the start.")
    return None


def not_finite(table: pd.DataFrame) -> Finding | None:
    bad = table.index[~np.isfinite(table["mean"])]
    if len(bad):
        return Finding("draws", "failure", f"{bad[0]} has draws that are not finite.", "The run failed: check the data and the priors.")
    return None
