"""A posterior as a folder: whole or not at all, checked when it is read, and never a way to run code."""

import os
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
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
from inference import load
from tests.saved import FILES, contents, edit, equal, fitted, flip, rows


@pytest.fixture
def saved(tmp_path) -> Path:
    return fitted().save(tmp_path / "fit")


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
