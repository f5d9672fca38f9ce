"""Emissions that are angles, and mixtures."""

import math

import numpy as np
import pytest
import torch
from scipy.special import ive
from scipy.stats import multivariate_t, norm, vonmises
from torch import Tensor
from torch.func import grad_and_value, vmap

import inference
import zoo
from inference import NestedPermutation
from inference.graphs.graph import graph_of, traced
from inference.native.emitter import decompositions
from inference.native.routine import Routine
from zoo.distributions.mixed import Mixed
from zoo.series.von_mises import PlanarCauchy, VonMises

QUICK = {"device": "cpu", "compile": False, "progress": False}
CONCENTRATIONS, AT = torch.tensor([1e-9, 0.3, 2.0, 40.0, 1e3, 1e6]), torch.tensor([0.0, 3.1, 0.4, 0.9, 1.01, 1.0005])


def test_the_density_of_angles_is_scipys_wherever_a_turn_begins():
    x = torch.linspace(-math.pi, 2 * math.pi, 25)[:, None]
    found = VonMises(torch.tensor(1.0), CONCENTRATIONS).log_prob(x)
    np.testing.assert_allclose(found, vonmises.logpdf(x.numpy(), CONCENTRATIONS.numpy(), loc=1.0), rtol=1e-8, atol=1e-9)
    torch.testing.assert_close(VonMises(torch.tensor(1.0 + 2 * math.pi), CONCENTRATIONS).log_prob(x - 4 * math.pi), found)


def test_close_angles_keep_their_digits_in_single_precision():
    loc, concentration, x = (torch.tensor(value).float() for value in (1.0, 1e6, 1.0009765625))
    truth = vonmises.logpdf(x.double(), 1e6, loc=1.0)
    assert VonMises(loc, concentration).log_prob(x).item() == pytest.approx(truth, abs=1e-3)


def test_the_gradient_is_right_batched_traced_and_in_c():
    def density(parameters: Tensor) -> Tensor:
        return VonMises(parameters[0], parameters[1]).log_prob(AT).sum()

    given = torch.stack([torch.ones(6), CONCENTRATIONS]).expand(2, -1, -1).contiguous()
    both = vmap(grad_and_value(density))
    kappa = CONCENTRATIONS.numpy()
    slopes = np.stack([kappa * np.sin(AT.numpy() - 1.0), np.cos(AT.numpy() - 1.0) - ive(1, kappa) / ive(0, kappa)])
    value = vonmises.logpdf(AT.numpy(), kappa, loc=1.0).sum()
    in_c = Routine(graph_of(lambda p: list(both(p)), [given], False, decompositions()))
    for function in (both, traced(both, given, missing=False), in_c):
        found = function(given)
        for chain in range(2):
            np.testing.assert_allclose(found[0][chain], slopes, rtol=1e-8, atol=1e-9)
            assert found[1][chain].item() == pytest.approx(value, rel=1e-9)


def test_draws_of_angles_have_the_law_and_are_batched():
    law = VonMises(torch.tensor([3.0, -2.0]), torch.tensor([1.5, 30.0]))
    torch.manual_seed(0)
    many = vmap(lambda _: law.sample((5000,)), randomness="different")(torch.zeros(2))
    assert not torch.equal(many[0], many[1])
    assert many.abs().max() <= math.pi
    for k in range(2):
        off = (many[..., k] - law.loc[k]).flatten()
        kappa = law.concentration[k].item()
        variance = 0.5 * (1 + ive(2, kappa) / ive(0, kappa)) - (ive(1, kappa) / ive(0, kappa)) ** 2
        assert off.cos().mean().item() == pytest.approx(ive(1, kappa) / ive(0, kappa), abs=5 * (variance / 10_000) ** 0.5)
        assert abs(off.sin().mean().item()) < 5 * (ive(1, kappa) / (kappa * ive(0, kappa)) / 10_000) ** 0.5


def test_vectors_of_the_plane_have_the_law_of_students_with_one_degree_of_freedom():
    law, at = PlanarCauchy(torch.tensor([2.0, 0.5])), torch.tensor([[0.3, -4.0], [1e3, 2.0]])
    for scale, point, found in zip((2.0, 0.5), at, law.log_prob(at), strict=True):
        assert found.item() == pytest.approx(multivariate_t(shape=scale**2 * np.eye(2), df=1).logpdf(point), rel=1e-10)
    torch.manual_seed(0)
    # Half of all lengths are within the root of three scales.
    within = law.sample((4000,)).norm(dim=-1) < 3**0.5 * law.scale
    np.testing.assert_allclose(within.double().mean(0), 0.5, atol=4 * 0.5 / 4000**0.5)


@pytest.mark.parametrize("turn", [0.0, -math.pi])
def test_answers_about_angles_lie_where_the_data_do(turn):
    rng = np.random.default_rng(0)
    state = np.arange(200) // 20 % 2
    x = np.remainder(rng.vonmises(np.where(state, 2.9, 3.8), 20.0) - turn, 2 * math.pi)[None] + turn
    pair = zoo.create("hmm", x, states=2, emission="von_mises")
    assert pair.hyperparameters["turn"] == turn
    fit = inference.svi(pair, x, steps=150, draws=100, **QUICK)
    holes = x.copy()
    holes[0, ::7] = np.nan
    # The root mean square of an angle by its direction is about 1 / sqrt(20), or twice that where the state is not sure.
    assert np.abs(np.exp(1j * fit.impute(holes).mean.numpy()) - np.exp(1j * x))[0, ::7].mean() < 0.4
    for told in (fit.impute(holes).mean, fit.generate(3), fit.forecast(x, steps=2).mean):
        assert turn - 0.01 < told.min() <= told.max() < turn + 2 * math.pi + 0.01
    assert fit.check(draws=200).unlikely.empty
    assert fit.to_arviz(groups="prior")["prior"]["concentrations"].shape[-2:] == (2, 1)


def test_a_mixture_fills_what_is_missing_by_what_is_seen():
    weights, locs, scales = torch.tensor([0.3, 0.7]), torch.tensor([[-1.0, 0.0], [1.0, 4.0]]), torch.tensor([[0.8, 0.5], [1.2, 1.0]])
    law = Mixed(weights.log(), locs, scales)
    seen = 0.2
    share = weights.numpy() * norm.pdf(seen, locs[:, 0], scales[:, 0])
    share /= share.sum()
    mean = share @ locs[:, 1].numpy()
    sd = (share @ (scales[:, 1] ** 2 + locs[:, 1] ** 2).numpy() - mean**2) ** 0.5
    torch.manual_seed(0)
    filled = law.fill(torch.tensor([seen, torch.nan]).expand(20_000, -1))
    assert (filled[:, 0] == seen).all()
    assert filled[:, 1].mean().item() == pytest.approx(mean, abs=5 * sd / 20_000**0.5)
    assert filled[:, 1].std().item() == pytest.approx(sd, rel=0.03)
    new = law.sample((20_000,))
    torch.testing.assert_close(new.mean(0), law.mean, rtol=0, atol=0.08)


def _switching(steps: int, seed: int) -> np.ndarray:
    """States that are left at one step in twenty."""
    return np.random.default_rng(seed).binomial(1, 0.05, steps).cumsum() % 2


def test_planted_angles_are_found_across_the_edge_of_a_turn():
    states, rng = _switching(400, 0), np.random.default_rng(1)
    x = torch.as_tensor(rng.vonmises(np.array([3.1, -1.5])[states], np.array([8.0, 2.0])[states]))[None]
    pair = zoo.create("hmm", x % (2 * math.pi), emission="von_mises")
    posterior = inference.svi(pair, x % (2 * math.pi), steps=60, draws=200, seed=0, **QUICK)
    order = np.argsort(np.asarray(posterior.mean("concentrations"))[:, 0])
    assert posterior.mean("concentrations")[order, 0] == pytest.approx([2.0, 8.0], rel=0.35)
    towards = np.asarray(posterior.mean("directions"))[order, 0]
    off = np.arctan2(towards[:, 1], towards[:, 0]) - np.array([-1.5, 3.1])
    np.testing.assert_allclose(np.remainder(off + np.pi, 2 * np.pi) - np.pi, 0.0, atol=0.2)
    told = np.argsort(order)[posterior.decode(x).states[0].long()]
    assert max((told == states).mean(), (told != states).mean()) > 0.9
    torch.testing.assert_close(posterior.log_likelihood(x), posterior.log_likelihood(x % (2 * math.pi)))


def test_planted_mixtures_are_found():
    states, rng = _switching(800, 2), np.random.default_rng(3)
    kind = rng.binomial(1, np.array([0.3, 0.6])[states])
    x = torch.as_tensor(rng.normal(np.array([[-6.0, 6.0], [0.0, 3.0]])[states, kind], 0.7))[None]
    pair = zoo.create("hmm", x, emission="mixture")
    posterior = inference.svi(pair, x, steps=60, draws=200, seed=0, **QUICK)
    locs, weights = (np.asarray(posterior.mean(site)) for site in ("locs", "weights"))
    wide = int(np.ptp(locs[..., 0], axis=1).argmax())
    np.testing.assert_allclose(np.sort(locs[wide, :, 0]), [-6.0, 6.0], atol=0.3)
    np.testing.assert_allclose(np.sort(locs[1 - wide, :, 0]), [0.0, 3.0], atol=0.3)
    assert weights[wide, locs[wide, :, 0].argmax()] == pytest.approx(0.3, abs=0.06)
    assert weights[1 - wide, locs[1 - wide, :, 0].argmax()] == pytest.approx(0.6, abs=0.06)


def test_states_and_their_components_are_renumbered_together():
    x = torch.stack([torch.randn(3, 8), torch.randint(0, 5, (3, 8)).double()], -1)
    pair = zoo.create("hmm", x, states=3, emission=["mixture", "poisson"], components=2)
    (symmetry,) = pair.symmetries
    assert isinstance(symmetry, NestedPermutation)
    posterior = inference.svi(pair, x, steps=1, draws=6, **QUICK)
    one = {name: draws[:, :1].expand(-1, 6, *draws.shape[2:]) for name, draws in posterior.draws.items()}
    moved = symmetry.apply(one, symmetry.random(one))
    assert not torch.equal(moved["transition"], one["transition"])
    back = symmetry.align(moved)
    for name, draws in symmetry.align(one).items():
        torch.testing.assert_close(back[name], draws)
    for each in (moved, back):
        turned = inference.Posterior(pair, each, {}, posterior.how, None).log_likelihood(x)
        torch.testing.assert_close(turned, posterior.log_likelihood(x)[:, :1].expand_as(turned))


@pytest.mark.parametrize(
    ("x", "given", "said"),
    [
        ([[0.1, 350.0, 20.0]], {"emission": "von_mises"}, r"row 0, time 1: 350 is not within a turn.*numpy.deg2rad.*% \(2 \* pi\)"),
        ([[0.1, -4.0, 1.0]], {"emission": "von_mises"}, "row 0, time 1: -4 is not within a turn"),
        ([[2.0, 2.0, 2.0]], {"emission": "mixture"}, r"column 0 of the series is constant \(2\)"),
        ([[[0.1, 1.0], [0.2, 2.0]]], {"emission": "von_mises", "covariates": 1}, "covariates cannot move categories, angles"),
        ([[0.1, 1.0]], {"emission": "mixture", "components": 0}, "components=0"),
        ([[[0.1, 1.0], [0.2, 2.0]]], {"emission": ["mixture", "gaussian"]}, "both have a site 'locs'"),
    ],
)
def test_what_these_emissions_cannot_be_is_refused(x, given, said):
    with pytest.raises(ValueError, match=said):
        zoo.create("hmm", x, **given)


@pytest.mark.parametrize(("name", "emission"), [("hmm", "von_mises"), ("hsmm", "mixture")])
def test_gaps_are_filled_and_the_future_told(name, emission):
    x = torch.rand(2, 12)
    x[0, 5:8], x[1, 9:] = torch.nan, torch.nan
    posterior = inference.svi(zoo.create(name, x, emission=emission), x, steps=1, draws=3, **QUICK)
    assert posterior.impute(x).mean.isfinite().all()
    assert posterior.forecast(x, 2, samples=20).mean.isfinite().all()
    assert posterior.generate(4).shape == (4, 12)


def test_angles_to_come_and_in_gaps_have_the_mean_of_their_directions():
    x = torch.tensor([[3.0, torch.nan, -3.1, 3.1]])
    pair = zoo.create("hmm", states=1, emission="von_mises")
    kappa, draws = 25.0, 4000
    values = {"vectors": kappa * torch.tensor([[[-1.0, 0.0]]]), "transition": torch.ones(1, 1), "initial": torch.ones(1)}
    drawn = {name: value.expand(1, draws, *value.shape) for name, value in values.items()}
    posterior = inference.Posterior.of(pair, drawn, {}, {"method": "svi"}, inference.as_table(x))
    sd = vonmises(kappa).std()
    filled, ahead = posterior.impute(x), posterior.forecast(x, 2, samples=draws)
    for mean, spread in ((filled.mean[0, 1], filled.sd[0, 1]), *zip(ahead.mean[0], ahead.sd[0], strict=True)):
        assert math.cos(mean.item() - math.pi) > math.cos(5 * sd / draws**0.5)
        assert spread.item() == pytest.approx(sd, rel=0.06)
    low, high = vonmises(kappa).ppf([0.05, 0.95])
    np.testing.assert_allclose((ahead.high - ahead.low)[0], high - low, rtol=0.06)
