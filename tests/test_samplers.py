"""The samplers' parts, and NUTS against posteriors known in closed form or by quadrature; effective draws are counted first."""

from functools import partial

import arviz_stats
import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.nn import PyroParam
from scipy.special import digamma
from torch import Tensor
from torch.distributions import constraints

import inference
from inference.graph import traced
from inference.mcmc import KERNELS
from inference.mcmc.leapfrog import Point, init, kinetic, leapfrog
from inference.mcmc.noise import GOLDEN, _mixed, keys, normal, uniform
from inference.mcmc.space import Space, estimate
from inference.mcmc.warmup import hopeless

RUN = {"chains": 16, "warmup": 150, "draws": 100, "device": "cpu"}


def _agrees(draws: Tensor, truth: float, least: int = 300) -> None:
    """draws: (chain, draw) of one number, whose posterior mean is `truth`."""
    effective = float(arviz_stats.ess(draws.numpy(), method="mean", chain_axis=0, draw_axis=1))
    assert effective > least
    assert abs(draws.mean().item() - truth) < 4.5 * draws.std().item() / effective**0.5


class Regression(inference.Pair):
    """y ~ Normal(a . slopes, 1) for rows (y, a_1, a_2); slopes ~ Normal(0, 3)."""

    def __init__(self) -> None:
        pass

    def model(self, x: Tensor, size: int | None = None) -> None:
        slopes = pyro.sample("slopes", dist.Normal(torch.zeros(2), 3.0).to_event(1))
        with self.rows(x, size):
            pyro.sample("x", dist.Normal(x[:, 1:] @ slopes, 1.0), obs=x[:, 0])

    def guide(self, x: Tensor, size: int | None = None) -> None:
        pyro.sample("slopes", dist.Normal(torch.zeros(2), 2.0).to_event(1))


class Counts(inference.Pair):
    """Counts ~ Poisson(rate), rate ~ Gamma(2, 1)."""

    def __init__(self) -> None:
        pass

    def model(self, x: Tensor, size: int | None = None) -> None:
        rate = pyro.sample("rate", dist.Gamma(2.0, 1.0))
        with self.rows(x, size):
            pyro.sample("x", dist.Poisson(rate), obs=x[:, 0])

    def guide(self, x: Tensor, size: int | None = None) -> None:
        pyro.sample("rate", dist.LogNormal(0.0, 1.0))


class Normal(inference.Pair):
    """Numbers ~ Normal(loc, precision^-1/2), precision ~ Gamma(2, 1), loc ~ Normal(0, (2 precision)^-1/2)."""

    def __init__(self) -> None:
        pass

    def model(self, x: Tensor, size: int | None = None) -> None:
        precision = pyro.sample("precision", dist.Gamma(2.0, 1.0))
        loc = pyro.sample("loc", dist.Normal(0.0, (2 * precision).rsqrt()))
        with self.rows(x, size):
            pyro.sample("x", dist.Normal(loc, precision.rsqrt()), obs=x[:, 0])

    def guide(self, x: Tensor, size: int | None = None) -> None:
        pyro.sample("precision", dist.LogNormal(0.0, 0.5))
        pyro.sample("loc", dist.Normal(0.0, 1.0))


class Contaminated(inference.Pair):
    """Numbers ~ weights_0 Normal(0, 1) + weights_1 Normal(loc, 1), loc ~ Normal(0, 3)."""

    def __init__(self) -> None:
        pass

    def model(self, x: Tensor, size: int | None = None) -> None:
        weights = pyro.sample("weights", dist.Dirichlet(torch.ones(2)))
        loc = pyro.sample("loc", dist.Normal(0.0, 3.0))
        with self.rows(x, size):
            z = pyro.sample("z", dist.Categorical(weights))
            pyro.sample("x", dist.Normal(loc * z, 1.0), obs=x[:, 0])

    def guide(self, x: Tensor, size: int | None = None) -> None:
        pyro.sample("weights", dist.Dirichlet(torch.ones(2)))
        pyro.sample("loc", dist.Normal(0.0, 3.0))


class Lopsided(inference.Pair):
    """A place to the left that has all the weight, and one to the right that has none; the guide begins on either side."""

    def __init__(self) -> None:
        self.q_side = PyroParam(torch.tensor(0.0), constraints.real)

    def model(self, x: Tensor, size: int | None = None) -> None:
        place = pyro.sample("place", dist.Normal(0.0, 100.0))
        pyro.factor("modes", torch.logaddexp(40 - 0.5 * (place + 20).square(), -0.5 * (place - 20).square()))
        with self.rows(x, size):
            pyro.sample("x", dist.Normal(0.0, 1.0), obs=x[:, 0])

    def guide(self, x: Tensor, size: int | None = None) -> None:
        pyro.sample("place", dist.Normal(self.q_side, 1.0))

    def start(self, x: Tensor) -> None:
        self.q_side = 20.0 * (2.0 * torch.randint(2, ()) - 1)


class Funnel(inference.Pair):
    """Neal's funnel: the scale of `across` falls without bound as `along` does."""

    def __init__(self) -> None:
        pass

    def model(self, x: Tensor, size: int | None = None) -> None:
        along = pyro.sample("along", dist.Normal(0.0, 3.0))
        pyro.sample("across", dist.Normal(torch.zeros(5), (along / 2).exp()).to_event(1))
        with self.rows(x, size):
            pyro.sample("x", dist.Normal(0.0, 1.0), obs=x[:, 0])

    def guide(self, x: Tensor, size: int | None = None) -> None:
        pyro.sample("along", dist.Normal(0.0, 1.0))
        pyro.sample("across", dist.Normal(torch.zeros(5), 1.0).to_event(1))


def test_a_correlated_posterior():
    first = torch.randn(12)
    design = torch.stack([first, first + 0.2 * torch.randn(12)], 1)
    y = design @ torch.tensor([1.0, -0.5]) + torch.randn(12)
    covariance = torch.linalg.inv(design.mT @ design + torch.eye(2) / 9)
    mean = covariance @ design.mT @ y
    assert covariance[0, 1] / covariance.diagonal().prod().sqrt() < -0.9
    posterior = inference.mcmc(Regression(), torch.cat([y[:, None], design], 1), **RUN)
    centered = posterior.draws["slopes"] - mean
    for i in range(2):
        _agrees(posterior.draws["slopes"][..., i], mean[i].item())
        for j in range(i + 1):
            _agrees(centered[..., i] * centered[..., j], covariance[i, j].item())
    assert posterior.stats["diverging"].sum() == 0


def test_a_skewed_posterior():
    posterior = inference.mcmc(Counts(), torch.tensor([0.0, 1.0]), **RUN)
    rate = posterior.draws["rate"]
    _agrees(rate, 3 / 3)
    _agrees((rate - 1).square(), 3 / 9)
    _agrees(rate.log(), digamma(3) - np.log(3))


def test_a_conjugate_normal():
    x = torch.tensor([1.2, 0.3, 2.2, 1.7, 0.9, -0.4])
    posterior = inference.mcmc(Normal(), x, **RUN)
    n, mean = len(x), x.mean()
    rate = 1 + 0.5 * (x - mean).square().sum() + 0.5 * 2 * n / (2 + n) * mean.square()
    _agrees(posterior.draws["precision"], ((2 + n / 2) / rate).item())
    _agrees(posterior.draws["loc"], (n * mean / (2 + n)).item())
    # loc is Student's t with 2 (2 + n / 2) degrees of freedom.
    _agrees((posterior.draws["loc"] - n * mean / (2 + n)).square(), (rate / ((1 + n / 2) * (2 + n))).item())


def test_a_mixture_against_quadrature():
    x = torch.tensor([-0.8, 0.1, 0.6, 1.9, 2.4, 3.1, 2.8, -0.3, 0.9, 4.0])
    share, loc = torch.linspace(0, 1, 402)[1:-1, None], torch.linspace(-12, 12, 1201)
    normal = torch.distributions.Normal(0.0, 1.0)
    logs = -0.5 * (loc / 3).square() + sum(
        ((1 - share) * normal.log_prob(v).exp() + share * normal.log_prob(v - loc).exp()).log() for v in x
    )
    mass = (logs - logs.max()).exp()
    mass = mass / mass.sum()
    posterior = inference.mcmc(Contaminated(), x, **{**RUN, "draws": 200})
    found_share, found_loc = posterior.draws["weights"][..., 1], posterior.draws["loc"]
    _agrees(found_share, (mass * share).sum().item())
    _agrees(found_share.square(), (mass * share.square()).sum().item())
    _agrees(found_loc, (mass * loc).sum().item())
    _agrees(found_share * found_loc, (mass * share * loc).sum().item())


@pytest.mark.parametrize("warmup", [1, 10, 20, 30, 60])
def test_a_short_warm_up_still_moves(warmup):
    stats = inference.mcmc(Normal(), torch.randn(20), chains=2, warmup=warmup, draws=20, device="cpu").stats
    assert stats["acceptance_rate"].mean() > 0.5


def test_a_funnel_is_reported():
    posterior = inference.mcmc(Funnel(), torch.zeros(2), chains=4, warmup=60, draws=60, device="cpu")
    report = inference.diagnose(posterior)
    assert posterior.stats["diverging"].sum() > 0
    assert {f.name: f.severity for f in report.findings}["divergences"] in ("warning", "failure")
    assert not report.ok


class Below(inference.Pair):
    """Numbers ~ Uniform(0, most), most ~ LogNormal(0, 1): few draws of the prior allow the rows."""

    def __init__(self) -> None:
        self.q_loc = PyroParam(torch.tensor(0.0), constraints.real)

    def model(self, x: Tensor, size: int | None = None) -> None:
        most = pyro.sample("most", dist.LogNormal(0.0, 1.0))
        with self.rows(x, size):
            pyro.sample("x", dist.Uniform(0.0, most), obs=x[:, 0])

    def guide(self, x: Tensor, size: int | None = None) -> None:
        pyro.sample("most", dist.LogNormal(self.q_loc, 1.0))


@pytest.mark.parametrize("seed", range(3))
def test_rows_that_most_draws_of_the_prior_do_not_allow_are_no_error(seed):
    posterior = inference.mcmc(Below(), torch.tensor([0.5, 2.0, 3.0]), warmup=15, draws=10, seed=seed, device="cpu")
    assert (posterior.draws["most"] > 3).all()


def test_another_seed_is_another_run():
    runs = [inference.mcmc(Counts(), torch.tensor([0.0, 1.0]), chains=2, warmup=5, draws=5, seed=s, device="cpu") for s in (1, 1, 2)]
    assert torch.equal(runs[0].draws["rate"], runs[1].draws["rate"])
    assert not torch.equal(runs[0].draws["rate"], runs[2].draws["rate"])


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


@pytest.mark.parametrize("kernel", ["nuts", "hmc"])
def test_a_compiled_kernel_goes_the_same_way(kernel, caplog):
    torch.testing.assert_close(_advance(kernel, 4, (2, 6), compile=True), _advance(kernel, 4, (8,)), rtol=1e-9, atol=1e-9)
    assert [r.message for r in caplog.records if r.name == "inference"] == []


@pytest.mark.parametrize("kernel", KERNELS)
def test_chains_in_a_mode_of_no_weight_are_moved(kernel):
    posterior = inference.mcmc(Lopsided(), torch.zeros(2), kernel=kernel, chains=8, warmup=120, draws=50, device="cpu")
    assert posterior.how["restarted"] >= 1
    assert (posterior.draws["place"] < 0).all()


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
