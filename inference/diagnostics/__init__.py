"""Diagnostics on ArviZ: should this posterior be believed?"""

from .findings import Finding
from .report import Report, diagnose

__all__ = ["Finding", "Report", "diagnose"]
