"""Markov chain Monte Carlo on a pair's unconstrained log density, all chains at once."""

from .run import KERNELS, NAMES, mcmc

__all__ = ["KERNELS", "NAMES", "mcmc"]
