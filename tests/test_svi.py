"""The optimisation loop: why it stops, what it refuses, and whether its guide can be trusted."""

import math

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.nn import PyroParam
from torch import Tensor
from torch.distributions import constraints

import inference
import zoo
from inference.diagnostics.khat import gap, khat
from tests.oracles import gmm as oracle


class Normal(inference.Pair):
    """Numbers ~ Normal(loc, 1), loc ~ Normal(0, 10); the guide contains the posterior, unless it is held to a scale."""

    def __init__(self, held: float | None = None, loc: float = 0.0) -> None:
        self.held = held
        self.q_loc = PyroParam(torch.tensor(loc), constraints.real)
        self.q_scale = PyroParam(torch.tensor(1.0), constraints.positive)

    def model(self, x: Tensor, size: int | None = None) -> None:
        loc = pyro.sample("loc", dist.Normal(0.0, 10.0))
        with self.rows(x, size):
            pyro.sample("x", dist.Normal(loc, 1.0), obs=x[:, 0])

    def guide(self, x: Tensor, size: int | None = None) -> None:
        pyro.sample("loc", dist.Normal(self.q_loc, self.held or self.q_scale))


class Silent(Normal):
    """Its guide draws nothing."""

    def guide(self, x: Tensor, size: int | None = None) -> None:
        pass


class Chatty(Normal):
    """Its guide draws what the model does not have."""

    def guide(self, x: Tensor, size: int | None = None) -> None:
        super().guide(x, size)
        pyro.sample("spare", dist.Normal(0.0, 1.0))


def _truth(x: Tensor) -> tuple[float, float]:
    precision = len(x) + 0.01
    return x.sum().item() / precision, precision**-0.5


def _findings(posterior: inference.Posterior) -> dict[str, inference.Finding]:
    return {finding.name: finding for finding in inference.diagnose(posterior).findings}


class Lying(inference.Pair):
    """Rows ~ Normal(z, 1), z (3, 2) laid out in rows; the guide's parameter lies the other way, and so do its gradients."""

    def __init__(self) -> None:
        self.q_loc = PyroParam(torch.zeros(2, 3), constraints.real)

    def model(self, x: Tensor, size: int | None = None) -> None:
        z = pyro.sample("z", dist.Normal(x.new_zeros(3, 2), 10.0).to_event(2))
        with self.rows(x, size):
            pyro.sample("x", dist.Normal(z.flatten(), 1.0).to_event(1), obs=x)

    def guide(self, x: Tensor, size: int | None = None) -> None:
        pyro.sample("z", dist.Normal(self.q_loc.mT, 0.1).to_event(2))


def test_gradients_may_lie_in_memory_as_they_like():
    x = torch.arange(6.0) + torch.randn(100, 6)
    posterior = inference.svi(Lying(), x, steps=600, device="cpu", compile=False)
    torch.testing.assert_close(posterior.pair.q_loc.detach().mT.flatten(), x.sum(0) / 100.01, rtol=0, atol=0.02)


def test_it_stops_when_the_loss_has_settled_and_says_so():
    x = torch.randn(9) + 1
    posterior = inference.svi(Normal(), x, steps=5000, device="cpu")
    mean, sd = _truth(x)
    assert posterior.how["steps"] == len(posterior.stats["loss"]) < 5000
    assert posterior.how["stopped"].startswith(f"converged after {posterior.how['steps']} steps")
    assert _findings(posterior)["loss"].severity == "good"
    assert posterior.pair.q_loc.item() == pytest.approx(mean, abs=5e-3)
    assert posterior.pair.q_scale.item() == pytest.approx(sd, rel=1e-2)


def test_running_out_of_steps_is_a_failure_that_says_so():
    posterior = inference.svi(Normal(), torch.randn(9) + 1, steps=20, device="cpu")
    assert posterior.how["stopped"].startswith("reached the limit of 20 steps")
    assert len(posterior.stats["loss"]) == 20
    finding = _findings(posterior)["loss"]
    assert (finding.severity, finding.advice) == ("failure", "Ask for more steps.")
    assert not inference.diagnose(posterior).ok


@pytest.mark.parametrize("steps", [10, 60])
def test_a_loss_that_is_not_finite_comes_with_advice(steps):
    with pytest.raises(
        ValueError, match=rf"the loss became (nan|-?inf) at step 2 of {min(steps, 50)}: the guide's site 'loc', Normal.*\. Lower lr"
    ):
        inference.svi(Normal(), torch.randn(9), steps=steps, lr=1e200, device="cpu")


def test_an_exact_guide_is_trusted():
    posterior = inference.svi(Normal(), torch.randn(9) + 1, device="cpu")
    assert khat(posterior) < 0.5
    assert _findings(posterior)["k-hat"].severity == "good"
    assert inference.diagnose(posterior).ok


@pytest.mark.parametrize("times", [0.8, 2.0])
def test_khat_is_low_for_a_guide_a_little_off_or_too_wide(times):
    x = torch.randn(9) + 1
    assert khat(inference.svi(Normal(held=times * _truth(x)[1]), x, device="cpu")) < 0.6


def test_a_narrow_guide_is_not():
    # The ratios of a guide s times too narrow have a Pareto tail of shape 1 - s^2.
    x = torch.randn(9) + 1
    posterior = inference.svi(Normal(held=0.1 * _truth(x)[1]), x, device="cpu")
    assert khat(posterior) > 0.7
    assert _findings(posterior)["k-hat"].severity == "failure"
    assert not inference.diagnose(posterior).ok


def test_an_automatic_guide_by_name():
    x = torch.randn(9) + 1
    posterior = inference.svi(Normal(), x, guide="AutoNormal", steps=3000, device="cpu")
    mean, sd = _truth(x)
    loc = posterior.draws["loc"]
    assert posterior.how["guide"] == "AutoNormal"
    assert abs(loc.mean().item() - mean) < 0.05 * sd + 5 * sd / loc.numel() ** 0.5
    assert loc.std().item() == pytest.approx(sd, rel=0.15)


def test_map_is_the_mode():
    x = torch.randn(9) + 1
    posterior = inference.svi(Normal(), x, guide="map", device="cpu")
    assert posterior.how["method"] == "map"
    assert posterior.shape == (1, 1)
    assert posterior.draws["loc"].item() == pytest.approx(_truth(x)[0], abs=1e-4)


def test_an_unknown_guide_suggests_the_nearest():
    with pytest.raises(ValueError, match="no guide 'AutoNorml'; did you mean 'AutoNormal'"):
        inference.svi(Normal(), torch.randn(9), guide="AutoNorml", device="cpu")


@pytest.mark.parametrize(("cls", "site"), [(Silent, "loc"), (Chatty, "spare")])
def test_a_guide_that_does_not_match_its_model_is_refused_by_site(cls, site):
    with pytest.raises(ValueError, match=f"{cls.__name__}.guide .*'{site}'"):
        inference.svi(cls(), torch.randn(9), steps=1, device="cpu")


def test_minibatches_reach_the_same_optimum():
    x = torch.randn(40, 2) @ torch.tensor([[1.0, 0.6], [0.0, 0.8]]) + 1
    pair = zoo.create("gmm", x, components=1)
    posterior = inference.svi(pair, x, batch=10, steps=1000, particles=2, draws=500, device="cpu")
    truth, fitted = oracle.posterior_of_one(pair, x), posterior.pair
    loc = fitted.center + fitted.spread * fitted.q_offsets[0]
    sd = x.std(0) / len(x) ** 0.5
    assert ((loc - torch.as_tensor(truth["loc"])).abs() < 0.2 * sd).all()
    elbo = (posterior.stats["lp"] - posterior.stats["log_q"]).mean().item()
    assert elbo == pytest.approx(oracle.log_evidence(pair, x), abs=0.1)


def test_restarts_are_reported_and_the_best_is_kept():
    x = torch.randn(30, 2)
    posterior = inference.svi(zoo.create("gmm", x, components=3), x, steps=60, restarts=3, draws=20, device="cpu")
    assert len(posterior.how["restarts"]) == 3
    assert posterior.stats["loss"][-50:].mean().item() == pytest.approx(min(posterior.how["restarts"]))
    assert f"of 3 reached the best loss, {min(posterior.how['restarts']):.2f}" in _findings(posterior)["restarts"].evidence


def test_another_seed_is_another_fit():
    runs = [inference.svi(Normal(), torch.arange(5.0), steps=3, draws=3, seed=seed, device="cpu") for seed in (1, 1, 2)]
    assert torch.equal(runs[0].draws["loc"], runs[1].draws["loc"])
    assert not torch.equal(runs[0].draws["loc"], runs[2].draws["loc"])


def test_a_guide_that_is_too_wide_is_seen_by_its_gap():
    # KL from a Normal twice as wide as another is 2^2 / 2 - 1 / 2 - log 2 nats.
    x = torch.randn(9) + 1
    posterior = inference.svi(Normal(held=2 * _truth(x)[1]), x, draws=4000, device="cpu")
    assert gap(posterior) == pytest.approx(1.5 - math.log(2), abs=0.1)
    assert _findings(posterior)["gap"].severity == "failure"


class Scattered(Normal):
    """Each row has a continuous latent of its own."""

    def model(self, x: Tensor, size: int | None = None) -> None:
        loc = pyro.sample("loc", dist.Normal(0.0, 10.0))
        with self.rows(x, size):
            own = pyro.sample("own", dist.Normal(loc, 1.0))
            pyro.sample("x", dist.Normal(own, 1.0), obs=x[:, 0])


class Alone(inference.Pair):
    """Each row has a continuous latent of its own, and nothing is shared."""

    def model(self, x: Tensor, size: int | None = None) -> None:
        with self.rows(x, size):
            own = pyro.sample("own", dist.Normal(x.new_zeros(len(x)), 1.0))
            pyro.sample("x", dist.Normal(own, 1.0), obs=x[:, 0])

    def guide(self, x: Tensor, size: int | None = None) -> None:
        with self.rows(x, size):
            pyro.sample("own", dist.Normal(x[:, 0] / 2, 0.7))


def test_chains_need_something_that_rows_share():
    with pytest.raises(TypeError, match="'own' is continuous and one for each row"):
        inference.mcmc(Alone(), torch.randn(9))


@pytest.mark.parametrize("method", [inference.svi, inference.mcmc], ids=["svi", "mcmc"])
def test_a_continuous_latent_of_each_row_is_one_for_the_guide_to_draw(method):
    with pytest.raises(ValueError, match="Scattered.guide has no site 'own', which the model draws; it has loc"):
        method(Scattered(), torch.randn(9))
