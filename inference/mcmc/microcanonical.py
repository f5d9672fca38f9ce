"""Microcanonical trajectories: positions move at a constant speed, and gradients only turn them.

A trajectory has one more dimension than the posterior, along which the density is standard normal: with one alone there would be no
way to turn. The speed is the root of the number of dimensions, so that times and step sizes mean about what they do in HMC.

Reference: Ver Steeg & Galstyan 2021, "Hamiltonian dynamics with non-Newtonian momentum for rapid sampling", NeurIPS; Robnik, De Luca,
Silverstein & Seljak 2023, "Microcanonical Hamiltonian Monte Carlo", JMLR 24.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from .leapfrog import Density

# Of the length of a force, which may be nothing.
LEAST = 1e-30


class Point(NamedTuple):
    """A point of a trajectory: position and gradient (chain, dim), velocity (chain, dim + 1), and where it is aside (chain, 1).

    gained (chain,): the kinetic energy gained since the start, in double precision; it is what the turns take from the volume.
    """

    position: Tensor
    velocity: Tensor
    grad: Tensor
    aside: Tensor
    gained: Tensor


def isokinetic(point: Point, step: Tensor, density: Density) -> tuple[Point, Tensor]:
    """One step of the leapfrog at constant speed, for every chain, and the log density (chain,) there. step: () or (chain, 1)."""
    velocity, first = _turned(point.velocity, _force(point.grad, point.aside), 0.5 * step)
    position, aside = point.position + step * velocity[:, :-1], point.aside + step * velocity[:, -1:]
    grad, log_density = density(position)
    velocity, second = _turned(velocity, _force(grad, aside), 0.5 * step)
    return Point(position, velocity, grad, aside, point.gained + first + second), log_density


def other_energy(point: Point) -> Tensor:
    """(chain,) all energy but the posterior's, in double precision."""
    return point.gained + 0.5 * point.aside[:, 0].double().square()


def _force(grad: Tensor, aside: Tensor) -> Tensor:
    return torch.cat([grad, -aside], -1)


def _turned(velocity: Tensor, force: Tensor, time: Tensor) -> tuple[Tensor, Tensor]:
    """Velocities after a force has turned them for a time, and the kinetic energy gained (chain,), exact for a constant force."""
    n = velocity.shape[-1]
    speed, strength = n**0.5, force.square().sum(-1, keepdim=True, dtype=torch.double).sqrt().clamp(min=LEAST)
    cosine = ((velocity * force).sum(-1, keepdim=True, dtype=torch.double) / (speed * strength)).clamp(-1, 1)
    turn = time * strength * speed / (n - 1)
    left = (-turn).exp()
    ahead = speed / strength * (1 - left) * (1 + left + cosine * (1 - left))
    turned = ahead.to(force) * force + (2 * left).to(velocity) * velocity
    length = turned.square().sum(-1, keepdim=True, dtype=torch.double).sqrt()
    gained = turn + torch.logaddexp(((1 + cosine) / 2).log(), ((1 - cosine) / 2).log() - 2 * turn)
    return turned * (speed / length).to(turned), (n - 1) * gained[:, 0]
