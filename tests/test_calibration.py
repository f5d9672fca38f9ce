"""Calibration: right pairs pass, and every planted fault is caught."""

from dataclasses import replace

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from arviz_stats.ecdf_utils import simulate_confidence_bands
from torch import Tensor

import zoo
from inference import Pair, calibrate, mcmc
from inference.diagnostics.calibration import calibration
from inference.diagnostics.calibration.ranks import Uniformity, asymmetry, averaged, holm, ranks
from inference.diagnostics.calibration.thinning import thinned
from inference.mcmc import hmc
from inference.mcmc.run import KERNELS, draw_each
from inference.objectives import NegativeELBO
from inference.program import Program
from inference.restarts import Recipe, fit_batch
from tests.targets import CorrelatedGaussian

QUICK = {"compile": False, "progress": False}
CHAINS = {**QUICK, "method": "hmc", "simulations": 50, "warmup": 80, "draws": 200, "rows": 5}


class Conjugate(Pair):
    """Normal rows about a normal mean, whose posterior the guide knows.

    | symbol | distribution       | shape | meaning  |
    |--------|--------------------|-------|----------|
    | loc    | Normal(0, prior)   | ()    | the mean |
    | x      | Normal(loc, scale) | (N,)  | the rows |

    Arguments:
        prior: of the mean. scale: of the rows. width, shift: what the guide has wrong, in posterior standard deviations.
        blind: whether the guide gives the prior.
    """

    def __init__(self, prior: float = 1.0, scale: float = 2.0, width: float = 1.0, shift: float = 0.0, blind: bool = False) -> None:
        self.prior, self.scale, self.width, self.shift, self.blind = prior, scale, width, shift, blind

    def model(self, x: Tensor, size: int | None = None) -> None:
        loc = pyro.sample("loc", dist.Normal(x.new_zeros(()), self.prior))
        with self.rows(x, size):
            pyro.sample("x", dist.Normal(loc, self.scale), obs=x[:, 0])

    def posterior(self, x: Tensor) -> tuple[Tensor, float]:
        precision = self.prior**-2 + len(x) * self.scale**-2
        return x.sum() * self.scale**-2 / precision, precision**-0.5

    def guide(self, x: Tensor, size: int | None = None) -> None:
        mean, sd = (x.new_zeros(()), self.prior) if self.blind else self.posterior(x)
        pyro.sample("loc", dist.Normal(mean + self.shift * sd, self.width * sd))


class Fitted(Conjugate):
    """The same, with a guide whose mean and scale are learnt."""

    def __init__(self) -> None:
        super().__init__()
        self.q_loc = pyro.nn.PyroParam(torch.tensor(0.0))
        self.q_scale = pyro.nn.PyroParam(torch.tensor(1.0), dist.constraints.positive)

    def guide(self, x: Tensor, size: int | None = None) -> None:
        pyro.sample("loc", dist.Normal(self.q_loc, self.q_scale))


def named(found, name):
    return [f for f in found.findings if f.name == name]


def said(found, name):
    return " ".join(str(f) for f in named(found, name))


def data_sets(count=6, rows=5):
    """(count, rows, 1), each about a centre of its own."""
    return torch.randn(count, rows, 1) + 3 * torch.arange(count)[:, None, None]


# Right pairs pass


def test_an_exact_guide_is_calibrated():
    found = calibrate(Conjugate(), simulations=300, **QUICK)
    assert found.ok and not [f for f in found.findings if f.severity != "good"], str(found)
    assert set(found.ranks) == {"loc", "log joint", "log likelihood"}
    posterior = 1 / (1 + 20 / 4)
    assert abs(found.table.loc["loc", "contraction"] - (1 - posterior)) < 0.05
    assert abs(found.table.loc["loc", "z_sd"] - 1) < 4 / np.sqrt(600)


def test_a_guide_that_is_fitted_to_every_data_set_is_calibrated():
    found = calibrate(Fitted(), simulations=100, rows=5, particles=1, **QUICK)
    assert found.ok, str(found)


def test_chains_that_each_have_a_data_set_are_calibrated():
    found = calibrate(Conjugate(), **{**CHAINS, "method": "nuts"})
    assert found.ok, str(found)
    assert named(found, "effective draws")[0].severity == "good"


def test_a_mixture_by_chains_is_calibrated_though_its_components_have_no_order():
    pair = zoo.create("gmm", components=2, dim=1, covariance="spherical", concentration=5.0, shrinkage=0.5, freedom=8.0)
    found = calibrate(pair, **{**CHAINS, "rows": 15, "warmup": 120, "draws": 600})
    assert found.ok, str(found)
    assert {"weights[0]", "weights[1]", "locs[0, 0]", "locs[1, 0]"} <= set(found.ranks)


# Planted faults are caught


@pytest.mark.parametrize("pair", [Conjugate(prior=3.0), Conjugate(scale=4.0)], ids=["prior", "scale of the rows"])
def test_data_from_another_model_are_caught(pair):
    found = calibrate(Conjugate(), simulator=pair, simulations=200, **QUICK)
    assert not found.ok and named(found, "ranks")[0].severity == "failure", str(found)


def test_a_wrong_prior_shows_in_the_data_averaged_posterior():
    found = calibrate(Conjugate(), simulator=Conjugate(prior=3.0), simulations=200, rows=2, **QUICK)
    assert named(found, "prior")[0].severity == "failure", str(found)


@pytest.mark.parametrize(("width", "deviation"), [(0.5, "overconfident"), (2.0, "underconfident")])
def test_a_guide_of_the_wrong_width_is_caught_and_is_not_called_biased(width, deviation):
    found = calibrate(Conjugate(width=width), simulations=200, **QUICK)
    assert found.table.loc["loc", "deviation"] == deviation and f"({deviation})" in said(found, "ranks")
    assert found.table.loc["loc", "p_centre"] > 0.05, "symmetric ranks are not biased"
    assert not found.ok


@pytest.mark.parametrize(("shift", "deviation"), [(0.7, "high"), (-0.7, "low")])
def test_a_guide_off_its_centre_is_called_biased(shift, deviation):
    found = calibrate(Conjugate(shift=shift), simulations=200, **QUICK)
    assert found.table.loc["loc", "deviation"] == deviation
    assert named(found, "bias")[0].severity == "failure" and "loc" in said(found, "bias")


def test_a_guide_that_ignores_the_data_is_seen_by_the_densities_alone():
    found = calibrate(Conjugate(blind=True), simulations=200, **QUICK)
    assert found.table.loc["loc", "p_ranks"] > 0.05, "the prior's draws rank the truth uniformly"
    assert found.table.loc["log likelihood", "p_ranks"] < 0.001 and not found.ok


class Failing(Conjugate):
    """A guide that is lost where the rows are high."""

    def __init__(self) -> None:
        super().__init__()

    def guide(self, x: Tensor, size: int | None = None) -> None:
        mean, sd = self.posterior(x)
        pyro.sample("loc", dist.Normal(torch.where(mean > 1.0, torch.nan, mean), sd))

    def check(self, table, fitting):
        """Counts the rows that the guide is lost with."""
        Failing.lost += bool(self.posterior(table.x)[0] > 1.0)


def test_fits_that_failed_are_counted_and_left_out():
    Failing.lost = 0
    found = calibrate(Failing(), simulations=100, **QUICK)
    assert Failing.lost > 0 and not found.ok
    assert f"{Failing.lost} simulations had draws that are not finite" in said(found, "fits")
    assert len(found.ranks["loc"]) == 100 - Failing.lost


class Drifting(hmc.Kernel):
    """A sampler that records where it never was."""

    def advance(self, *args):
        state, positions, info = super().advance(*args)
        return state, positions + 0.7, info


def test_a_biased_sampler_is_caught(monkeypatch):
    monkeypatch.setitem(KERNELS, "hmc", Drifting)
    found = calibrate(Conjugate(), **CHAINS)
    assert found.table.loc["loc", "deviation"] == "high" and not found.ok, str(found)


def test_chains_of_too_few_effective_draws_are_no_verdict(monkeypatch):
    class Crawling(hmc.Kernel):
        def advance(self, state, first, count, step_size, space):
            return super().advance(state, first, count, 0.03 * step_size, space)

        def learn(self):
            self.memory["length"] = 0.05

    monkeypatch.setitem(KERNELS, "hmc", Crawling)
    found = calibrate(Conjugate(), **CHAINS)
    assert not found.ok and named(found, "effective draws")[0].severity == "failure"
    assert not named(found, "ranks"), "no word on ranks that mean nothing"


# Conditional on data


@pytest.fixture(scope="module")
def posterior():
    """Of ten rows, by chains."""
    return mcmc(Conjugate(), torch.linspace(-2, 4, 10), kernel="hmc", chains=4, warmup=100, draws=250, **QUICK)


def test_a_posterior_is_calibrated_given_its_data(posterior):
    found = calibrate(posterior, method="svi", simulations=200, **QUICK)
    assert found.ok, str(found)
    assert calibration._simulated(posterior, posterior.pair, 3, 30, posterior.device).rows.shape == (30, 13, 1)


def test_a_posterior_that_is_too_narrow_is_caught_given_its_data(posterior):
    draws = posterior.draws["loc"]
    narrow = replace(posterior, draws={"loc": draws.mean() + 0.3 * (draws - draws.mean())})
    found = calibrate(narrow, method="svi", simulations=200, **QUICK)
    assert not found.ok and found.table.loc["loc", "deviation"] == "underconfident", str(found)


def test_chains_judge_the_posterior_that_they_made(posterior):
    found = calibrate(posterior, **{**CHAINS, "method": None, "rows": 3})
    assert found.title.startswith("Conjugate by hmc: 50 simulations") and found.ok, str(found)


def test_a_posterior_without_its_rows_is_refused(posterior):
    with pytest.raises(ValueError, match="has not kept its rows"):
        calibrate(replace(posterior, table=None))


# The batch


def test_fits_to_data_of_their_own_end_where_each_ends_alone():
    rows, pair = data_sets(), Fitted()
    objective = NegativeELBO(Program(pair, rows[0]), pair.guide, particles=2)
    starts = {name: p.detach().expand(len(rows), *p.shape) for name, p in objective.named_parameters()}
    fits = fit_batch(objective, starts, rows, Recipe(compile=False))
    exact = torch.stack([pair.posterior(x)[0] for x in rows])
    assert torch.allclose(fits.parameters["pair.q_loc_unconstrained"], exact, atol=2e-3)
    assert torch.allclose(fits.parameters["pair.q_scale_unconstrained"].exp(), torch.tensor(pair.posterior(rows[0])[1]), atol=2e-3)


def test_rows_of_their_own_are_not_drawn_in_minibatches():
    rows, pair = data_sets(), Fitted()
    objective = NegativeELBO(Program(pair, rows[0]), pair.guide)
    starts = {name: p.detach().expand(len(rows), *p.shape) for name, p in objective.named_parameters()}
    with pytest.raises(ValueError, match="batch=2"):
        fit_batch(objective, starts, rows, Recipe(batch=2))


@pytest.mark.parametrize("kernel", list(KERNELS))
def test_chains_with_data_of_their_own_draw_from_their_own_posteriors(kernel):
    rows, pair = data_sets(count=4), Conjugate()
    settings = {"kernel": kernel, "warmup": 100, "draws": 200, "thin": 1}
    values, stats = draw_each(Program(pair, rows[0]), rows, settings, 0, False, lambda done, note: None)
    draws = values["loc"].numpy()
    for chain, x in zip(draws, rows, strict=True):
        mean, sd = pair.posterior(x)
        _, effective = thinned(chain[None, :, None])
        assert effective.least > 30
        assert abs(chain.mean() - float(mean)) < 4 * sd / np.sqrt(effective.least)
        assert 0.75 < chain.std() / sd < 1.3
    assert stats["step_size"].shape == (len(rows), 200)


# The statistics


def test_the_rank_is_how_many_draws_are_below_and_ties_fall_to_chance():
    draws = np.array([[[1.0], [2.0], [3.0]]] * 3000)
    rng = np.random.default_rng(0)
    assert (ranks(np.full((3000, 1), 2.5), draws, rng) == 2).all()
    tied = ranks(np.full((3000, 1), 2.0), draws, rng)
    assert set(np.unique(tied)) == {1, 2} and abs((tied == 1).mean() - 0.5) < 4 * 0.5 / np.sqrt(3000)


def test_the_bands_are_those_of_arviz():
    test = Uniformity(50, 19, np.random.default_rng(0))
    theirs = 1 - simulate_confidence_bands(50, 1, test.points, 0.95, 4000, np.random.default_rng(0))
    ours = np.quantile(test._chance, 0.05)
    assert abs(ours - theirs) < 0.15 * theirs


def test_p_values_of_uniform_ranks_are_honest_and_the_bands_hold():
    rng = np.random.default_rng(1)
    test, found = Uniformity(100, 49, rng), rng.integers(50, size=(100, 2000))
    low, high = test.band(0.95)
    share = test.below(found) / 100
    inside = ((share >= low - 1e-9) & (share <= high + 1e-9)).all(1).mean()
    for rate, expected in [((test.p(found) < 0.05).mean(), 0.05), (inside, 0.95), ((asymmetry(found, 49, rng) < 0.05).mean(), 0.05)]:
        assert abs(rate - expected) < 4 * np.sqrt(0.05 * 0.95 / 2000) + 0.01, "discrete statistics may be a little off their level"


def test_the_data_averaged_test_keeps_its_level_and_sees_a_shift():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(100, 500))
    mean = (truth + rng.normal(size=truth.shape)) / 2
    draws = mean[:, None] + np.sqrt(0.5) * rng.normal(size=(100, 20, 500))
    assert abs((averaged(truth, draws) < 0.05).mean() - 0.05) < 4 * np.sqrt(0.05 * 0.95 / 500)
    assert (averaged(truth, draws + 0.4) < 0.01).mean() > 0.9
    assert (averaged(truth, 1.6 * draws) < 0.01).mean() > 0.9


def test_holm_multiplies_the_least_by_all_and_keeps_the_order():
    assert np.allclose(holm(np.array([0.04, 0.01, 0.03])), [0.06, 0.03, 0.06])


def test_draws_are_thinned_to_those_that_are_effective():
    rng = np.random.default_rng(0)
    noise, chain = rng.normal(size=(30, 1000, 1)), np.zeros((30, 1000, 1))
    for i in range(1, 1000):
        chain[:, i] = 0.8 * chain[:, i - 1] + 0.6 * noise[:, i]
    kept, effective = thinned(chain)
    assert 60 < effective.least < 111, "1000 draws of lag-one correlation 0.8 are worth 111"
    assert kept.shape[1] == effective.kept <= effective.least
    assert thinned(noise)[1].kept > 400


# The door


class Improper(Conjugate):
    """A flat prior, from which nothing can be drawn."""

    def __init__(self) -> None:
        super().__init__()

    def model(self, x: Tensor, size: int | None = None) -> None:
        loc = pyro.sample("loc", dist.ImproperUniform(dist.constraints.real, (), ()))
        with self.rows(x, size):
            pyro.sample("x", dist.Normal(loc, 1.0), obs=x[:, 0])


class Positive(Conjugate):
    """A pair that reads positive rows only, and makes others."""

    def __init__(self) -> None:
        super().__init__()

    def check(self, table, fitting):
        if (table.x < 0).any():
            raise ValueError("a row is negative")


@pytest.mark.parametrize(
    ("pair", "arguments", "message"),
    [
        (Conjugate(), {"simulations": 19}, "simulations=19 must be a whole number of at least 20"),
        (Conjugate(), {"draws": 5}, "draws=5 must be"),
        (Conjugate(), {"rows": 0}, "rows=0 must be"),
        (Conjugate(), {"method": "nut"}, "nuts"),
        (Conjugate(), {"method": "map"}, "a point has no uncertainty"),
        (Conjugate(), {"guide": "map"}, "a point has no uncertainty"),
        (Conjugate(), {"steps": 0}, "steps=0"),
        (Improper(), {}, "cannot simulate rows"),
        (Positive(), {}, r"in simulation \d+: a row is negative"),
        (Conjugate(), {"simulator": zoo.create("gmm", dim=1)}, "the simulator draws the parameters"),
    ],
)
def test_what_cannot_be_calibrated_is_refused(pair, arguments, message):
    with pytest.raises(ValueError, match=message):
        calibrate(pair, **arguments, **QUICK)


def test_rows_that_the_model_only_makes_a_part_of_are_refused():
    with pytest.raises(TypeError, match="not the whole of rows"):
        calibrate(CorrelatedGaussian(2), rows=torch.randn(8, 3), **QUICK)


def test_what_is_no_pair_is_refused():
    with pytest.raises(TypeError, match="must be a pair"):
        calibrate(3)


def test_simulated_rows_have_the_shape_and_the_holes_of_those_given():
    pair, like = zoo.create("gmm", components=1, dim=2), torch.randn(12, 2)
    like[3, 1] = torch.nan
    made = calibration.simulate(pair, like, 30)
    assert made.rows.shape == (30, 12, 2) and (made.rows.isnan() == like.isnan()).all()
    assert calibrate(pair, rows=like, simulations=20, steps=1, particles=1, **QUICK).table.notna()["p_ranks"].all()


def test_the_same_seed_gives_the_same_ranks_and_leaves_the_random_numbers_alone():
    state = torch.get_rng_state()
    first, second = (calibrate(Conjugate(), simulations=30, **QUICK).ranks["loc"] for _ in range(2))
    other = calibrate(Conjugate(), simulations=30, seed=1, **QUICK).ranks["loc"]
    assert (first == second).all() and not (first == other).all()
    assert torch.equal(state, torch.get_rng_state())


# What is shown


def test_a_calibration_reads_well_and_has_a_picture():
    found = calibrate(Conjugate(width=0.5), simulations=100, **QUICK)
    text, page = str(found), found._repr_html_()
    assert text.startswith("Conjugate by svi: 100 simulations, ranks among 100 draws\nNot calibrated")
    assert "too narrow (overconfident)" in text and "too narrow (overconfident)" in page and "<table" in page
    axes = found.picture().axes
    assert [a.get_title() for a in axes] == list(found.ranks)
    colours = {a.get_title(): a.lines[0].get_color() for a in axes if a.lines}
    assert colours["loc"] == "C3", "a line outside its band stands out"
