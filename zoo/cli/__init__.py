"""The command `zoo`. What needs torch is imported by the command that needs it, so that a command line answers at once."""

from . import catalogue, fit, posteriors, strangers  # noqa: F401  (their commands, in the order of --help)
from .app import app

__all__ = ["app"]
