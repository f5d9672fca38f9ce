"""Diagnostics on ArviZ: should this posterior be believed?"""

from .agreement import agreement
from .compare import compare
from .findings import Finding
from .parts import matched
from .report import Report, diagnose

__all__ = ["Finding", "Report", "agreement", "compare", "diagnose", "matched"]
