"""What is asked of series in a DataFrame is answered in its names; what is asked with numbers is answered in tensors."""

import numpy as np
import pandas as pd
import pytest
import torch

import inference
import zoo
from inference.answers.latent import Encoded
from inference.rows.steps import Across, Down
from inference.rows.times import following, refuse_uneven
from inference.saving.labels import of_steps, steps_of

QUICK = {"steps": 2, "draws": 3, "device": "cpu", "compile": False}
DAYS = pd.date_range("2001-01-01", periods=12)


def _panel() -> pd.DataFrame:
    """Two series, of which the second is shorter, day by day; and words, which are no part of it."""
    rng = np.random.default_rng(0)
    long, short = (pd.DataFrame(rng.normal(size=(n, 3)), DAYS[:n], columns=["flow", "level", "wind"]) for n in (12, 9))
    return pd.concat({"north": long, "south": short}, names=["site", "day"]).sort_index(level="day", sort_remaining=False)


@pytest.fixture(scope="module")
def panel() -> inference.Posterior:
    return inference.svi(zoo.create("hmm", _panel(), covariates="wind"), _panel(), **QUICK)


@pytest.fixture(scope="module")
def nile() -> inference.Posterior:
    frame = zoo.data.load("nile").frame
    return inference.svi(zoo.create("lgssm", frame, states=1), frame, **QUICK)


def _told(answer: object) -> list[object]:
    return list(answer) if isinstance(answer, tuple) else [answer]


@pytest.mark.parametrize("ask", ["encode", "filter", "decode", "score_steps", "impute"])
def test_steps_are_told_by_series_and_time(panel, ask):
    frame = _panel()
    named, plain = (_told(getattr(panel, ask)(x)) for x in (frame, panel.table.x))
    assert len(named) == len(plain)
    for table, tensor in zip(named, plain, strict=True):
        pd.testing.assert_index_equal(table.index, frame.index)
        for series, site in enumerate(["north", "south"]):
            mine = table.loc[site].to_numpy()
            np.testing.assert_array_equal(mine, tensor[series].reshape(12, -1)[: len(mine)])


def test_paths_have_a_column_for_every_draw(panel):
    paths, plain = panel.paths(_panel(), seed=1), panel.paths(panel.table.x, seed=1)
    assert (plain.shape, paths.columns.names) == ((1, 3, 2, 12), ["chain", "draw"])
    np.testing.assert_array_equal(paths.loc["south", (0, 2)], plain[0, 2, 1, :9])


def test_a_forecast_goes_on_from_the_last_step_that_was_seen(panel):
    frame = _panel()
    unseen = (frame.index.get_level_values("site") == "south") & (frame.index.get_level_values("day") > DAYS[6])
    frame.loc[unseen, ["flow", "level"]] = np.nan
    ahead = pd.DataFrame({"wind": [0.0, 1.0, 2.0]})
    found = panel.forecast(frame, 3, given=ahead, samples=50)
    days = [*pd.date_range("2001-01-13", periods=3), *pd.date_range("2001-01-08", periods=3)]
    expected = pd.MultiIndex.from_arrays([["north"] * 3 + ["south"] * 3, days], names=["site", "day"])
    plain = panel.forecast(panel.table.x, 3, given=[[0.0], [1.0], [2.0]], samples=50)
    for table in (*found[:4], found.states):
        pd.testing.assert_index_equal(table.index, expected, exact="equiv")
    assert (list(found.mean.columns), list(found.states.columns)) == (["flow", "level", "wind"], ["0", "1"])
    np.testing.assert_allclose(found.high.loc["north"], plain.high[0], rtol=1e-5)


def test_what_comes_is_given_as_series_are(panel):
    frame = _panel()
    north, south = (pd.date_range(f"2001-01-{day}", periods=2) for day in (13, 10))
    ahead = pd.concat({"south": pd.DataFrame({"wind": [5.0, 6.0]}, south), "north": pd.DataFrame({"wind": [1.0, 2.0]}, north)})
    found = panel.forecast(frame, 2, given=ahead.assign(weather="fine"), samples=20)
    assert found.mean.loc["north", "wind"].tolist() == [1.0, 2.0]
    assert found.mean.loc["south", "wind"].tolist() == [5.0, 6.0]
    assert panel.forecast(frame, 2, given=ahead["wind"].loc["south"], samples=20).mean["wind"].tolist() == [5.0, 6.0] * 2
    assert panel.forecast(panel.table.x, 2, given=ahead, samples=20).mean[0, :, 2].tolist() == [5.0, 6.0]
    counted = ahead.set_index(pd.MultiIndex.from_product([["south", "north"], [1, 2]]))
    assert panel.forecast(frame, 2, given=counted, samples=20).mean["wind"].tolist() == [1.0, 2.0, 5.0, 6.0]
    late = ahead.rename(lambda day: day + pd.Timedelta(days=3) if day < north[0] else day, level=1)
    for wrong, said in (
        (ahead.loc[["north"]], "says nothing of the series 'south'"),
        (ahead[:3], "cannot be missing"),
        (late, "given= begins or goes on at .*2001-01-13.*, where 2001-01-10 00:00:00 comes next"),
    ):
        with pytest.raises(ValueError, match=said):
            panel.forecast(frame, 2, given=wrong)


def test_rows_of_steps_stay_wide_and_states_are_told_step_by_step(nile):
    frame = zoo.data.load("nile").frame
    smoothed, drawn, ahead = nile.encode(frame), nile.paths(frame), nile.forecast(frame, 3, samples=50)
    assert isinstance(smoothed, Encoded)
    assert (smoothed.mean.index.names, list(smoothed.mean.columns)) == (["series", "time"], ["0"])
    assert smoothed.sd.loc[(0, "1899"), "0"] == nile.encode(frame.to_numpy()).sd[0, 28, 0]
    assert drawn.columns.names == ["chain", "draw", "state"]
    assert (list(ahead.mean.columns), ahead.low.index.equals(frame.index)) == (["1971", "1972", "1973"], True)
    assert ahead.states.sd.index.get_level_values("time").tolist() == ["1971", "1972", "1973"]
    assert isinstance(nile.forecast(frame.to_numpy(), 1, samples=5).mean, torch.Tensor)
    two = pd.concat([frame, frame.loc[:, :"1960"]], ignore_index=True)
    assert list(nile.forecast(two, 2, samples=5).mean.columns) == [1, 2]


def test_new_series_have_the_form_of_those_fitted(panel):
    frame = _panel()[["flow", "level"]]
    of_two = inference.svi(zoo.create("hmm", frame), frame, **QUICK)
    of_one = inference.svi(zoo.create("hmm", frame.loc[["north"]]), frame.loc[["north"]], **QUICK)
    assert (of_two.generate(3).shape, of_two.generate(3).loc[2].index.tolist()) == ((36, 2), list(range(12)))
    new = of_one.generate(2)
    assert (new.index.names, list(new.columns)) == (["site", "day"], ["flow", "level"])
    assert new.loc[1].index.tolist() == list(DAYS)
    pd.testing.assert_index_equal(panel.generate(given=_panel()).index, _panel().index)


def _dates(**how: object) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(list(pd.date_range(periods=6, **how)))


@pytest.mark.parametrize(
    ("times", "then"),
    [
        (_dates(start="2001-01-01"), "2001-01-07"),
        (_dates(start="2001-01-31", freq="ME"), "2001-07-31"),
        (_dates(start="2001-01-01", freq="MS") + pd.Timedelta(days=14), "2001-07-15"),
        (_dates(start="2001-01-04", freq="B"), "2001-01-12"),
        (_dates(start="2001-01-01", freq="YS"), "2007-01-01"),
        (pd.Index([f"2001-0{month}" for month in (1, 2, 3)]), "2001-04"),
        (pd.Index(["1900", "1901"]), "1902"),
        (pd.Index([0.1, 0.2, 0.3]), 0.4),
        (pd.Index([2001.083, 2001.167, 2001.25]), 2001.3335),
        (pd.period_range("2001Q1", periods=4, freq="Q"), pd.Period("2002Q1")),
        (pd.date_range("2001-03-23", periods=3, tz="Europe/Berlin"), pd.Timestamp("2001-03-26", tz="Europe/Berlin")),
        (pd.Index(list("abc")), None),
        (pd.Index([3]), None),
    ],
)
def test_times_go_on_as_they_are_spaced(times, then):
    which = np.zeros(len(times), int)
    refuse_uneven(times, which, times)
    found = following(times, which, np.array([len(times) - 1]), 1)
    if then is None or isinstance(then, float):
        assert (found is None) if then is None else found[0][0] == pytest.approx(then)
    else:
        assert found[0][0] == (pd.Timestamp(then) if isinstance(times, pd.DatetimeIndex) else then)


@pytest.mark.parametrize(
    ("times", "said"),
    [
        (DAYS.delete(3), r"Timestamp\('2001-01-05 .* comes 2 days after .*01-03.* a step is 1 day\..*asfreq\('D'\)"),
        (_dates(start="2001-01-01", freq="MS").delete(2), r"comes 2 months after .* step is 1 month\..*asfreq\('MS'\)"),
        (_dates(start="2001-01-01", freq="B").delete(2), r"2 .*days after"),
        (_dates(start="2001-01-01", freq="h").delete(2), r"2:00:00 after .*asfreq\('h'\)"),
        (pd.Index([0.1, 0.2, 0.3, 0.5]), r"row 0.5 .* comes 0.2 after row 0.3.* a step is 0.1\."),
        (pd.Index([0, 1, 3, 4]), r"row 3 .* comes 2 after row 1, .*reindex.*reset_index\(drop=True\)"),
    ],
)
def test_steps_that_are_lacking_are_refused(times, said):
    frame = pd.DataFrame({"flow": np.arange(len(times)) % 3 + 0.5, "wind": np.arange(len(times)) % 2}, times)
    with pytest.raises(ValueError, match=said):
        zoo.create("hmm", frame, covariates="wind")
    zoo.create("hmm", frame.reset_index(drop=True), covariates="wind")
    with pytest.raises(ValueError, match="from_product.*second level"):
        zoo.create("hmm", pd.concat({"a": frame, "b": frame}))


def test_a_series_of_every_second_step_lacks_the_others():
    frame = _panel()[["flow"]]
    half = frame.loc[["north"]].iloc[::2]
    zoo.create("hmm", half)
    with pytest.raises(ValueError, match="2001-01-03.* comes 2 days after"):
        zoo.create("hmm", pd.concat([half, frame.loc[["south"]]]))


@pytest.mark.parametrize("kind", ["dates", "zone", "quarters", "numbers", "text", "spans"])
def test_labels_of_steps_are_kept(kind):
    times = {
        "dates": pd.DatetimeIndex(["2001-01-01", "2001-01-02", "2001-01-03", "2001-01-04 12:00"]),
        "zone": pd.DatetimeIndex(list(pd.date_range("2001-03-23", periods=4, tz="Europe/Berlin"))),
        "quarters": pd.period_range("2001Q1", periods=4, freq="Q"),
        "numbers": pd.Index([0.1, 0.2, 0.3, 0.4], name=7),
        "text": pd.Index(list("abcd"), name="when"),
        "spans": pd.to_timedelta(["0h", "1h", "2h", "4h"]),
    }[kind]
    index = pd.MultiIndex.from_product([["north", "south"], times])
    down = steps_of(of_steps(Down(index, np.repeat([0, 1], 4), np.tile(np.arange(4), 2))))
    pd.testing.assert_index_equal(down.index, index)
    pd.testing.assert_index_equal(down.rows, pd.Index(["north", "south"]))
    across = steps_of(of_steps(Across(pd.RangeIndex(3), times)))
    pd.testing.assert_index_equal(across.times, times)


def test_a_folder_keeps_the_steps(panel, tmp_path):
    again = inference.load(panel.save(tmp_path / "fit"))
    for ask in ("encode", "score_steps"):
        pd.testing.assert_frame_equal(getattr(again, ask)(again.table), getattr(panel, ask)(panel.table))
    pd.testing.assert_frame_equal(again.generate(given=again.table), panel.generate(given=panel.table))
    pd.testing.assert_frame_equal(inference.diagnose(again).table, inference.diagnose(panel).table)


def test_tables_say_the_names_of_columns(panel, nile):
    assert {"locs[0, flow]", "correlations[1, flow~level]", "effects[1, level, wind]"} <= set(inference.diagnose(panel).table.index)
    assert {"mean[flow]", "correlation[level~wind]"} <= set(panel.check(draws=100).table.index)
    assert list(panel.to_arviz()["posterior"]["variable"].values) == ["flow", "level"]
    assert {"loadings[0, 0]", "noise[0]"} <= set(inference.diagnose(nile).table.index)
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(9, 2)), columns=["a", "b"])
    found = inference.calibrate(
        zoo.create("ppca", frame, factors=1), rows=5, simulations=20, steps=2, draws=20, device="cpu", compile=False
    )
    assert {"loc[a]", "loadings[b, 0]"} <= set(found.table.index)
