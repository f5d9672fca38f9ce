"""MAMS: the Metropolis-adjusted microcanonical sampler, HMC whose trajectories keep their speed.

The direction is drawn anew at each transition, and the length jittered, as in `hmc`. Turned only by the direction of the gradient, a
trajectory takes longer steps than HMC's at the same acceptance, most of all where the density's scale changes on the way.

Reference: Robnik, Cohn-Gordon & Seljak 2025, "Metropolis adjusted microcanonical Hamiltonian Monte Carlo", arXiv:2503.01707.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from . import hmc
from .hmc import Info
from .leapfrog import State
from .microcanonical import Point, isokinetic, other_energy
from .noise import normal, uniform

__all__ = ["Info", "Kernel"]


class Kernel(hmc.Kernel):
    """Transitions of all chains by microcanonical trajectories, as long as HMC's.

    Theirs are accepted with a probability of 0.9, not 0.8, and their length is tuned by autocorrelations.
    """

    # At a constant speed none runs away; but where steps are too long for what is passed through, so much is lost.
    _most = 30.0
    _step = staticmethod(isokinetic)
    _energy = staticmethod(other_energy)

    def _begun(self, state: State, at: int) -> tuple[Point, Tensor]:
        like, size = state.position, state.position.shape[1] + 1
        numbers = uniform(self._keys, torch.full_like(self._keys, at), 2 + size)
        noise = normal(numbers[:, 1:])
        direction = noise[:, 1:] / noise[:, 1:].square().sum(-1, keepdim=True).sqrt()
        velocity, aside = (size**0.5 * direction).to(like), noise[:, :1].to(like)
        return Point(like, velocity, state.grad, aside, torch.zeros_like(state.log_density)), numbers[:, 0]

    @staticmethod
    def _loop() -> Callable[..., None]:
        from .microcanonical_loops import travel

        return travel
