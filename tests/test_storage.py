"""A posterior as a folder: whole or not at all, checked when it is read, and never a way to run code."""

import dataclasses
import functools
import hashlib
import json
import os
import pickle
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyro
import pyro.distributions as dist
import pytest
import torch
import xarray as xr
from pyro.nn import PyroParam
from torch.distributions import constraints

import inference
import zoo
import zoo.registry
from inference import Posterior, load

FILES = {"posterior.json", "posterior.safetensors", "arviz.nc"}


def rows() -> pd.DataFrame:
    frame = zoo.data.load("faithful").frame.iloc[:30]
    return frame.mask((frame.index.to_numpy()[:, None] % 7 == 3) & (frame.columns == "waiting"))


@functools.cache
def fitted() -> Posterior:
    frame = rows()
    return inference.svi(zoo.create("gmm", frame, concentration=0.7), frame, steps=60, draws=20, seed=3)


@pytest.fixture
def saved(tmp_path) -> Path:
    return fitted().save(tmp_path / "fit")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return list(one) == list(other) and all(torch.equal(v, other[n]) and v.dtype == other[n].dtype for n, v in one.items())


def edit(folder: Path, change: Callable[[dict[str, Any]], None], sign: bool) -> None:
    """Change posterior.json; with `sign`, also its own checksum, as somebody who means harm would."""
    path = folder / "posterior.json"
    record = json.loads(path.read_text())
    change(record)
    if sign:
        rest = {k: v for k, v in record.items() if k != "checksum"}
        record["checksum"] = hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()
    path.write_text(json.dumps(record))


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)


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


def full_disk(*args: object, **kwargs: object) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("writer", ["safetensors.torch.save_file", "xarray.DataTree.to_netcdf", "json.dumps"])
def test_a_crash_while_saving_leaves_nothing(writer, tmp_path, monkeypatch):
    posterior = fitted()
    monkeypatch.setattr(writer, full_disk)
    with pytest.raises(OSError, match="No space left"):
        posterior.save(tmp_path / "fit")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("writer", ["safetensors.torch.save_file", "xarray.DataTree.to_netcdf", "json.dumps"])
def test_a_crash_while_overwriting_leaves_the_old_one(writer, saved, monkeypatch):
    before = contents(saved)
    monkeypatch.setattr(writer, full_disk)
    with pytest.raises(OSError, match="No space left"):
        fitted().save(saved, overwrite=True)
    assert contents(saved) == before
    assert [p.name for p in saved.parent.iterdir()] == ["fit"]


def test_a_crash_between_the_renames_brings_the_old_one_back(saved, monkeypatch):
    before, replace = contents(saved), os.replace

    def second_fails(source: Any, target: Any) -> None:
        if ".partial-" in str(source) and Path(target) == saved:
            full_disk()
        replace(source, target)

    monkeypatch.setattr(os, "replace", second_fails)
    with pytest.raises(OSError, match="No space left"):
        fitted().save(saved, overwrite=True)
    assert contents(saved) == before


@pytest.mark.parametrize(
    ("damage", "error", "parts"),
    [
        (lambda f: f.rename(f.with_name("moved")), FileNotFoundError, ["fit", "no such folder"]),
        (lambda f: [p.unlink() for p in f.iterdir()], ValueError, ["fit", "not a saved posterior", "no posterior.json"]),
        (lambda f: (f / "posterior.json").unlink(), ValueError, ["fit", "no posterior.json"]),
        (lambda f: (f / "posterior.safetensors").unlink(), ValueError, ["incomplete", "posterior.safetensors is missing"]),
        (lambda f: (f / "arviz.nc").unlink(), ValueError, ["incomplete", "arviz.nc is missing"]),
        (lambda f: flip(f / "posterior.safetensors"), ValueError, ["posterior.safetensors was changed", "cannot be trusted"]),
        (lambda f: flip(f / "arviz.nc"), ValueError, ["arviz.nc was changed", "cannot be trusted"]),
        (lambda f: (f / "arviz.nc").write_bytes(b""), ValueError, ["arviz.nc was changed"]),
        (lambda f: os.truncate(f / "posterior.json", 200), ValueError, ["posterior.json is not whole"]),
        (lambda f: (f / "posterior.json").write_bytes(b"\xff\xfe{"), ValueError, ["posterior.json is not whole"]),
        (lambda f: (f / "posterior.json").write_text("[1]"), ValueError, ["posterior.json was not written by Posterior.save"]),
        (lambda f: (f / "posterior.json").write_text('{"a": 1}'), ValueError, ["posterior.json was not written by Posterior.save"]),
        (
            lambda f: edit(f, lambda r: r["pair"]["hyperparameters"].update(components=3), sign=False),
            ValueError,
            ["posterior.json was changed", "cannot be trusted"],
        ),
        (lambda f: edit(f, lambda r: r.update(format=99), sign=False), ValueError, ["format 99", "reads 1", "version that wrote it"]),
        (lambda f: edit(f, lambda r: r.update(format=99), sign=True), ValueError, ["format 99", "reads 1"]),
    ],
    ids=[
        "missing folder",
        "empty folder",
        "no json",
        "no safetensors",
        "no netcdf",
        "changed safetensors",
        "changed netcdf",
        "emptied netcdf",
        "half a json",
        "json of bytes",
        "json of a list",
        "json of others",
        "changed hyperparameter",
        "other format",
        "other format, signed",
    ],
)
def test_a_damaged_folder_is_refused(damage, error, parts, saved):
    damage(saved)
    with pytest.raises(error) as caught:
        load(saved)
    missing = [part for part in parts if part not in str(caught.value)]
    assert not missing, f"{str(caught.value)!r} does not say {missing}"


def test_a_folder_of_other_things_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(ValueError, match="not a saved posterior.*posterior.json"):
        load(tmp_path)
    with pytest.raises(FileNotFoundError, match="notes.txt: no such folder"):
        load(tmp_path / "notes.txt")


def test_files_added_by_others_do_no_harm(saved):
    (saved / "report.html").write_text("x")
    assert equal(load(saved).draws, fitted().draws)


@pytest.mark.parametrize("path", ["nowhere:Gone", "antigravity:X", "subprocess:Popen", "zoo.gmm:Gone", "zoo.gmm"])
def test_a_folder_makes_nothing_be_imported(path, saved, monkeypatch):
    monkeypatch.delitem(sys.modules, "antigravity", raising=False)
    before = set(sys.modules)
    edit(saved, lambda record: record["pair"].update({"class": path}), sign=True)
    with pytest.raises(LookupError, match=f"{path}, which is neither imported nor installed; import it first, or pass pair="):
        load(saved)
    assert not {"antigravity", "nowhere"} & set(sys.modules)
    assert set(sys.modules) == before


def test_signed_nonsense_is_refused_as_nonsense(saved):
    edit(saved, lambda record: record["pair"]["hyperparameters"].update(components="three"), sign=True)
    with pytest.raises(ValueError, match="components='three'"):
        load(saved)


def test_a_record_that_lacks_a_part_is_refused_plainly(saved):
    edit(saved, lambda record: record.pop("pair"), sign=True)
    with pytest.raises(ValueError, match="posterior.json"):
        load(saved)


def test_a_class_can_be_passed(saved):
    edit(saved, lambda record: record["pair"].update({"class": "moved.away:Mixture"}), sign=True)
    assert equal(load(saved, pair=type(fitted().pair)).draws, fitted().draws)


def test_nothing_is_unpickled(saved, monkeypatch):
    def forbidden(*args: object, **kwargs: object) -> None:
        pytest.fail("something was unpickled")

    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, forbidden)
    monkeypatch.setattr(torch, "load", forbidden)
    assert equal(load(saved).draws, fitted().draws)


def test_no_file_is_a_pickle(saved):
    for name in FILES:
        with pytest.raises(Exception), (saved / name).open("rb") as file:  # noqa: B017
            pickle.load(file)


def test_loading_takes_no_training_step(saved, monkeypatch):
    monkeypatch.setattr(sys.modules["inference.svi"], "_fit", lambda *args: pytest.fail("a step was taken"))
    monkeypatch.setattr(type(fitted().pair), "start", lambda *args: pytest.fail("a start was made"))
    assert load(saved).shape == (1, 20)


def test_other_tools_can_read_the_netcdf(saved):
    with xr.open_datatree(saved / "arviz.nc", engine="h5netcdf") as tree:
        assert {"posterior", "sample_stats", "log_likelihood", "observed_data", "optimization"} <= set(tree.children)
        assert tree["posterior/locs"].dims == ("chain", "draw", "part", "feature")
        assert tree["posterior/weights"].dims == ("chain", "draw", "part")
        assert tree["log_likelihood/x"].dims == ("chain", "draw", "row")
        assert tree["observed_data/x"].dims == ("row", "feature")
        assert list(tree["posterior"].feature.values) == ["eruptions", "waiting"]
        np.testing.assert_array_equal(tree["posterior/locs"], fitted().aligned["locs"])
        np.testing.assert_array_equal(tree["observed_data/x"], rows())
        assert tree["optimization/loss"].shape == (60,)


class Coin(inference.Pair):
    """A coin, known by no package."""

    def __init__(self, prior: float = 1.0) -> None:
        self.prior = prior
        self.q_heads = PyroParam(torch.tensor(1.0), constraints.positive)

    def model(self, x, size=None):
        bias = pyro.sample("bias", dist.Beta(self.prior, self.prior))
        with self.rows(x, size):
            pyro.sample("x", dist.Bernoulli(bias), obs=x[:, 0])

    def guide(self, x, size=None):
        pyro.sample("bias", dist.Beta(self.q_heads, 1.0))


def test_a_pair_that_only_this_process_knows_loads(tmp_path, monkeypatch):
    monkeypatch.setattr(zoo.registry, "_registered", dict(zoo.registry._registered))
    zoo.register("coin")(Coin)
    posterior = inference.svi(zoo.create("coin", prior=2.0), [1, 0, 1], steps=3, draws=4)
    loaded = load(posterior.save(tmp_path / "fit"))
    assert type(loaded.pair) is Coin
    assert loaded.pair.hyperparameters == {"prior": 2.0}
    assert equal(loaded.draws, posterior.draws)
