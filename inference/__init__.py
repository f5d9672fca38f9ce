"""Inference for any Pyro model/guide pair: `svi`, `mcmc`, `diagnose` and `calibrate`. It knows no model."""

from . import checks
from .diagnostics import Finding, Report, diagnose
from .diagnostics.calibration import Calibration, calibrate
from .mcmc import mcmc
from .pair import Pair
from .posterior import Posterior
from .storage import load
from .svi import svi
from .symmetry import Permutation
from .table import Table, as_table

__all__ = [
    "Calibration",
    "Finding",
    "Pair",
    "Permutation",
    "Posterior",
    "Report",
    "Table",
    "as_table",
    "calibrate",
    "checks",
    "diagnose",
    "load",
    "mcmc",
    "svi",
]
