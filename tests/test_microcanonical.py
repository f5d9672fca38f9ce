"""The integrator of `mams`: reversible, of second order, and what it takes from the volume known; and what Metropolis corrects."""

import pytest
import scipy.stats
import torch
from torch import Tensor

from inference.mcmc.microcanonical import Point, _turned, isokinetic, other_energy


def _density(position: Tensor) -> tuple[Tensor, Tensor]:
    """A quartic: gradient (chain, dim) and log density (chain,)."""
    return -position - position**3, -(0.5 * position.square() + 0.25 * position**4).sum(-1)


def _begun(position: Tensor, density=_density) -> Point:
    size = position.shape[1] + 1
    velocity = torch.nn.functional.normalize(torch.randn(len(position), size)) * size**0.5
    return Point(position, velocity, density(position)[0], torch.randn(len(position), 1), torch.zeros(len(position)))


def _steps(point: Point, size: float, count: int, density=_density) -> tuple[Point, Tensor]:
    for _ in range(count):
        point, log_density = isokinetic(point, torch.tensor(size), density)
    return point, log_density


@pytest.mark.parametrize("dim", [1, 3])
def test_it_is_reversible_and_keeps_its_speed(dim):
    start = _begun(torch.randn(4, dim))
    end, _ = _steps(start, 0.1, 20)
    assert (end.position - start.position).abs().min() > 1e-3
    torch.testing.assert_close(end.velocity.square().sum(-1), torch.full((4,), dim + 1.0))
    back, _ = _steps(end._replace(velocity=-end.velocity), 0.1, 20)
    torch.testing.assert_close(back.position, start.position, rtol=0, atol=1e-11)
    torch.testing.assert_close(back.velocity, -start.velocity, rtol=0, atol=1e-11)
    torch.testing.assert_close(back.gained, start.gained, rtol=0, atol=1e-11)


def test_the_energy_error_falls_with_the_square_of_the_step():
    start = _begun(torch.randn(4, 2))
    energy, errors = other_energy(start) - _density(start.position)[1], []
    for size, count in ((0.02, 50), (0.01, 100)):
        end, log_density = _steps(start, size, count)
        errors.append(other_energy(end) - log_density - energy)
    torch.testing.assert_close(errors[0] / errors[1], torch.full((4,), 4.0), rtol=0.05, atol=0)


@pytest.mark.parametrize("size", [0.2, 1.5])
def test_the_energy_gained_is_what_the_volume_loses(size):
    """Metropolis' ratio holds the Jacobian of the map on positions and the sphere of velocities: here by differentiating it."""
    dim, start = 2, _begun(torch.randn(1, 2))

    def mapped(place: Tensor) -> Tensor:
        x, a, v = place[None, :dim], place[None, dim : dim + 1], place[None, dim + 1 :]
        end, _ = _steps(Point(x, v, _density(x)[0], a, start.gained), size, 3)
        return torch.cat([end.position, end.aside, end.velocity], -1)[0]

    def tangent(velocity: Tensor) -> Tensor:
        across = torch.linalg.svd(velocity[None])[2][1:].mT
        return torch.block_diag(torch.eye(dim + 1), across)

    place = torch.cat([start.position, start.aside, start.velocity], -1)[0]
    jacobian = torch.autograd.functional.jacobian(mapped, place)
    end = mapped(place)
    volume = torch.linalg.slogdet(tangent(end[dim + 1 :]).mT @ jacobian @ tangent(place[dim + 1 :])).logabsdet
    gained = _steps(start, size, 3)[0].gained[0]
    assert gained.abs() > 0.01
    torch.testing.assert_close(-gained, volume, rtol=1e-9, atol=1e-9)


def test_no_force_turns_nothing_and_one_straight_against_the_velocity_takes_all_it_can():
    velocity = torch.tensor([[0.0, -(3**0.5), 0.0]]).expand(2, 3)
    force = torch.tensor([[0.0, 0.0, 0.0], [0.0, 1e6, 0.0]])
    turned, gained = _turned(velocity, force, torch.tensor(0.5))
    torch.testing.assert_close(turned[0], velocity[0])
    torch.testing.assert_close(gained, torch.tensor([0.0, -0.5e6 * 3**0.5]))


def test_long_steps_alone_are_seen():
    """What `mams` leaves as it is (`test_sampler_parts`) its steps do not, when all are accepted."""

    def density(position: Tensor) -> tuple[Tensor, Tensor]:  # the logarithm of a Gamma(2, 1)
        return 2 - position.exp(), (2 * position - position.exp()).sum(-1)

    exact = torch.distributions.Gamma(2.0, 1.0).sample((20_000, 1)).log()
    for _ in range(3):
        exact = _steps(_begun(exact, density), 1.0, 2, density)[0].position
    assert scipy.stats.kstest(exact[:, 0].exp().numpy(), scipy.stats.gamma(2).cdf).pvalue < 1e-6
