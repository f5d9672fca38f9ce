"""Markov chain Monte Carlo on a pair's unconstrained log density, all chains at once."""

from .run import mcmc

__all__ = ["mcmc"]
