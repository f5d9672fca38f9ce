"""Markov chain Monte Carlo on a pair's unconstrained log density, all chains at once."""

from .kernels import KERNELS, NAMES
from .run import mcmc

__all__ = ["KERNELS", "NAMES", "mcmc"]
