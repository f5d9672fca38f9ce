"""Leave-one-out against closed forms, refits by brute force, and ArviZ; the density of a row against plain enumeration."""

import dataclasses
import itertools
import re

import arviz_stats
import numpy as np
import pandas as pd
import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

import inference
import zoo
from inference import Finding, Pair, Posterior, as_table, diagnose
from inference.answers import predictive
from inference.diagnostics.loo import relative_efficiency
from tests.conjugate import Location, by_chains, by_guide, left_out, location, rows, scaled
from tests.oracles import gmm as oracle
from tests.posteriors import chains, switched

PAIR = Location()


def finding(posterior: Posterior) -> Finding:
    return next(f for f in diagnose(posterior).findings if f.name == "left out")


def with_outlier() -> Tensor:
    x = rows()
    x[7] = 30.0
    return x


@pytest.mark.parametrize("make", [by_chains, lambda pair, x: by_guide(pair, x, scaled(location(pair, x), 1.3))], ids=["chains", "guide"])
def test_it_is_that_of_the_closed_form(make):
    x = rows()
    found, truth = make(PAIR, x).loo(), left_out(PAIR, x)
    np.testing.assert_allclose(found.elpd_i, truth, atol=0.01)
    assert found.elpd == pytest.approx(float(truth.sum()), abs=0.05)
    assert found.se == pytest.approx(float(truth.std(correction=0) * len(x) ** 0.5), rel=0.02)
    # One parameter, which the prior hardly holds.
    assert found.p == pytest.approx(1.0, abs=0.25)
    assert (found.pareto_k < 0.5).all()
    assert not found.warning


def test_a_guide_that_is_off_is_made_good():
    x = rows()
    posterior, truth = by_guide(PAIR, x, scaled(location(PAIR, x), 2.5)), left_out(PAIR, x)
    as_it_stands = dataclasses.replace(posterior, stats={}).loo()
    assert abs(as_it_stands.elpd - truth.sum()) > 1
    assert posterior.loo().elpd == pytest.approx(float(truth.sum()), abs=0.1)
    assert posterior.resampled().loo().elpd == pytest.approx(float(truth.sum()), abs=0.2)


@pytest.mark.filterwarnings("ignore:Estimated shape parameter:UserWarning")
def test_it_is_arvizs():
    posterior = by_chains(PAIR, with_outlier(), draws=200)
    found, theirs = posterior.loo(), arviz_stats.loo(posterior.to_arviz(), pointwise=True)
    np.testing.assert_allclose(found.elpd_i, theirs.elpd_i, rtol=1e-8)
    np.testing.assert_allclose(found.pareto_k, theirs.pareto_k, rtol=1e-6)
    for name in ("elpd", "se", "p", "good_k"):
        assert found[name] == pytest.approx(theirs[name], rel=1e-8)
    assert (found.n_samples, found.n_data_points, found.warning) == (800, 30, theirs.warning)
    assert str(found) == str(theirs)


@pytest.mark.filterwarnings("ignore:Estimated shape parameter:UserWarning")
def test_it_is_arvizs_for_a_mixture_whose_labels_switch_and_whose_draws_hang_together():
    posterior = switched(chains(draws=100))
    for name, value in posterior.draws.items():
        posterior.draws[name][:, 1::2] = value[:, ::2]
    found, theirs = posterior.loo(), arviz_stats.loo(posterior.to_arviz(), pointwise=True)
    assert relative_efficiency(posterior) < 0.8
    np.testing.assert_allclose(found.pareto_k, theirs.pareto_k, rtol=1e-6)
    np.testing.assert_allclose(found.elpd_i, theirs.elpd_i, rtol=1e-8)


def test_resampled_draws_are_advised_only_where_they_would_be_given():
    for by, advised in ((0.5, False), (0.62, True)):
        x = rows()
        posterior = by_guide(PAIR, x, scaled(location(PAIR, x), by), 4000, seed=5)
        found = finding(dataclasses.replace(posterior, pair=Location(), table=as_table(with_outlier())))
        assert (found.severity, "posterior.resampled()" in found.advice) == ("note", advised)
        if advised:
            posterior.resampled()
        else:
            with pytest.raises(ValueError, match="cannot be reweighed"):
                posterior.resampled()


def test_it_is_arvizs_for_a_guide():
    x = rows()
    posterior = by_guide(PAIR, x, scaled(location(PAIR, x), 0.9))
    log_p, log_q = (posterior.stats[name].numpy() for name in ("lp", "log_q"))
    theirs = arviz_stats.loo_approximate_posterior(posterior.to_arviz(), log_p, log_q, pointwise=True)
    found = posterior.loo()
    np.testing.assert_allclose(found.elpd_i, theirs.elpd_i, rtol=1e-8)
    np.testing.assert_allclose(found.pareto_k, theirs.pareto_k, rtol=1e-6)
    assert found.p == pytest.approx(theirs.p)
    assert found.approx_posterior


def test_rows_are_taken_some_at_a_time(monkeypatch):
    posterior = by_chains(PAIR, rows(), draws=50)
    whole = posterior.loo()
    monkeypatch.setattr(predictive, "LOGS", 1400)
    parts = list(predictive.log_likelihood_by_rows(posterior, posterior.table))
    assert [part.shape for part in parts] == [(200, 7)] * 4 + [(200, 2)]
    np.testing.assert_array_equal(np.concatenate(parts, 1), posterior.log_likelihood(posterior.table).flatten(0, 1))
    np.testing.assert_array_equal(posterior.loo().elpd_i, whole.elpd_i)


def test_a_row_that_moves_the_posterior_is_named():
    x = pd.DataFrame(with_outlier().numpy(), [f"day {i}" for i in range(30)], ["x"])
    # A wide prior and one far row among thirty: without it the posterior lies elsewhere.
    posterior = dataclasses.replace(by_chains(Location(width=50.0), with_outlier()), table=as_table(x))
    good = dataclasses.replace(by_chains(Location(width=50.0), rows()), table=None)
    found = finding(posterior)
    bad = posterior.loo().pareto_k
    assert int((bad > 0.7).sum()) == 1
    assert found.severity == "warning"
    assert "1 of 30 rows ('day 7')" in found.evidence
    assert found.advice
    assert diagnose(posterior).verdict.startswith("Believe it, with care: left out")
    assert finding(good).severity == "note"
    assert finding(by_chains(PAIR, rows())).severity == "good"


def test_a_guides_own_tail_is_not_blamed_on_rows():
    x = rows()
    narrow = by_guide(PAIR, x, scaled(location(PAIR, x), 0.5), 4000, seed=5)
    assert (narrow.loo().pareto_k > 0.7).any()
    found = finding(narrow)
    assert found.severity == "note"
    assert "the tails of the guide" in found.evidence
    exact = by_guide(Location(width=50.0), with_outlier(), location(Location(width=50.0), with_outlier()))
    assert finding(exact).severity == "warning"


def test_a_chain_that_stands_still_is_no_crash():
    posterior = by_chains(PAIR, rows())
    posterior.draws["loc"][2] = 3.0
    found = posterior.loo()
    assert found.warning
    assert np.isfinite(found.elpd_i).all()
    assert diagnose(posterior).verdict.startswith("Do not believe it yet: stuck, R-hat")


def test_a_report_judges_rows_by_a_few_thousand_draws_of_many():
    posterior = by_chains(PAIR, rows(), draws=5000)
    said, found = finding(posterior), posterior.thinned(5).loo()
    assert found.n_samples == 4000
    assert f"elpd {found.elpd:.1f}" in said.evidence
    assert abs(found.elpd - posterior.loo().elpd) < 0.1
    with pytest.raises(ValueError, match="every"):
        posterior.thinned(0)


def test_many_rows_are_not_looked_at_unasked(monkeypatch):
    monkeypatch.setattr(inference.diagnostics.loo, "CHEAP", 1000)
    found = finding(by_chains(PAIR, rows()))
    assert found.severity == "note"
    assert "not looked at" in found.evidence
    assert "posterior.loo()" in found.advice


def test_a_report_tells_what_it_could_not_look_at():
    posterior = by_chains(PAIR, rows())
    few, bare = posterior.thinned(len(posterior.draws["loc"][0]) // 10), dataclasses.replace(posterior, table=None)
    for lacking, said in ((few, r"draws are too few, and 100 enough"), (bare, "the rows were not kept")):
        found = [f for f in inference.diagnose(lacking).findings if f.name in ("left out", "predictive checks")]
        assert [f.severity for f in found] == ["note", "note"]
        assert all(re.search(said, f.evidence) for f in found)


def test_what_has_nothing_to_leave_out_is_refused():
    posterior = by_chains(PAIR, rows())
    with pytest.raises(ValueError, match="Location by nuts kept no rows"):
        dataclasses.replace(posterior, table=None).loo()
    with pytest.raises(ValueError, match="has 80 draws, too few"):
        by_chains(PAIR, rows(), draws=20).loo()
    point = inference.svi(PAIR, rows(), guide="map", steps=3, progress=False, device="cpu")
    with pytest.raises(ValueError, match="1 draw, too few"):
        point.loo()


def test_labels_of_several_levels():
    index = pd.MultiIndex.from_product([["a", "b", "c"], range(10)])
    posterior = by_chains(PAIR, rows(), draws=100)
    posterior = dataclasses.replace(posterior, table=dataclasses.replace(posterior.table, index=index))
    assert posterior.loo().elpd_i["row"].values[10] == "('b', 0)"


class Chain(Pair):
    """A row is a sequence of numbers about hidden states that follow each other.

    | symbol | distribution               | shape | meaning                 |
    |--------|----------------------------|-------|-------------------------|
    | locs   | Normal(0, 1)               | (3,)  | one for each state      |
    | z_t    | Categorical(MOVE[z_(t-1)]) | (N,)  | the states; summed out  |
    | x_t    | Normal(locs[z_t], 0.6)     | (N,)  | the numbers             |
    """

    MOVE = torch.tensor([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.3, 0.3, 0.4]], dtype=torch.float64)

    def __init__(self) -> None:
        pass

    def model(self, x: Tensor, size: int | None = None) -> None:
        locs = pyro.sample("locs", dist.Normal(x.new_zeros(3), 1.0).to_event(1))
        with self.rows(x, size):
            state = torch.zeros(len(x), dtype=torch.long)
            for t in range(x.shape[1]):
                state = pyro.sample(f"z_{t}", dist.Categorical(self.MOVE[state]))
                pyro.sample(f"x_{t}", dist.Normal(locs[state], 0.6), obs=x[:, t])


def test_the_density_of_a_row_of_a_chain_is_that_of_all_its_paths():
    x, locs = torch.randn(5, 4), torch.randn(2, 3, 3)
    how = {"method": "nuts", "settings": {}, "seed": 0, "seconds": 1.0}
    found = Posterior.of(Chain(), {"locs": locs}, {}, how, as_table(x)).log_likelihood(x)
    paths = torch.tensor(list(itertools.product(range(3), repeat=4)))
    states = torch.cat([torch.zeros(len(paths), 1, dtype=torch.long), paths], 1)
    prior = Chain.MOVE[states[:, :-1], states[:, 1:]].log().sum(1)
    for chain, draw, row in itertools.product(range(2), range(3), range(5)):
        logs = prior + torch.distributions.Normal(locs[chain, draw][paths], 0.6).log_prob(x[row]).sum(1)
        assert found[chain, draw, row] == pytest.approx(float(logs.logsumexp(0)), rel=1e-12)


def test_the_density_of_a_row_of_a_mixture_is_the_sum_over_its_components():
    x = torch.randn(6, 1)
    pair = zoo.create("gmm", x, components=3, covariance="diag")
    values = {"weights": torch.tensor([0.2, 0.5, 0.3]), "locs": torch.randn(3, 1), "precisions": torch.rand(3, 1) + 0.5}
    how = {"method": "nuts", "settings": {}, "seed": 0, "seconds": 1.0}
    found = Posterior.of(pair, {n: v[None, None] for n, v in values.items()}, {}, how, as_table(x)).log_likelihood(x)
    by_component = torch.distributions.Normal(values["locs"][:, 0], values["precisions"][:, 0].rsqrt()).log_prob(x).exp()
    np.testing.assert_allclose(found[0, 0], (by_component @ values["weights"]).log(), rtol=1e-12)


def test_it_is_the_ratio_of_evidences_of_a_mixture_of_one():
    # Its guide starts at the exact posterior.
    x = zoo.data.load("faithful").x[:12]
    pair = zoo.create("gmm", x, components=1)
    found = inference.svi(pair, x, steps=1, draws=20_000, progress=False, compile=False, device="cpu").loo()
    others = [oracle.log_evidence(pair, torch.cat([x[:i], x[i + 1 :]])) for i in range(12)]
    np.testing.assert_allclose(found.elpd_i, oracle.log_evidence(pair, x) - np.array(others), atol=0.03)


def test_rows_whose_labels_have_a_name_are_judged_too():
    x = rows(8)
    told = pd.DataFrame(x.numpy(), pd.Index([f"r{i}" for i in range(8)], name="station"), ["x"])
    fit = dataclasses.replace(by_chains(PAIR, x), table=as_table(told))
    assert list(fit.loo().pareto_k["row"].values) == list(told.index)
    assert finding(fit)
