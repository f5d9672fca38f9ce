"""Inference for any Pyro model/guide pair: `svi`, `mcmc`, `diagnose` and `calibrate`. It knows no model."""

from . import checks
from .diagnostics import Finding, Report, agreement, compare, diagnose, matched
from .diagnostics.calibration import Calibration, calibrate
from .mcmc import mcmc
from .pair import Pair
from .posterior import Posterior
from .rows.table import Table, as_table
from .saving.storage import load
from .svi import svi
from .symmetry import NestedPermutation, Permutation, Rotation, Sign, SignedPermutation, Symmetry

__all__ = [
    "Calibration",
    "Finding",
    "Pair",
    "NestedPermutation",
    "Permutation",
    "Posterior",
    "Report",
    "Rotation",
    "Sign",
    "SignedPermutation",
    "Symmetry",
    "Table",
    "agreement",
    "as_table",
    "calibrate",
    "checks",
    "compare",
    "diagnose",
    "load",
    "matched",
    "mcmc",
    "svi",
]
