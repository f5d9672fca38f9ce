"""What samplers are made of: spaces, the integrator, random numbers, chains that go their own way, modes of no weight."""

from functools import partial

import pytest
import scipy.stats
import torch
from torch import Tensor

from inference.graphs.graph import traced
from inference.mcmc import KERNELS, mcmc
from inference.mcmc.leapfrog import Point, init, kinetic, leapfrog
from inference.mcmc.noise import GOLDEN, _mixed, keys, normal, uniform
from inference.mcmc.space import Space, estimate
from inference.mcmc.warmup import hopeless

from .targets import CorrelatedGaussian, correlated_rows


@pytest.mark.parametrize("dense", [True, False])
def test_a_space_makes_its_draws_standard_and_turns_gradients_as_it_should(dense):
    root = torch.tensor([[1.0, 0.0, 0.0], [0.8, 0.5, 0.0], [-0.3, 0.2, 2.0]])
    draws = 3.0 + torch.randn(4000, 5, 3) @ (root.mT if dense else root.diagonal().diag())
    space = estimate(draws, dense)
    white = space.white(draws.flatten(0, 1))
    torch.testing.assert_close(space.position(white), draws.flatten(0, 1))
    torch.testing.assert_close(white.mT.cov(), torch.eye(3), rtol=0, atol=0.05)
    assert white.mean(0).abs().max() < 0.05
    point = torch.randn(2, 3, requires_grad=True)
    (slope,) = torch.autograd.grad(space.position(point).sin().sum(), point)
    torch.testing.assert_close(space.gradient(space.position(point).cos()), slope)


def test_a_dense_scale_stays_diagonal_while_draws_are_too_few():
    draws = torch.randn(24, 2, 9)
    few, enough = estimate(draws[:22], dense=True).scale, estimate(draws, dense=True).scale
    torch.testing.assert_close(few, estimate(draws[:22], dense=False).scale.diag())
    assert (enough.tril(-1) != 0).sum() == 36


def test_a_few_chains_learn_a_dense_scale_from_a_warm_up_that_is_long_enough():
    posterior = mcmc(CorrelatedGaussian(25), correlated_rows(25), chains=2, warmup=160, draws=20, compile=True, device="cpu")
    assert posterior.stats["n_steps"].mean() < 12  # over 30 by a diagonal one


def _density(position: Tensor) -> tuple[Tensor, Tensor]:
    """A quartic: gradient (chain, dim) and log density (chain,)."""
    return -position - position**3, -(0.5 * position.square() + 0.25 * position**4).sum(-1)


def _steps(point: Point, size: float, count: int) -> tuple[Point, Tensor]:
    for _ in range(count):
        point, log_density = leapfrog(point, torch.tensor(size), _density)
    return point, log_density


def test_the_leapfrog_is_reversible():
    position = torch.randn(4, 2)
    start = Point(position, torch.randn(4, 2), _density(position)[0])
    end, _ = _steps(start, 0.1, 20)
    assert (end.position - start.position).abs().min() > 1e-3
    back, _ = _steps(end._replace(momentum=-end.momentum), 0.1, 20)
    torch.testing.assert_close(back.position, start.position, rtol=0, atol=1e-12)
    torch.testing.assert_close(back.momentum, -start.momentum, rtol=0, atol=1e-12)


def test_the_leapfrogs_energy_error_falls_with_the_square_of_the_step():
    position = torch.randn(4, 2)
    start = Point(position, torch.randn(4, 2), _density(position)[0])
    energy = kinetic(start.momentum) - _density(position)[1]
    errors = []
    for size, count in ((0.02, 50), (0.01, 100)):
        end, log_density = _steps(start, size, count)
        errors.append(kinetic(end.momentum) - log_density - energy)
    torch.testing.assert_close(errors[0] / errors[1], torch.full((4,), 4.0), rtol=0.05, atol=0)


def _target(white: Tensor, space: Space) -> tuple[Tensor, Tensor]:
    grad, log_density = _density(space.position(white))
    return space.gradient(grad), log_density


def _advance(kernel: str, chains: int, blocks: tuple[int, ...], compile: bool = False) -> Tensor:
    """(transition, chain, dim) positions of a kernel on the quartic, asked for block by block."""
    trace = partial(traced, missing=False, compile=compile)
    sampler = KERNELS[kernel](_target, trace, keys(7, chains, torch.device("cpu")))
    space = Space(torch.zeros(2), torch.tensor([0.5, 0.7]))
    start = torch.tensor([[0.1, -0.4], [0.7, 0.2], [-0.3, 0.5], [0.0, 1.0]])[:chains]
    state, found, done = init(start, partial(_target, space=space)), [], 0
    for count in blocks:
        state, positions, _ = sampler.advance(state, done, count, 0.9, space)
        done += count
        found.append(positions)
    return torch.cat(found)


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_chain_goes_the_same_way_whoever_runs_beside_it_and_however_the_run_is_cut(kernel):
    alone, four, cut = _advance(kernel, 1, (12,)), _advance(kernel, 4, (12,)), _advance(kernel, 4, (1, 5, 6))
    assert four.unique(dim=0).shape == four.shape
    torch.testing.assert_close(four[:, :1], alone, rtol=1e-9, atol=1e-9)
    assert torch.equal(four, cut)


@pytest.mark.parametrize("kernel", KERNELS)
def test_transitions_leave_draws_of_a_skewed_target_what_they_are(kernel):
    def target(white: Tensor, space: Space) -> tuple[Tensor, Tensor]:  # the logarithm of a Gamma(2, 1)
        position = space.position(white)
        return space.gradient(2 - position.exp()), (2 * position - position.exp()).sum(-1)

    exact = torch.distributions.Gamma(2.0, 1.0).sample((20_000, 1)).log()
    space = Space(torch.zeros(1), torch.ones(1))
    sampler = KERNELS[kernel](target, partial(traced, missing=False), keys(7, len(exact), exact.device))
    state, _, _ = sampler.advance(init(exact, partial(target, space=space)), 0, 3, 1.0, space)
    assert (state.position != exact).double().mean() > 0.9
    for draws in (exact, state.position):
        assert scipy.stats.kstest(draws[:, 0].exp().numpy(), scipy.stats.gamma(2).cdf).pvalue > 1e-3
    # The step is so long that leapfrogs alone, all accepted, would be seen.
    point = Point(exact, torch.randn_like(exact), target(exact, space)[0])
    for _ in range(3):
        point, _ = leapfrog(point, torch.tensor(1.0), partial(target, space=space))
    assert scipy.stats.kstest(point.position[:, 0].exp().numpy(), scipy.stats.gamma(2).cdf).pvalue < 1e-6


@pytest.mark.parametrize("kernel", ["nuts", "hmc", "mams"])
def test_a_compiled_kernel_goes_the_same_way(kernel, caplog):
    torch.testing.assert_close(_advance(kernel, 4, (2, 6), compile=True), _advance(kernel, 4, (8,)), rtol=1e-9, atol=1e-9)
    assert [r.message for r in caplog.records if r.name == "inference"] == []


def test_noise_is_uniform_normal_and_each_chains_own():
    numbers = uniform(keys(3, 8, torch.device("cpu"))[:, None], torch.arange(20_000), 5)
    flat = numbers.flatten(1)
    n = flat.shape[1]
    assert ((flat.mean(1) - 0.5).abs() < 5 / (12 * n) ** 0.5).all()
    assert ((numbers.movedim(1, 0).flatten(1).mT.corrcoef() - torch.eye(40)).abs() < 5 / 20_000**0.5).all()
    counts = torch.histc(flat, 100, 0, 1)
    assert ((counts - counts.mean()).square() / counts.mean()).sum() < 99 + 5 * (2 * 99) ** 0.5
    draws = normal(flat)
    assert (draws.square().mean() - 1).abs() < 5 * (2 / draws.numel()) ** 0.5
    assert ((draws**4).mean() - 3).abs() < 5 * (96 / draws.numel()) ** 0.5
    # SplitMix64's published first output for the seed 1234567, whose state is then the seed and the golden ratio.
    assert int(_mixed(torch.tensor(1234567 + GOLDEN))) % 2**64 == 6457827717110365317


@pytest.mark.parametrize(("draws", "judged"), [(200, True), (40, False)])
def test_a_mode_of_correlated_numbers_is_weighed_by_its_volume(draws, judged):
    """Two Gaussian modes of equal weight in 12 dimensions, one of correlated pairs, and chains in one of no weight."""
    pair = torch.linalg.cholesky(torch.tensor([[1.0, 0.95], [0.95, 1.0]]))
    roots = torch.stack([torch.eye(12), torch.block_diag(*[pair] * 6)])[[0, 1, 0, 1, 0, 1]]
    white = torch.randn(draws, 6, 12)
    log_density = -0.5 * white.square().sum(-1) - torch.linalg.slogdet(roots).logabsdet - torch.tensor([0, 0, 0, 0, 60.0, 0])
    lost = hopeless(torch.einsum("cij,ncj->nci", roots, white), log_density)
    assert lost.tolist() == [False, False, False, False, judged, False]


@pytest.mark.parametrize("lead", [5.0, 40.0])
def test_hopeless_chains_are_those_in_modes_of_no_weight(lead):
    """Two Gaussian modes whose weights are as exp(lead), the heavy one narrower; each chain draws from one."""
    scale, heavy = torch.tensor([1.0, 1.0, 3.0, 1.0, 3.0, 1.0]), torch.tensor([1, 1, 0, 1, 0, 1])
    offsets = torch.randn(200, 6, 2)
    log_density = -0.5 * offsets.square().sum(-1) - 2 * scale.log() + lead * heavy
    assert hopeless(offsets * scale[:, None], log_density).tolist() == [lead > 10 and not h for h in heavy.tolist()]
