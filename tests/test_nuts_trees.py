"""The two ways in which trees of NUTS grow, compiled loops and tensors, make the same draws."""

import pytest
import torch

from inference.graphs.graph import traced
from inference.mcmc import nuts_loops, nuts_tensors
from inference.mcmc.leapfrog import init
from inference.mcmc.noise import keys
from inference.mcmc.space import Space

CHAINS, DIM = 5, 3


def _banana(position):
    """A curved density, whose trajectories are of many lengths."""
    x, y, z = position.unbind(-1)
    return -0.5 * (x**2 + 4 * (y - x**2) ** 2 + z**2)


def _cliff(position):
    """A density that ends at a cliff, where trajectories break off."""
    return -0.5 * position.square().sum(-1) + torch.where(position[..., 0] > 0.5, -torch.inf, 0.0)


def _target(density):
    def target(white, space):
        position = space.position(white)
        gradient = torch.func.grad(lambda p: density(p).sum())(position)
        return space.gradient(gradient), density(position).double()

    return target


def _advanced(trees, density, step, count):
    space = Space(torch.zeros(DIM), torch.ones(DIM))
    state = init(-torch.rand(CHAINS, DIM, generator=torch.Generator().manual_seed(0)), lambda white: _target(density)(white, space))
    grown = trees(_target(density), lambda f, *a: traced(f, *a, missing=False), keys(1, CHAINS, torch.device("cpu")))
    return grown.advance(state, 7, count, step, space, 0)


@pytest.mark.parametrize(
    ("density", "step", "count"),
    [(_banana, 0.3, 20), (_cliff, 0.7, 20), (_banana, [0.1, 0.2, 0.4, 0.8, 3.0], 8), (_banana, 1e-4, 1)],
    ids=["banana", "cliff", "a step for each chain", "as deep as allowed"],
)
def test_loops_and_tensors_make_the_same_draws(density, step, count):
    (state, positions, numbers, leaves), (state2, positions2, numbers2, leaves2) = (
        _advanced(trees.Trees, density, step, count) for trees in (nuts_loops, nuts_tensors)
    )
    torch.testing.assert_close(positions, positions2, rtol=1e-7, atol=1e-8)
    torch.testing.assert_close(numbers, numbers2, rtol=1e-7, atol=1e-8)
    torch.testing.assert_close(tuple(state), tuple(state2), rtol=1e-7, atol=1e-8)
    assert leaves == leaves2
    if density is _cliff:
        assert numbers[..., 3].any()
    if step == 1e-4:
        assert (numbers[..., 4] == 10).all()
