"""Covariates that are found by their names, and DataFrames whose rows are the steps of series."""

import numpy as np
import pandas as pd
import pytest
import torch

import inference
import zoo
from inference.covariates import rows_for
from inference.diagnostics.calibration.simulate import template
from inference.diagnostics.convert import entries
from inference.rows.parquet import ParquetSource
from inference.rows.stream import Rows
from inference.rows.table import as_table
from tests.shells import call
from tests.streamed import written
from zoo.strangers import few

QUICK = {"steps": 2, "draws": 10, "device": "cpu", "compile": False}


def _river(steps: int = 40) -> pd.DataFrame:
    """A step a day; the covariate stands first."""
    rng = np.random.default_rng(0)
    warm = rng.normal(10.0, 5.0, steps)
    numbers = {"temperature": warm, "flow": 0.3 * warm + rng.normal(size=steps), "level": rng.normal(size=steps)}
    return pd.DataFrame(numbers, pd.date_range("2001-01-01", periods=steps))


def _panel() -> pd.DataFrame:
    """Two series, of which the second is shorter."""
    return pd.concat({"north": _river(), "south": _river(25) + 1.0}, names=["site", "day"])


@pytest.fixture(scope="module")
def river():
    frame = _river()
    return inference.svi(zoo.create("hmm", frame, covariates=["temperature"]), frame, **QUICK)


def test_named_covariates_are_the_last_columns_of_an_array(river):
    frame = _river()
    x = frame[["flow", "level", "temperature"]].to_numpy()[None]
    by_number = inference.svi(zoo.create("hmm", x, covariates=1), x, **QUICK)
    torch.testing.assert_close(river.draws["effects"], by_number.draws["effects"])
    torch.testing.assert_close(river.score(frame), by_number.score(x))
    turned = frame[["level", "temperature", "flow"]]
    torch.testing.assert_close(river.score(turned), by_number.score(x))
    assert {"effects[0, level, temperature]", "correlations[1, flow~level]", "locs[0, flow]"} <= set(entries(river))
    ahead = pd.DataFrame({"wind": [0.0, 1.0], "temperature": [20.0, 5.0]})
    told, by_numbers = river.forecast(frame, 2, given=ahead).mean, by_number.forecast(x, 2, given=[[20.0], [5.0]]).mean
    np.testing.assert_allclose(told.to_numpy(), by_numbers[0], rtol=1e-5)


def test_what_is_told_of_steps_has_their_index(river):
    gaps = _river()
    gaps.iloc[3:5, 1] = np.nan
    filled = river.impute(gaps)
    assert list(filled.mean.columns) == ["flow", "level", "temperature"]
    pd.testing.assert_index_equal(filled.mean.index, gaps.index)
    assert (filled.sd["flow"].to_numpy() > 0).nonzero()[0].tolist() == [3, 4]
    decoded, scores = river.decode(gaps), river.score_steps(gaps)
    assert river.encode(gaps).shape == (40, 2)
    for told, name in ((decoded.states, "state"), (decoded.agreement, "agreement"), (scores, "score")):
        pd.testing.assert_index_equal(told.index, gaps.index)
        assert list(told.columns) == [name]
    assert float(scores.sum().iloc[0]) == pytest.approx(float(river.score(gaps)), rel=1e-4)


def test_a_series_without_gaps_is_imputed_as_it_is(river):
    filled = river.impute(_river())
    pd.testing.assert_frame_equal(filled.mean, _river()[["flow", "level", "temperature"]], check_freq=False)
    assert (filled.sd.to_numpy() == 0).all()


def test_what_simulated_data_are_to_look_like_is_read_by_name(river):
    like = template(river.pair, _river(), torch.device("cpu"))
    torch.testing.assert_close(like[0, :, -1], torch.tensor(_river()["temperature"].to_numpy()))


def test_texts_are_completed_and_judged_by_their_words_wherever_the_year_stands():
    counts = np.random.default_rng(0).integers(0, 4, (12, 5))
    frame = pd.DataFrame(counts, columns=list("abcde")).assign(year=2000.0 + np.arange(12))
    first = frame[["year", *"abcde"]]
    posterior = inference.svi(zoo.create("ctm", frame, topics=2, covariates=["year"]), frame, **QUICK)
    assert posterior.completion(first).per_word == pytest.approx(posterior.completion(frame).per_word)
    pd.testing.assert_series_equal(posterior.coherence(first, n=2), posterior.coherence(frame, n=2))


def test_names_in_an_index_of_two_levels_make_no_steps():
    wide = pd.DataFrame(np.random.default_rng(0).normal(size=(4, 30)))
    wide.index = pd.MultiIndex.from_product([["east", "west"], ["mill", "weir"]])
    assert rows_for(zoo.create("hmm"), wide).x.shape == (4, 30)


def test_a_folder_keeps_the_names(river, tmp_path):
    again = inference.load(river.save(tmp_path / "fit"))
    assert again.table.variables == ["flow", "level", "temperature"]
    assert again.pair.hyperparameters["covariates"] == ["temperature"]
    torch.testing.assert_close(again.score(_river()[["level", "temperature", "flow"]]), river.score(_river()))
    assert list(again.to_arviz()["constant_data"]["covariate"].values) == ["temperature"]


def test_an_index_of_series_and_time_makes_a_panel():
    frame = _panel()
    posterior = inference.svi(zoo.create("hmm", frame[["flow", "level"]]), frame[["flow", "level"]], **QUICK)
    assert posterior.table.x.shape == (2, 40, 2)
    assert posterior.table.x[1, 25:].isnan().all()
    assert list(posterior.table.index) == ["north", "south"]
    mixed = frame.sort_index(level="day", sort_remaining=False)[["level", "flow"]]
    scores = posterior.score_steps(mixed)
    pd.testing.assert_index_equal(scores.index, mixed.index)
    np.testing.assert_allclose(scores.groupby("site")["score"].sum(), posterior.score(frame[["flow", "level"]]), rtol=1e-4)
    assert len(posterior.table.some([1]).steps.index) == 25


@pytest.mark.parametrize("batch", [None, 5])
def test_columns_of_rows_are_found_by_name_too(batch, tmp_path):
    frame = _river().rename(columns={"temperature": "dose"}).reset_index(drop=True)
    rows = frame if batch is None else Rows(ParquetSource(written(tmp_path, frame, 7)))
    last = frame[["flow", "level", "dose"]]
    given = {"latents": 1, "hidden": [], "likelihood": "gaussian"}
    named, numbered = (zoo.create("vae", x, covariates=c, **given) for x, c in ((rows, "dose"), (last, 1)))
    found = inference.svi(named, rows, batch=batch, **QUICK)
    other = inference.svi(numbered, last if batch is None else Rows(ParquetSource(written(tmp_path, last, 7))), batch=batch, **QUICK)
    torch.testing.assert_close(found.stats["loss"], other.stats["loss"])


def test_the_command_line_takes_a_name(tmp_path):
    _river().to_csv(tmp_path / "river.csv", index=False)
    what = ["fit", "hmm", "--data", str(tmp_path / "river.csv"), "--steps", "2", "--draws", "10", "--device", "cpu", "--quiet"]
    done = call(*what, "--set", "covariates=temperature", "--out", str(tmp_path / "fit"))
    assert done.exit_code == 0, done.output
    assert inference.load(tmp_path / "fit").table.variables == ["flow", "level", "temperature"]


@pytest.mark.parametrize(
    ("change", "covariates", "said"),
    [
        (lambda f: f, ["temprature"], r"covariates=\['temprature'\]: no column 'temprature'; did you mean 'temperature'"),
        (lambda f: f.to_numpy()[None], "temperature", "these rows have no names to find columns by"),
        (lambda f: f, ["level", "level"], "names a column twice"),
        (lambda f: f, [], "covariates="),
        (lambda f: f[["temperature"]], "temperature", "none is left to be modelled"),
        (lambda f: f.iloc[[0, 2, 1]], "temperature", "comes after one of a later or the same time.*sort"),
        (lambda f: f.iloc[[0, 1, 1]], "temperature", "comes after one of a later or the same time.*keep one"),
        (lambda f: f.set_axis([*f.index[:-1], pd.NaT]), "temperature", "row 39 of the DataFrame has no time"),
        (
            lambda f: f.assign(temperature=f["temperature"].where(f.index.day != 4)),
            "temperature",
            "time 2001-01-04.*, covariate 'temperature': missing",
        ),
        (lambda f: f.assign(level=1.0), "temperature", "column 'level' of the series is constant"),
    ],
)
def test_what_cannot_be_found_or_put_in_order_is_refused(change, covariates, said):
    with pytest.raises(ValueError, match=said):
        zoo.create("hmm", change(_river()), covariates=covariates)


@pytest.mark.parametrize("data", [lambda: zoo.data.load("faithful").frame, _panel], ids=["rows", "a panel"])
def test_rows_to_hold_out_are_matched_by_the_names_of_their_columns(data):
    frame = data()
    pair = zoo.create("gmm" if len(frame.columns) == 2 else "hmm", frame, **({} if len(frame.columns) == 2 else {"states": 2}))
    fits = [inference.svi(pair, frame, validation=held, **QUICK | {"steps": 50}) for held in (frame, frame[frame.columns[::-1]])]
    assert torch.equal(*(fit.stats["validation"][-1] for fit in fits))
    with pytest.raises(ValueError, match=f"column 'strange' is not one that was fitted .*{frame.columns[0]}"):
        inference.svi(pair, frame, validation=frame.rename(columns={frame.columns[0]: "strange"}), **QUICK)


def test_a_pair_is_checked_on_series_and_not_on_their_steps():
    frame = pd.concat({site: _river() for site in range(30)} | {99: _river(25)})
    assert few(zoo.create("hmm", frame), frame).x.shape == (24, 40, 3)
    with pytest.raises(ValueError, match="1 of the 2 series, of which each is a row, are complete and as long as the longest"):
        few(zoo.create("hmm", _panel()), _panel())


def test_a_panel_out_of_order_is_refused():
    frame = _panel()
    for wrong, said in (
        (frame.iloc[[1, 0, 41, 40]], "comes after one of a later"),
        (pd.concat([frame, frame.iloc[-1:]]), "comes after one of a later or the same time"),
        (frame.set_axis(pd.MultiIndex.from_arrays([[None] * 65, range(65)])), "belongs to no series"),
        (frame.assign(run=1).set_index("run", append=True), "3 levels"),
    ):
        with pytest.raises(ValueError, match=said):
            zoo.create("hmm", wrong)
    assert as_table(frame).x.shape == (65, 3)


def test_rows_without_what_was_named_are_refused_later(river):
    for wrong, said in (
        (_river().drop(columns="temperature"), "no column 'temperature'"),
        (_river().rename(columns={"flow": "q"}), r"\bq\b"),
    ):
        for ask in (lambda x: inference.svi(river.pair, x, **QUICK), river.score):
            with pytest.raises(ValueError, match=said):
                ask(wrong)
    with pytest.raises(ValueError, match="no column 'temperature'"):
        river.forecast(_river(), 1, given=pd.DataFrame({"wind": [1.0]}))
