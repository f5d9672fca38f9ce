"""A posterior as a folder: what is loaded is what was saved, and nothing is overwritten unasked."""

import dataclasses
import stat
from pathlib import Path

import pandas as pd
import pytest
import torch

import inference
import zoo
import zoo.registry
from inference import load
from tests.saved import FILES, contents, equal, fitted, rows


@pytest.fixture
def saved(tmp_path) -> Path:
    return fitted().save(tmp_path / "fit")


def test_what_is_loaded_is_what_was_saved(saved):
    loaded, posterior = load(saved), fitted()
    assert equal(loaded.draws, posterior.draws)
    assert equal(dict(sorted(loaded.stats.items())), dict(sorted(posterior.stats.items())))
    assert loaded.how == posterior.how
    assert type(loaded.pair) is type(posterior.pair)
    assert loaded.pair.hyperparameters == posterior.pair.hyperparameters
    assert equal(loaded.pair.state_dict(), posterior.pair.state_dict())
    assert torch.equal(loaded.table.x.nan_to_num(-1), posterior.table.x.nan_to_num(-1))
    assert loaded.table.x.isnan().any()
    assert (loaded.table.columns, loaded.table.frame) == (posterior.table.columns, posterior.table.frame)
    assert loaded.table.index.equals(posterior.table.index)


def test_what_is_loaded_answers_alike(saved):
    loaded, posterior, frame = load(saved), fitted(), rows()
    pd.testing.assert_frame_equal(loaded.encode(frame), posterior.encode(frame))
    pd.testing.assert_frame_equal(loaded.generate(5, seed=2), posterior.generate(5, seed=2))
    assert torch.equal(loaded.score(frame), posterior.score(frame))
    assert str(inference.diagnose(loaded)) == str(inference.diagnose(posterior))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_dtype_is_the_posteriors_and_not_todays_default(dtype, tmp_path):
    torch.set_default_dtype(dtype)
    x = rows().to_numpy()
    posterior = inference.svi(zoo.create("gmm", x), x, steps=2, draws=3)
    posterior.save(tmp_path / "fit")
    torch.set_default_dtype(torch.float64 if dtype == torch.float32 else torch.float32)
    loaded = load(tmp_path / "fit")
    assert {v.dtype for v in loaded.draws.values()} == {dtype} == {loaded.table.x.dtype}
    assert torch.equal(loaded.score(x), posterior.score(x))


def test_chains_and_integer_statistics_survive(tmp_path):
    x = rows().to_numpy()
    posterior = inference.mcmc(zoo.create("gmm", x, components=1), x, chains=2, warmup=5, draws=6)
    loaded = load(posterior.save(tmp_path / "fit"))
    assert loaded.shape == (2, 6)
    assert set(loaded.stats) == set(posterior.stats)
    assert all(torch.equal(loaded.stats[n], v) and loaded.stats[n].dtype == v.dtype for n, v in posterior.stats.items())


def test_a_posterior_without_its_rows(tmp_path):
    posterior = dataclasses.replace(fitted(), table=None)
    loaded = load(posterior.save(tmp_path / "fit"))
    assert loaded.table is None
    assert equal(loaded.draws, posterior.draws)


INDEXES = {
    "strings": pd.Index([f"r{i}" for i in range(6)]),
    "named": pd.RangeIndex(6, name="day"),
    "dates": pd.date_range("2020-01-01", periods=6),
    "dates in a zone": pd.date_range("2020-01-01", periods=6, tz="UTC"),
    "periods": pd.period_range("2020-01", periods=6, freq="M"),
    "mixed": pd.Index([0, "a", 2, "b", 4.5, None], dtype=object),
    "two levels": pd.MultiIndex.from_product([["a", "b"], [0, 1, 2]]),
    "repeated": pd.Index([1, 1, 1, 2, 2, 2]),
    "truths": pd.Index([True, False, True, False, True, False]),
}


@pytest.mark.parametrize("kind", INDEXES)
def test_a_fit_can_be_saved_whatever_labels_its_rows(kind, tmp_path):
    frame = zoo.data.load("faithful").frame.iloc[:6].set_axis(INDEXES[kind])
    posterior = dataclasses.replace(fitted(), table=inference.as_table(frame))
    loaded = load(posterior.save(tmp_path / "fit"))
    assert [str(label) for label in loaded.table.index] == [str(label) for label in INDEXES[kind]]
    assert torch.equal(loaded.table.x, posterior.table.x)


@pytest.mark.parametrize("kind", ["strings", "named", "dates", "repeated", "truths"])
def test_plain_labels_come_back_as_they_were(kind, tmp_path):
    frame = zoo.data.load("faithful").frame.iloc[:6].set_axis(INDEXES[kind])
    loaded = load(dataclasses.replace(fitted(), table=inference.as_table(frame)).save(tmp_path / "fit"))
    assert loaded.table.index.equals(INDEXES[kind])


@pytest.mark.parametrize("name", [None, "day"])
def test_the_name_of_the_labels_comes_back(name, tmp_path):
    frame = zoo.data.load("faithful").frame.iloc[:6].rename_axis(name)
    loaded = load(dataclasses.replace(fitted(), table=inference.as_table(frame)).save(tmp_path / "fit"))
    assert loaded.table.index.name == name


def test_the_folder_holds_what_it_says_and_may_be_read_by_others(saved):
    assert set(contents(saved)) == FILES
    assert [p.name for p in saved.parent.iterdir()] == ["fit"]
    assert stat.S_IMODE(saved.stat().st_mode) & 0o055 == 0o055
    assert all(stat.S_IMODE((saved / name).stat().st_mode) & 0o044 == 0o044 for name in FILES)


def test_folders_on_the_way_are_made(tmp_path):
    assert load(fitted().save(str(tmp_path / "a" / "b" / "fit"))).shape == fitted().shape


def test_nothing_is_overwritten_unasked(saved):
    before = contents(saved)
    with pytest.raises(FileExistsError, match=f"{saved} exists.*overwrite=True"):
        fitted().save(saved)
    assert contents(saved) == before
    assert [p.name for p in saved.parent.iterdir()] == ["fit"]


def test_overwrite_replaces(saved):
    (saved / "report.html").write_text("of the old one")
    changed = dataclasses.replace(fitted(), how={**fitted().how, "seed": 99})
    changed.save(saved, overwrite=True)
    assert set(contents(saved)) == FILES
    assert load(saved).how["seed"] == 99
    assert [p.name for p in saved.parent.iterdir()] == ["fit"]


def test_overwrite_replaces_posteriors_and_nothing_else(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    (home / "thesis.txt").write_text("years of work")
    with pytest.raises(FileExistsError, match=r"home.*(not a saved posterior|no posterior)"):
        fitted().save(home, overwrite=True)
    with pytest.raises(FileExistsError, match=r"thesis.txt"):
        fitted().save(home / "thesis.txt", overwrite=True)
    assert contents(tmp_path) == {"home/thesis.txt": b"years of work"}


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("x")
    for folder in (tmp_path / "file" / "fit", tmp_path / "file" / "deeper" / "fit"):
        with pytest.raises(OSError, match=f"cannot write to {folder}.*choose a folder that you may write to"):
            fitted().save(folder)
    assert contents(tmp_path) == {"file": b"x"}


def test_a_parent_that_is_a_file_is_called_one(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OSError, match="[Nn]ot a (directory|folder)"):
        fitted().save(tmp_path / "file" / "fit")


def test_a_place_that_not_even_root_can_write():
    with pytest.raises(OSError, match="cannot write to /proc/fit.*choose a folder"):
        fitted().save("/proc/fit")
