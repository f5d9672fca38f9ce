"""Bounds on the evidence of conjugate Normal models: their values and gradients, against quadrature and closed forms."""

import math

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.nn import PyroParam
from torch import Tensor
from torch.distributions import constraints
from torch.func import grad_and_value, vmap

import inference
from inference.graphs.functorch import traceable
from inference.objectives import OBJECTIVES, MeanFieldELBO, NegativeELBO, NegativeIWAE, RenyiBound
from inference.program import Program

DATA = torch.tensor([[0.5], [1.5], [1.0]], dtype=torch.float64)
PRIOR, SCALE = 0.3, 2.0


class Pathless(dist.Normal):
    """A Normal whose draws have no gradient."""

    has_rsample = False

    def sample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        return self.loc.detach() + self.scale.detach() * torch.randn(shape, dtype=self.loc.dtype)

    def expand(self, batch_shape: torch.Size, _instance: object = None) -> "Pathless":
        return Pathless(self.loc.expand(batch_shape), self.scale.expand(batch_shape))


class Location(inference.Pair):
    """x ~ Normal(loc, 1), loc ~ Normal(q_prior, 2), where the prior mean is a parameter too; the guide is Normal."""

    def __init__(self, loc: float = 0.2, scale: float = 0.5, pathless: bool = False) -> None:
        self.pathless = pathless
        self.q_prior = PyroParam(torch.tensor(PRIOR), constraints.real)
        self.q_loc = PyroParam(torch.tensor(loc), constraints.real)
        self.q_scale = PyroParam(torch.tensor(scale), constraints.positive)

    def model(self, x: Tensor, size: int | None = None) -> None:
        loc = pyro.sample("loc", dist.Normal(self.q_prior, SCALE))
        with self.rows(x, size):
            pyro.sample("x", dist.Normal(loc, 1.0), obs=x[:, 0])

    def guide(self, x: Tensor, size: int | None = None) -> None:
        pyro.sample("loc", (Pathless if self.pathless else dist.Normal)(self.q_loc, self.q_scale))


def _posterior() -> tuple[float, float]:
    precision = len(DATA) + SCALE**-2
    return (DATA.sum().item() + PRIOR / SCALE**2) / precision, precision**-0.5


def _evidence() -> float:
    covariance = torch.eye(len(DATA)) + SCALE**2
    return dist.MultivariateNormal(torch.full((len(DATA),), PRIOR), covariance).log_prob(DATA[:, 0]).item()


def _log_weight(noise: Tensor, prior: Tensor, loc: Tensor, log_scale: Tensor) -> Tensor:
    """log p(x, loc) - log q(loc) where loc is the guide's mean plus scale times `noise` (any shape)."""
    value = loc + log_scale.exp() * noise
    likelihood = dist.Normal(value[..., None], 1.0).log_prob(DATA[:, 0]).sum(-1)
    return likelihood + dist.Normal(prior, SCALE).log_prob(value) - dist.Normal(loc, log_scale.exp()).log_prob(value)


def _quadrature(alpha: float, prior: Tensor, loc: Tensor, log_scale: Tensor) -> Tensor:
    """The bound of order `alpha` with two draws, its expectation by Gauss-Hermite quadrature over the plane."""
    nodes, weights = (torch.as_tensor(a) for a in np.polynomial.hermite_e.hermegauss(60))
    weights = weights / weights.sum()
    log_w = _log_weight(nodes, prior, loc, log_scale)
    pairs = torch.stack(torch.broadcast_tensors(log_w[:, None], log_w), -1)
    bound = pairs.mean(-1) if alpha == 1 else (((1 - alpha) * pairs).logsumexp(-1) - math.log(2)) / (1 - alpha)
    return (weights[:, None] * weights * bound).sum()


def _samples(objective: RenyiBound, count: int) -> tuple[dict[str, Tensor], Tensor]:
    """(count, ...) independent gradients, by the parameters' names, and (count,) losses."""
    values = {n: p.detach().expand(count, *p.shape) for n, p in objective.named_parameters()}

    def total(values: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        each = vmap(objective.loss, (0, None), randomness="different")(values, objective.program.x)
        return each.sum(), each

    with traceable():
        grads, (_, losses) = grad_and_value(total, has_aux=True)(values)
    return grads, losses.detach()


def _near(samples: Tensor, truth: float | Tensor) -> None:
    """The mean of samples (count, ...) is the truth, up to five standard errors, which are small."""
    error = samples.std(0) / len(samples) ** 0.5
    assert ((samples.mean(0) - truth).abs() <= 5 * error + 1e-12).all(), (samples.mean(0), truth, error)


@pytest.mark.parametrize("particles", [1, 4])
@pytest.mark.parametrize("order", [1.0, 0.0, 0.5, 2.0])
def test_an_exact_guide_makes_every_bound_the_evidence_and_its_gradient_nought(order, particles):
    pair = Location(*_posterior())
    grads, losses = _samples(RenyiBound(Program(pair, DATA), pair.guide, particles, order), 5)
    torch.testing.assert_close(losses, torch.full((5,), -_evidence()), rtol=1e-12, atol=0)
    assert max(grads[f"pair.q_{name}_unconstrained"].abs().max().item() for name in ("loc", "scale")) < 1e-12


@pytest.mark.parametrize("pathless", [False, True], ids=["reparameterised", "score"])
@pytest.mark.parametrize(("name", "order"), [("elbo", 1.0), ("mean_field", 1.0), ("iwae", 0.0), ("renyi", 0.5), ("renyi", 2.0)])
def test_bounds_and_their_gradients_are_right_on_average(name, order, pathless):
    pair = Location(pathless=pathless)
    given = {"alpha": order} if name == "renyi" else {}
    grads, losses = _samples(OBJECTIVES[name](Program(pair, DATA), pair.guide, particles=2, **given), 40_000)
    at = [torch.tensor(PRIOR), torch.tensor(0.2), torch.tensor(0.5).log()]
    truth, value = torch.func.grad_and_value(lambda at: _quadrature(order, *at))(at)
    _near(losses, -value)
    for parameter, slope in zip(("prior", "loc", "scale"), truth, strict=True):
        _near(grads[f"pair.q_{parameter}_unconstrained"], -slope)


def test_more_draws_tighten_the_importance_weighted_bound():
    pair, at = Location(), [torch.tensor(PRIOR), torch.tensor(0.2), torch.tensor(0.5).log()]
    losses = _samples(NegativeIWAE(Program(pair, DATA), pair.guide, particles=16), 20_000)[1]
    elbo, two, sixteen = _quadrature(1.0, *at), _quadrature(0.0, *at), -losses.mean()
    error = 5 * losses.std() / len(losses) ** 0.5
    assert elbo < two < sixteen - error < sixteen + error < _evidence()


def test_the_closed_form_of_the_kl_lowers_the_noise_of_a_narrow_guide():
    # log w is a e^2 + b e + c in standard normal noise e: its variance is 2 a^2 + b^2.
    pair = Location(scale=0.1)
    program, noise = Program(pair, DATA), torch.tensor([-1.0, 0.0, 1.0])
    log_w = _log_weight(noise, torch.tensor(PRIOR), torch.tensor(0.2), torch.tensor(0.1).log())
    likelihood = dist.Normal((0.2 + 0.1 * noise)[:, None], 1.0).log_prob(DATA[:, 0]).sum(-1)
    found = {}
    for cls, f in ((NegativeELBO, log_w), (MeanFieldELBO, likelihood)):
        a, b = (f[2] + f[0]) / 2 - f[1], (f[2] - f[0]) / 2
        found[cls] = _samples(cls(program, pair.guide), 20_000)[1].var().item()
        assert found[cls] == pytest.approx((2 * a**2 + b**2).item(), rel=0.1)
    assert found[MeanFieldELBO] < 0.2 * found[NegativeELBO]


class Two(inference.Pair):
    """x ~ Normal(a + b, 1), a and b standard normal; in the guide b leans on a by `slope`, and a may have no path."""

    def __init__(self, slope: float = 0.0, pathless: bool = False) -> None:
        self.pathless = pathless
        self.q_a = PyroParam(torch.tensor(0.1), constraints.real)
        self.q_slope = PyroParam(torch.tensor(slope), constraints.real)
        self.q_b = PyroParam(torch.tensor(0.4), constraints.positive)

    def model(self, x: Tensor, size: int | None = None) -> None:
        a, b = (pyro.sample(name, dist.Normal(0.0, 1.0)) for name in "ab")
        with self.rows(x, size):
            pyro.sample("x", dist.Normal(a + b, 1.0), obs=x[:, 0])

    def guide(self, x: Tensor, size: int | None = None) -> None:
        a = pyro.sample("a", (Pathless if self.pathless else dist.Normal)(self.q_a, torch.tensor(0.5)))
        pyro.sample("b", dist.Normal(self.q_slope * a, self.q_b))


@pytest.mark.parametrize("name", ["elbo", "mean_field"])
def test_a_site_without_a_path_before_one_that_has(name):
    pair = Two(slope=-0.7, pathless=True)
    grads, losses = _samples(OBJECTIVES[name](Program(pair, DATA), pair.guide, particles=2), 40_000)

    def elbo(at: list[Tensor]) -> Tensor:
        """By the moments of a and b under the guide."""
        mean, slope, sd = at[0], at[1], at[2].exp()
        a2, total = mean**2 + 0.25, (1 + slope) * mean
        spread = (1 + slope) ** 2 * 0.25 + sd**2
        log_two_pi = math.log(2 * math.pi)
        likelihood = -0.5 * (((DATA[:, 0] - total) ** 2).sum() + len(DATA) * (spread + log_two_pi))
        prior = -0.5 * (a2 + slope**2 * a2 + sd**2) - log_two_pi
        return likelihood + prior + math.log(0.5) + sd.log() + 1 + log_two_pi

    truth, value = torch.func.grad_and_value(elbo)([torch.tensor(0.1), torch.tensor(-0.7), torch.tensor(0.4).log()])
    _near(losses, -value)
    for parameter, slope in zip(("a", "slope", "b"), truth, strict=True):
        _near(grads[f"pair.q_{parameter}_unconstrained"], -slope)


def test_the_kl_is_in_closed_form_only_where_the_guide_draws_a_site_by_itself():
    assert MeanFieldELBO(Program(Two(), DATA), Two().guide).closed == ["a", "b"]
    assert MeanFieldELBO(Program(Two(-0.7), DATA), Two(-0.7).guide).closed == []


def test_a_guide_without_a_path_finds_the_posterior():
    posterior = inference.svi(Held(), DATA, particles=16, device="cpu")
    mean, sd = _posterior()
    assert posterior.pair.q_loc.item() == pytest.approx(mean, abs=0.05 * sd)
    assert posterior.pair.q_scale.item() == pytest.approx(sd, rel=0.05)


class Held(Location):
    """Its prior is fixed, and its guide has no path."""

    def __init__(self) -> None:
        super().__init__(pathless=True)
        del self.q_prior
        self.q_prior = PRIOR


def test_a_guide_without_a_path_needs_two_particles():
    with pytest.raises(ValueError, match=r"Held.guide draws 'loc' without a reparameterised draw.*particles=1 must be at least 2"):
        inference.svi(Held(), DATA, particles=1, device="cpu")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"objective": "elbow"}, "no objective 'elbow'; did you mean 'elbo'"),
        ({"objective": "renyi", "alpha": math.inf}, "alpha=inf must be"),
    ],
)
def test_an_objective_that_there_is_not(given, said):
    with pytest.raises(ValueError, match=said):
        inference.svi(Location(), DATA, device="cpu", **given)


@pytest.mark.parametrize("name", list(OBJECTIVES))
def test_a_pair_may_declare_its_objective(name):
    class Declared(Location):
        objective = name

    posterior = inference.svi(Declared(), DATA, steps=2, draws=2, device="cpu")
    assert posterior.how["settings"]["objective"] == name
