"""Inference for any Pyro model/guide pair: `svi`, `mcmc`, and `diagnose`. It knows no model."""

from . import checks
from .diagnostics import Finding, Report, agreement, compare, diagnose
from .mcmc import mcmc
from .pair import Pair
from .posterior import Posterior
from .storage import load
from .svi import svi
from .symmetry import Permutation, Rotation, Sign
from .table import Table, as_table

__all__ = [
    "Finding",
    "Pair",
    "Permutation",
    "Posterior",
    "Report",
    "Rotation",
    "Sign",
    "Table",
    "agreement",
    "as_table",
    "checks",
    "compare",
    "diagnose",
    "load",
    "mcmc",
    "svi",
]
