"""The command `zoo`. What needs torch is imported by the command that needs it, so that a command line answers at once."""

from . import catalogue, fit, pairs, posteriors  # noqa: F401  (their commands)
from .app import app

__all__ = ["app"]
