"""A zoo of latent variable models on Pyro: select one by name.

import zoo, inference
faithful = zoo.data.load("faithful")
pair = zoo.create("gmm", faithful.x, components=2)
posterior = inference.mcmc(pair, faithful.x)
"""

from . import data
from .cards import card
from .pretrained import load_pretrained
from .registry import create, names, register

__all__ = ["card", "create", "data", "load_pretrained", "names", "register"]
