"""Parallel tempering for undirected pairs: chains at several couplings, which change places."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.func import vmap

from ..amortised import log_weight
from ..program import Program
from .gibbs import sweep


def tempered(at: Callable, program: Program, chains: Tensor, places: Tensor) -> Tensor:
    """Chains (place, chain, ...) after a sweep of each at the coupling of its place, and exchanges between neighbouring places.

    Where rows and latents lean on each other less, chains pass between modes that a sweep of the model seldom leaves. Of each chain's
    neighbouring pairs of places every other one is offered an exchange, which ones by chance.

    Arguments: at(place, run, *args): what `run` gives at a coupling. program: of the chains at one place. places: rising.

    Source: Desjardins, Courville, Bengio, Vincent & Delalleau 2010, "Parallel tempering for training of restricted Boltzmann
    machines", AISTATS.
    """
    everywhere = torch.ones_like(chains[0], dtype=torch.bool)
    if len(places) == 1:
        return at(places[0], sweep, program, chains[0], everywhere)[None]

    def move(place: Tensor, rows: Tensor) -> Tensor:
        return at(place, sweep, program, rows, everywhere)

    def density(place: Tensor, rows: Tensor) -> Tensor:
        return at(place, log_weight, program, {}, rows)[1]

    each = {"randomness": "different"}
    chains = vmap(move, **each)(places, chains)
    own = vmap(density, **each)(places, chains)
    risen, sunk = vmap(density, **each)(places[1:], chains[:-1]), vmap(density, **each)(places[:-1], chains[1:])
    gain = risen + sunk - own[:-1] - own[1:]
    turn = torch.rand_like(gain[0]) < 0.5
    offered = (torch.arange(len(gain), device=gain.device)[:, None] % 2 == 0) == turn
    swapped = offered & (torch.rand_like(gain).log() < gain)
    never = torch.zeros_like(swapped[:1])
    with_next, with_last = (_along(torch.cat(parts), chains) for parts in ((swapped, never), (never, swapped)))
    return torch.where(with_next, chains.roll(-1, 0), torch.where(with_last, chains.roll(1, 0), chains))


def _along(swapped: Tensor, chains: Tensor) -> Tensor:
    return swapped.reshape(*swapped.shape, *[1] * (chains.dim() - 2))
