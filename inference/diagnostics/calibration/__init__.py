"""Calibration: do the posteriors of a pair and a method cover the truth as often as they say?"""

from .calibration import Calibration, calibrate

__all__ = ["Calibration", "calibrate"]
