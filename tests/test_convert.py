"""A posterior as ArviZ reads it."""

import dataclasses
import functools

import arviz_base
import arviz_stats
import numpy as np
import pytest
import torch
import xarray as xr
from torch.distributions import Dirichlet, Gamma, Normal, StudentT, biject_to, constraints

import inference
import zoo
from inference import Posterior, diagnose
from inference.answers.predictive import log_prior

from .posteriors import SITES, by_svi, chains, from_guide, switched
from .targets import CorrelatedGaussian, Counts, UnknownNormal, correlated_rows, counts_rows, normal_rows

ALWAYS = {"posterior", "sample_stats", "log_prior", "log_likelihood", "observed_data", "constant_data"}
MORE = {"unconstrained_posterior", "prior", "prior_predictive", "posterior_predictive"}


@functools.cache
def normal(draws: int = 400) -> Posterior:
    """Draws of a normal-gamma posterior, from a guide that is off."""
    return from_guide(UnknownNormal(), normal_rows(), draws=draws)


def test_to_arviz_is_what_arviz_reads():
    posterior = chains()
    tree = posterior.to_arviz()
    assert set(tree.children) == ALWAYS
    summary = arviz_stats.summary(tree, var_names=SITES)
    assert len(summary) == len(diagnose(posterior).table)
    loo = arviz_stats.loo(tree)
    log_likelihood = posterior.log_likelihood(posterior.table)
    assert loo.n_data_points == 60
    assert loo.elpd == pytest.approx(float(log_likelihood.mean((0, 1)).sum()), abs=1.0)


def test_the_draws_that_arviz_gets_are_aligned():
    tree = switched(chains()).to_arviz(log_likelihood=False)
    np.testing.assert_allclose(tree["posterior/locs"], chains().draws["locs"])
    assert "log_likelihood" not in tree.children


def test_axes_and_entries_have_names():
    tree = chains().to_arviz(groups="all")
    assert tree["posterior/locs"].dims == ("chain", "draw", "part", "feature")
    assert list(tree["posterior/locs"].coords["feature"].values) == ["eruptions", "waiting"]
    assert tree["posterior_predictive/x"].dims == ("chain", "draw", "row", "feature")
    assert tree["prior/weights"].dims == ("chain", "draw", "part")
    assert tree["constant_data/components"].item() == 2


def test_statistics_are_of_the_kind_that_arviz_expects():
    posterior = chains()
    stats = {**posterior.stats, "diverging": torch.zeros(4, 250), "n_steps": torch.full((4, 250), 7.0)}
    stats = dataclasses.replace(posterior, stats=stats).to_arviz(log_likelihood=False)["sample_stats"]
    assert stats["diverging"].dtype == bool
    assert stats["n_steps"].dtype == stats["tree_depth"].dtype == np.int64


def test_the_loss_of_a_fit_by_steps_is_in_optimization():
    posterior = by_svi()
    tree = posterior.to_arviz()
    assert tree["optimization/loss"].dims == ("step",)
    np.testing.assert_array_equal(tree["optimization/loss"], posterior.stats["loss"])
    assert set(tree["sample_stats"].data_vars) == {"lp", "log_p", "log_q"}


def test_rows_left_out_are_predicted_by_a_guides_draws():
    x = 1 + torch.linspace(-1.5, 1.5, 30)[:, None]
    posterior = from_guide(UnknownNormal(), x, draws=4000)
    shape, rate, weight, loc = _normal_gamma(x[:, 0])
    guide = Gamma(0.7 * shape, rate), Normal(loc + 0.1, 0.3)
    values = {"precision": guide[0].sample((1, 4000)), "loc": guide[1].sample((1, 4000))}
    log_q = guide[0].log_prob(values["precision"]) + guide[1].log_prob(values["loc"])
    log_p = sum(log_prior(dataclasses.replace(posterior, draws=values)).values()) + Normal(
        values["loc"], values["precision"].rsqrt()
    ).log_prob(x[..., None]).sum(0)
    tree = dataclasses.replace(posterior, draws=values, stats={"lp": log_p, "log_q": log_q}).to_arviz()
    stats = tree["sample_stats"]
    found = arviz_stats.loo_approximate_posterior(tree, log_p=stats["log_p"], log_q=stats["log_q"], pointwise=True)
    exact = [_left_out(x[:, 0], i) for i in range(30)]
    np.testing.assert_allclose(found.elpd_i, exact, atol=0.05)
    assert abs(arviz_stats.loo(tree, reff=1.0).elpd - sum(exact)) > 0.1


def _normal_gamma(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Shape and rate of the precision, weight and mean of the location."""
    n, mean = len(x), x.mean()
    return (
        torch.tensor(2 + n / 2),
        1 + 0.5 * (x - mean).square().sum() + n / (2 + n) * mean.square(),
        torch.tensor(2.0 + n),
        n * mean / (2 + n),
    )


def _left_out(x: torch.Tensor, i: int) -> float:
    """log p(x[i] | the others): Student's t."""
    shape, rate, weight, loc = _normal_gamma(torch.cat([x[:i], x[i + 1 :]]))
    scale = (rate * (weight + 1) / (shape * weight)).sqrt()
    return float(StudentT(2 * shape, loc, scale).log_prob(x[i]))


def test_it_comes_back_from_netcdf_as_it_was(tmp_path):
    tree = chains(draws=20).to_arviz(groups="all", draws=5)
    tree.to_netcdf(tmp_path / "fit.nc")
    back = arviz_base.convert_to_datatree(str(tmp_path / "fit.nc"))
    xr.testing.assert_identical(tree, back)
    back.close()


def test_the_density_of_the_prior_is_by_site():
    posterior = chains(draws=10)
    found = log_prior(posterior)
    assert set(found) == {"weights", "precision_trils", "locs"}
    np.testing.assert_allclose(found["weights"], Dirichlet(torch.ones(2)).log_prob(posterior.draws["weights"]))
    rows = posterior.log_likelihood(posterior.table).sum(-1)
    program = inference.answers.predictive.program_for(posterior, posterior.table)[0]
    one = {name: draws[2, 3] for name, draws in posterior.draws.items() if name in program.parameters}
    assert float(sum(found.values())[2, 3] + rows[2, 3]) == pytest.approx(float(program.log_joint(one, program.x)))


def test_unconstrained_draws_are_mapped_back_by_the_bijection():
    tree = chains(draws=10).to_arviz(groups="unconstrained_posterior")
    free = torch.as_tensor(tree["unconstrained_posterior/weights"].values)
    assert free.shape == (4, 10, 1)
    np.testing.assert_allclose(biject_to(constraints.simplex)(free), tree["posterior/weights"])
    np.testing.assert_array_equal(tree["unconstrained_posterior/locs"], tree["posterior/locs"])


def test_replicated_data_are_drawn_from_the_model():
    posterior = normal()
    values = {"precision": torch.full((1, 4000), 4.0), "loc": torch.full((1, 4000), 3.0)}
    known = dataclasses.replace(posterior, draws=values, stats={})
    new = known.to_arviz(groups="posterior_predictive")["posterior_predictive/x"].values
    assert new.shape == (1, 4000, 6)
    assert abs(new.mean() - 3.0) < 4 * 0.5 / new.size**0.5
    assert new.std() == pytest.approx(0.5, rel=4 / (2 * new.size) ** 0.5)
    assert abs(np.corrcoef(new[0, :, 0], new[0, :, 1])[0, 1]) < 4 / 4000**0.5


def test_the_prior_is_drawn_from_the_model():
    tree = normal().to_arviz(groups=["prior", "prior_predictive"], draws=4000, seed=3)
    precision, loc = tree["prior/precision"].values, tree["prior/loc"].values
    assert abs(precision.mean() - 2) < 4 * (2 / 4000) ** 0.5
    standard = torch.as_tensor(loc * (2 * precision) ** 0.5).flatten()
    assert abs(float(standard.mean())) < 4 / 4000**0.5
    assert float(Normal(0.0, 1.0).cdf(standard).sub(0.5).abs().mean()) == pytest.approx(0.25, abs=0.01)
    rows = (tree["prior_predictive/x"].values - loc[..., None]) * precision[..., None] ** 0.5
    assert abs(rows.mean()) < 4 / rows.size**0.5
    assert rows.std() == pytest.approx(1, rel=4 / (2 * rows.size) ** 0.5)


def test_the_seed_fixes_what_is_simulated_and_draws_bounds_it():
    posterior = chains()
    one, same, other = (
        posterior.to_arviz(groups="posterior_predictive", draws=3, seed=seed)["posterior_predictive/x"] for seed in (1, 1, 2)
    )
    xr.testing.assert_equal(one, same)
    assert not np.allclose(one, other)
    assert one.shape == (4, 3, 60, 2)
    assert list(one.coords["draw"].values) == [0, 124, 249]


def test_counts_stay_whole_and_a_hole_stays_a_hole():
    x = torch.tensor([[3.0], [1.0], [4.0]])
    posterior = from_guide(Counts(), x, draws=5)
    tree = posterior.to_arviz(groups="posterior_predictive")
    assert tree["posterior_predictive/x"].dtype == tree["observed_data/x"].dtype == np.int64
    frame = zoo.data.load("faithful").frame.iloc[:60].copy()
    frame.iloc[3, 1] = np.nan
    holes = dataclasses.replace(chains(draws=5), table=inference.as_table(frame))
    new = holes.to_arviz(groups="posterior_predictive")["posterior_predictive/x"].values
    assert np.isnan(new[:, :, 3, 1]).all()
    assert np.isnan(new).sum() == 20


def test_a_pair_that_draws_part_of_a_row_cannot_replicate_data():
    posterior = from_guide(CorrelatedGaussian(5), correlated_rows(5), draws=5)
    assert "log_likelihood" in posterior.to_arviz(groups="prior").children
    with pytest.raises(TypeError, match="'x' is not the whole of a row"):
        posterior.to_arviz(groups="posterior_predictive")


def test_a_large_log_likelihood_is_left_out_unless_asked_for(monkeypatch):
    monkeypatch.setattr("inference.diagnostics.convert.LIMIT", 100)
    tree = chains(draws=5).to_arviz()
    assert "log_likelihood" not in tree.children
    assert "log_likelihood=True" in tree.attrs["log_likelihood"]
    assert "log_likelihood" in chains(draws=5).to_arviz(log_likelihood=True).children


def test_what_cannot_be_made_is_refused():
    posterior = chains(draws=5)
    with pytest.raises(ValueError, match="did you mean 'prior'"):
        posterior.to_arviz(groups="priors")
    with pytest.raises(ValueError, match="draws=0"):
        posterior.to_arviz(groups="posterior_predictive", draws=0)
    rowless = dataclasses.replace(posterior, table=None)
    assert set(rowless.to_arviz(groups="prior").children) == {"posterior", "sample_stats", "constant_data", "prior"}
    for group in ("posterior_predictive", "prior_predictive"):
        with pytest.raises(ValueError, match="kept no rows"):
            rowless.to_arviz(groups=group)
    with pytest.raises(ValueError, match="kept no rows"):
        rowless.to_arviz(log_likelihood=True)


def test_draws_of_another_pair_are_refused_by_name():
    posterior = chains(draws=5)
    without = {name: draws for name, draws in posterior.draws.items() if name != "locs"}
    with pytest.raises(ValueError, match="no draws of 'locs'"):
        dataclasses.replace(posterior, draws=without).to_arviz()
    three = {**posterior.draws, "weights": torch.ones(4, 5, 3) / 3}
    with pytest.raises(ValueError, match=r"'weights' has shape \[3\], and in the pair \[2\]"):
        dataclasses.replace(posterior, draws=three).log_likelihood(posterior.table)


def test_the_run_is_described():
    attrs = by_svi().to_arviz(log_likelihood=False).attrs
    assert (attrs["pair"], attrs["method"], attrs["seed"], attrs["inference_library"]) == ("GaussianMixture", "svi", 1, "latent-zoo")
    assert '"components": 2' in attrs["hyperparameters"]
    assert "torch" in attrs["software"]
    assert attrs["log_likelihood"] == "left out, as asked"
    assert "created_at" in attrs


def test_one_draw_is_converted_too():
    assert chains(1, 1).to_arviz(groups="all")["posterior/locs"].shape == (1, 1, 2, 2)


@pytest.mark.parametrize("name", ["counts", "normal"])
def test_loo_pit_has_one_density_for_each_number(name):
    pair, x = {"counts": (Counts(), counts_rows()), "normal": (UnknownNormal(), normal_rows())}[name]
    tree = from_guide(pair, x, draws=200).to_arviz(groups="posterior_predictive")
    assert tree["observed_data/x"].dims == ("row",)
    assert tree["log_likelihood/x"].shape == tree["posterior_predictive/x"].shape
