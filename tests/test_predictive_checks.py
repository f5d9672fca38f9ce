"""Data sets drawn from a posterior beside the data: a model that fits passes, planted misfits are caught."""

import dataclasses

import matplotlib.pyplot as plt
import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from matplotlib.figure import Figure
from torch import Tensor

import inference
import zoo
from inference import Finding, Pair, Posterior, as_table, diagnose, memory
from inference.answers import replicate
from inference.diagnostics.quantities import BY_COLUMN, quantile
from tests.conjugate import Location, by_chains, location, rows
from tests.normals import heavy_tails, normal_rows, one_normal, rows_with_holes, two_clumps
from tests.test_elimination import Topics

PAIR = Location()


def finding(posterior: Posterior) -> Finding:
    return next(f for f in diagnose(posterior).findings if f.name == "predictive checks")


@pytest.mark.parametrize(("make", "least"), [(normal_rows, 0.5), (rows_with_holes, 0.05)])
def test_data_of_the_model_pass(make, least):
    posterior = one_normal(make)
    checks = posterior.check()
    assert len(checks.table) == 15
    assert checks.unlikely.empty
    assert (checks.table["p_all"] > 0.01).all()
    assert finding(posterior).severity == "good"
    # The mean and sd are fitted (with holes, not quite): the data's lie amid those of the data sets drawn.
    assert (checks.table["p"][["mean[0]", "sd[1]"]] > least).all()


@pytest.mark.parametrize(("make", "names"), [(heavy_tails, {"min", "max", "q25", "q75"}), (two_clumps, {"q25", "q75", "median", "max"})])
def test_a_misfit_is_caught(make, names):
    posterior = one_normal(make)
    unlikely = posterior.check().unlikely
    assert {name.partition("[")[0] for name in unlikely.index} & names
    found = finding(posterior)
    assert found.severity == "warning"
    assert found.evidence.split(" is ")[0] in unlikely.index
    settled = dataclasses.replace(posterior, how={**posterior.how, "stopped": "converged after 1 step"})
    assert "predictive checks" in diagnose(settled).verdict
    assert len(found.evidence) < 140


def test_columns_that_hang_together_are_missed_where_the_model_has_them_apart():
    x = torch.randn(300, 2, generator=torch.Generator().manual_seed(0)) @ torch.tensor([[1.0, 0.95], [0.0, 0.31]])
    pair = zoo.create("gmm", x, components=1, covariance="diag")
    checks = inference.svi(pair, x, steps=300, particles=1, draws=200, compile=False).check(draws=200)
    assert list(checks.unlikely.index) == ["correlation[0~1]"]


def test_false_alarms_are_as_rare_as_said():
    # The posterior predictive distribution itself: the data are one more data set from it, so that p_all is uniform.
    sets, alarms = torch.randn(200 * 101, 40, 1, generator=torch.Generator().manual_seed(0)), 0
    quantities = torch.stack([torch.vmap(q)(sets)[:, 0] for q in BY_COLUMN.values()], 1).reshape(200, 101, -1).numpy()
    for data, *drawn in quantities:
        compared = inference.diagnostics.predictive_checks._compared(data, np.stack(drawn), list(BY_COLUMN))
        alarms += compared["p_all"].min() < 0.1
    assert abs(alarms - 20) < 4 * (200 * 0.1 * 0.9) ** 0.5


def test_the_data_sets_are_draws_of_the_posterior_predictive_distribution():
    x = rows()
    posterior, exact = by_chains(PAIR, x), location(PAIR, x)
    table = posterior.check({"first": lambda x: x[0], "mean": lambda x: x.mean()}, draws=4000).table
    assert table["observed"]["first"] == float(x[0])
    assert table["observed"]["mean"] == pytest.approx(float(x.mean()))
    # A new number has the variance 1 + v, the mean of 30 that share a location v + 1/30.
    for name, variance in (("first", 1 + exact.variance), ("mean", exact.variance + 1 / 30)):
        sd = float(variance) ** 0.5
        assert table["mean"][name] == pytest.approx(float(exact.mean), abs=4 * sd / 4000**0.5)
        assert table["sd"][name] == pytest.approx(sd, rel=4 / (2 * 4000) ** 0.5)


def test_p_is_how_often_a_data_set_lies_as_far_out():
    posterior = by_chains(PAIR, rows())
    checks = posterior.check(lambda x: x.amax(), draws=100)
    drawn, seen = checks.replicated[:, 0], float(rows().max())
    assert checks.replicated.shape == (100, 1)
    assert list(checks.table.index) == ["<lambda>"]
    assert checks.table["p"].iloc[0] == pytest.approx(min(1, 2 * (min((drawn >= seen).sum(), (drawn <= seen).sum()) + 1) / 101))
    assert torch.equal(torch.as_tensor(posterior.check(lambda x: x.amax(), draws=100).replicated), torch.as_tensor(checks.replicated))
    assert not np.array_equal(posterior.check(lambda x: x.amax(), draws=100, seed=1).replicated, checks.replicated)


def test_the_holes_of_the_data_are_put_into_the_data_sets():
    posterior = one_normal(rows_with_holes)
    checks = posterior.check({"holes": lambda x: x.isnan().sum(0).to(x.dtype)}, draws=100)
    assert list(checks.table.index) == ["holes[0]", "holes[1]"]
    assert (checks.replicated == [0, 67]).all()
    assert np.isfinite(posterior.check(draws=100).table).all(axis=None)


def test_data_sets_are_taken_some_at_a_time(monkeypatch):
    posterior, seen = by_chains(PAIR, rows()), []
    run = replicate._rows
    monkeypatch.setattr(replicate, "_rows", lambda program, values, count: seen.append(count) or run(program, values, count))
    monkeypatch.setattr(memory, "CELLS", 8 * 30 * 7)
    assert posterior.check(draws=100).replicated.shape == (100, 7)
    assert seen == [7] * 14 + [2]


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 0.9, 1.0])
def test_quantiles_are_numpys(share):
    x = torch.randn(31, 3)
    x[4:9, 1] = torch.nan
    np.testing.assert_allclose(quantile(x, share), np.nanquantile(x.numpy(), share, axis=0), rtol=1e-12)


class Suggesting(Location):
    """Numbers of which the pair itself suggests what to look at."""

    quantities = {"neighbours": lambda x: (x[1:] * x[:-1]).mean()}


def test_what_a_pair_suggests_is_looked_at():
    table = by_chains(Suggesting(), rows()).check(draws=100).table
    assert list(table.index) == [*BY_COLUMN, "neighbours"]


class Slope(Pair):
    """A line through the origin: only the second column is modelled, given the first."""

    def __init__(self) -> None:
        pass

    def model(self, x: Tensor, size: int | None = None) -> None:
        slope = pyro.sample("slope", dist.Normal(x.new_zeros(()), 10.0))
        with self.rows(x, size):
            pyro.sample("y", dist.Normal(slope * x[:, 0], 1.0), obs=x[:, 1])


def test_columns_that_are_given_stay_as_they_are():
    x = torch.linspace(-3, 3, 60)
    x = torch.stack([x, 2 * x + torch.randn(60)], 1)
    chains = dataclasses.replace(by_chains(PAIR, rows()), pair=Slope(), draws={"slope": 2 + 0.05 * torch.randn(4, 100)})
    posterior = dataclasses.replace(chains, table=as_table(x), how={**chains.how, "row_shape": [2], "columns": ["0", "1"]})
    table = posterior.check({"slope": lambda y: (y[:, 0] * x[:, 0]).sum() / x[:, 0].square().sum()}, draws=500).table
    assert table["mean"]["slope"] == pytest.approx(2, abs=0.05)
    assert table["sd"]["slope"] == pytest.approx((0.05**2 + 1 / float(x[:, 0].square().sum())) ** 0.5, rel=0.15)
    assert table["p"]["slope"] > 0.01


def test_rows_of_several_observed_sites_are_not_drawn():
    x = torch.randn(20, 3)
    how = {"method": "nuts", "settings": {}, "seed": 0, "seconds": 1.0}
    posterior = Posterior.of(Topics(), {"locs": torch.randn(4, 100, 3)}, {}, how, as_table(x))
    with pytest.raises(TypeError, match=r"several observed sites.*'value', 'x'"):
        posterior.check()
    found = finding(posterior)
    assert found.severity == "note"
    assert "several observed sites" in found.evidence


def test_many_rows_are_not_looked_at_unasked(monkeypatch):
    monkeypatch.setattr(inference.diagnostics.predictive_checks, "CHEAP", 1000)
    found = finding(by_chains(PAIR, rows()))
    assert found.severity == "note"
    assert "posterior.check()" in found.advice


def test_many_columns_are_taken_together():
    x = torch.randn(50, 25)
    pair = zoo.create("gmm", x, components=1, covariance="spherical")
    posterior = inference.svi(pair, x, steps=1, draws=100, progress=False, compile=False, device="cpu")
    assert list(posterior.check(draws=100).table.index) == list(BY_COLUMN)


def test_what_cannot_be_checked_is_refused():
    posterior = by_chains(PAIR, rows())
    with pytest.raises(ValueError, match="kept no rows"):
        dataclasses.replace(posterior, table=None).check()
    with pytest.raises(ValueError, match="draws=99: of fewer than 100 data sets none can show"):
        posterior.check(draws=99)
    with pytest.raises(TypeError, match="a function of a data set"):
        posterior.check(["mean"])


def test_the_fewest_data_sets_allowed_can_find_a_misfit():
    assert not one_normal(two_clumps).check(draws=100).unlikely.empty


def branching(x: Tensor) -> Tensor:
    return x.amax() if x.mean() > 0 else x.amin()


@pytest.mark.parametrize(
    ("quantity", "said"),
    [
        (branching, "takes values out of tensors"),
        (lambda x: float(x.mean()), "takes values out of tensors"),
        (lambda x: x.nosuch(), "no attribute 'nosuch'"),
        (lambda x: x[:, 3].mean(), "index 3 is out of bounds"),
        (lambda x: "far", "str"),
    ],
    ids=["a branch", "a float", "an attribute", "a column", "no number"],
)
def test_a_quantity_that_cannot_be_computed_is_named(quantity, said):
    with pytest.raises(ValueError, match=f"the quantity 'odd' cannot be computed of a data set.*{said}"):
        by_chains(PAIR, rows()).check({"odd": quantity, "mean": lambda x: x.mean()})


class Odd(Location):
    """Numbers of which the pair suggests what it cannot compute."""

    quantities = {"odd": branching}


def test_a_report_tells_of_quantities_that_a_pair_cannot_compute():
    found = finding(by_chains(Odd(), rows()))
    assert found.severity == "note"
    assert "'odd' cannot be computed" in found.evidence


def test_a_picture_of_the_least_likely():
    checks = one_normal(two_clumps).check(draws=100)
    figure = checks.picture()
    assert isinstance(figure, Figure)
    shown = [axes for axes in figure.axes if axes.axison]
    assert len(shown) == 12
    for axes in shown:  # what is said to be unlikely is red
        name, values = axes.get_title().split("\n")
        assert values == "p {p:.3f}, of all {p_all:.3f}".format(**checks.table.loc[name])
        assert (axes.lines[0].get_color() == "C3") == (name in checks.unlikely.index)
    assert str(checks.table.index[0]) in str(checks)
    assert plt.get_fignums() == []


def test_a_picture_of_few_leaves_the_rest_empty():
    figure = by_chains(PAIR, rows()).check(draws=100).picture()
    assert [axes.axison for axes in figure.axes] == [True] * 7


def test_a_quantity_that_is_no_number_is_not_judged():
    checks = by_chains(PAIR, rows()).check({"log": lambda x: x.log().sum(), "mean": lambda x: x.mean()}, draws=100)
    assert checks.table.loc["log", ["mean", "sd", "p", "p_all"]].isna().all()
    assert checks.table.loc["mean"].notna().all()
    assert checks.unlikely.empty and checks.unjudged == ["log"]
    assert "not judged, since not finite: log" in str(checks)
    assert len(checks.picture().axes) == 2
    logs = type("Logs", (Location,), {"quantities": {"log": lambda x: x.log().sum()}})
    said = next(f for f in diagnose(by_chains(logs(), rows())).findings if f.name == "quantities")
    assert said.evidence.startswith("log: not finite")
