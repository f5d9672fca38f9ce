"""Steps of a single series left out: against the closed form, and what stands in for rows that cannot be."""

import numpy as np
import pytest
import torch
from scipy.stats import nbinom

import inference
import zoo
from inference import Posterior, diagnose
from tests.conjugate import Location, by_chains

SHAPE, CENTER = 2.0, 5.0


def _counts(steps: int = 80) -> torch.Tensor:
    return torch.as_tensor(np.random.default_rng(3).poisson(5.0, (1, steps))).double()


def _exact(x: torch.Tensor, **given: object) -> Posterior:
    """One state: counts of one rate, whose posterior the guide starts at."""
    pair = zoo.create("hmm", states=1, emission="poisson", center=CENTER, shape=SHAPE, **given)
    return inference.svi(pair, x, steps=1, lr=1e-9, draws=20_000, device="cpu", compile=False)


def _ahead(x: np.ndarray) -> np.ndarray:
    """log p(x_t | x_1..t-1) of counts (T,): the rate integrated out."""
    so_far, steps = np.cumsum(x) - x, np.arange(len(x))
    shape, rate = SHAPE + so_far, SHAPE / CENTER + steps
    return nbinom.logpmf(x, shape, rate / (rate + 1))


def test_steps_are_foretold_as_the_closed_form_says():
    x = _counts()
    found, truth = _exact(x).ahead(), _ahead(x[0].numpy())
    assert found.n_data_points > 20
    assert list(found.elpd_i["step"].values) == [str(t) for t in range(80 - found.n_data_points, 80)]
    np.testing.assert_allclose(found.elpd_i, truth[-found.n_data_points :], atol=0.05)
    assert found.elpd == pytest.approx(truth[-found.n_data_points :].sum(), abs=0.3)
    assert not found.warning


def test_steps_that_were_not_seen_are_not_judged():
    x = _counts()
    x[0, [60, 61, 79]] = torch.nan
    found = _exact(x).ahead()
    steps = [int(t) for t in found.elpd_i["step"].values]
    assert steps[-1] == 78
    assert not {60, 61} & set(steps)
    seen = x[0, ~x[0].isnan()].numpy()
    np.testing.assert_allclose(found.elpd_i, _ahead(seen)[-len(steps) :], atol=0.05)


def test_only_as_many_steps_are_judged_as_weights_allow():
    x = _counts()
    x[0, 40] = 60.0
    found = _exact(x).ahead()
    # Before the outlier was seen the posterior was elsewhere: no weights bring its draws there.
    assert int(found.elpd_i["step"].values[0]) > 40
    assert (found.pareto_k <= found.good_k).all()


def test_one_row_is_not_left_out():
    x = _counts()
    posterior = _exact(x)
    with pytest.raises(ValueError, match=r"was given one row, .*; posterior.ahead\(\) leaves its last steps out"):
        posterior.loo()
    row = by_chains(Location(), torch.ones(1, 1))
    with pytest.raises(ValueError, match="was given one row, .*; fit more rows"):
        row.loo()
    with pytest.raises(ValueError, match=r"is not of one series .*posterior.loo\(\)"):
        _exact(torch.cat([x, x])).ahead()
    told = {name: next(f for f in diagnose(p).findings if f.name == "left out") for name, p in (("series", posterior), ("row", row))}
    assert "of 80 steps, each foretold by those before it" in told["series"].evidence
    assert "there is one row" in told["row"].evidence


def test_posteriors_of_one_series_are_compared_by_their_steps():
    x = zoo.data.load("earthquakes").x
    fits = {}
    for states in (1, 2):
        pair = zoo.create("hmm", x, states=states, emission="poisson")
        fits[f"K={states}"] = inference.svi(pair, x, steps=300, draws=1000, device="cpu", compile=False)
    table = inference.compare(fits)
    assert table.index[0] == "K=2"
    assert table["behind"]["K=1"] > 2 * table["se_behind"]["K=1"]
    judged = [fits[name].ahead().n_data_points for name in fits]
    assert table["elpd"]["K=1"] == pytest.approx(fits["K=1"].ahead().elpd_i[-min(judged) :].sum().item())
