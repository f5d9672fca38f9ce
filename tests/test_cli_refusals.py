"""The command `zoo`: how it says no, before any work, in a line."""

import importlib
import sys
from pathlib import Path

import pytest

import inference
from tests.shells import call, contents, refused


@pytest.fixture
def no_fit(monkeypatch):
    def started(*args, **kwargs):
        pytest.fail("a fit was started")

    monkeypatch.setattr(importlib.import_module("inference.svi"), "_fit", started)
    monkeypatch.setattr(importlib.import_module("inference.mcmc.run"), "_through", started)


@pytest.mark.parametrize(
    ("setting", "parts"),
    [
        ("component=2", ["component=2", "gmm has no hyperparameter 'component'", "components=2", "concentration=1.0"]),
        ("components=three", ["components=three", "valid integer"]),
        ("components=2.5", ["components=2.5", "integer"]),
        ("components=0", ["components=0", "greater than 0"]),
        ("components=2,3", ["components=2,3", "valid integer"]),
        ("components=", ["components=", "valid integer"]),
        ("components", ["--set components", "KEY=VALUE", "components=2"]),
        ("covariance=round", ["covariance=round", "'full', 'diag', 'spherical' or 'tied'"]),
        ("center=[1,2,3]", ["center", "3 numbers", "2 columns"]),
        ("center=[1,", ["center=[1,"]),
        ("concentration=-1", ["concentration=-1", "greater than 0"]),
        ("components=300", ["272 rows", "300 components", "fewer"]),
    ],
)
@pytest.mark.usefixtures("no_fit")
def test_bad_hyperparameters(setting, parts, tmp_path):
    refused(call("fit", "gmm", "--data", "faithful", "--set", setting, "--out", tmp_path / "fit"), *parts)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["gnm", "--data", "faithful"], ["no pair 'gnm'", "did you mean 'gmm'?"]),
        (["gmm", "--data", "faithfull"], ["no data set 'faithfull'", "did you mean 'faithful'?"]),
        (["gmm", "--data", "gone.csv"], ["gone.csv", "no such file"]),
        (["gmm", "--data", "rows.xlsx"], ["rows.xlsx", "unknown file type '.xlsx'", ".csv, .parquet, .npy, .npz, .mtx, .ldac"]),
        (["gmm", "--data", "faithful", "--method", "nutz"], ["'nutz'", "did you mean 'nuts'?", "svi", "map"]),
        (["gmm", "--data", "faithful", "--method", "vi"], ["'vi'", "svi", "map", "nuts"]),
        (["gmm", "--data", "faithful", "--steps", "0"], ["steps=0", "at least 1"]),
        (["gmm", "--data", "faithful", "--draws", "-5"], ["draws=-5", "at least 1"]),
        (["gmm", "--data", "faithful", "--method", "nuts", "--chains", "0"], ["chains=0", "at least 1"]),
        (["gmm", "--data", "faithful", "--device", "abacus"], ["device='abacus'", "'auto', 'cpu' or 'cuda'"]),
    ],
    ids=lambda value: " ".join(value) if value[0] in ("gmm", "gnm") else "",
)
@pytest.mark.usefixtures("no_fit")
def test_bad_arguments(arguments, parts, tmp_path):
    refused(call("fit", *arguments, "--out", tmp_path / "fit"), *parts)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("no_fit")
def test_a_refusal_leaves_no_folders_on_the_way(tmp_path):
    refused(call("fit", "gmm", "--data", "gone.csv", "--out", tmp_path / "deep" / "fit"), "no such file")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("no_fit")
def test_a_folder_that_cannot_be_written_is_refused_before_the_fit(tmp_path):
    (tmp_path / "file").write_text("x")
    for folder in (tmp_path / "file" / "fit", Path("/proc/fit")):
        refused(call("fit", "gmm", "--data", "faithful", "--out", folder), f"cannot write to {folder}", "choose a folder")
    assert contents(tmp_path) == {"file": b"x"}


@pytest.mark.usefixtures("no_fit")
def test_overwrite_replaces_posteriors_and_nothing_else(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    refused(call("fit", "gmm", "--data", "faithful", "--out", tmp_path, "--overwrite"), str(tmp_path), "posterior")
    assert contents(tmp_path) == {"thesis.txt": b"years of work"}


def test_a_folder_with_the_name_of_a_data_set_does_not_hide_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "galaxies").mkdir()
    result = call("fit", "gmm", "--data", "galaxies", "--steps", 3, "--draws", 3, "--out", "fit")
    assert result.exit_code == 0, result.stderr
    assert inference.load("fit").how["rows"] == 82


@pytest.mark.usefixtures("no_fit")
def test_bad_rows_in_a_file(tmp_path):
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n3,four\n5,6\n")
    refused(call("fit", "gmm", "--data", tmp_path / "rows.csv", "--out", tmp_path / "fit"), "column 'b'", "'four'", "row 1")
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n3,4,5\n5,6\n")
    refused(call("fit", "gmm", "--data", tmp_path / "rows.csv", "--out", tmp_path / "fit"), "rows.csv", "line 3", "saw 3")


def test_report_of_what_is_not_there(tmp_path):
    refused(call("report", tmp_path / "gone"), str(tmp_path / "gone"), "no such folder")
    refused(call("report", tmp_path), str(tmp_path), "not a saved posterior")


def test_an_unknown_option_or_command_is_a_mistake():
    assert call("fit", "gmm", "--data", "faithful", "--epochs", 3).exit_code == 2
    assert call("train").exit_code == 2
    assert call("fit", "gmm").exit_code == 2


def test_a_traceback_on_request(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["zoo", "report", str(tmp_path / "gone"), "--traceback"])
    result = call("report", tmp_path / "gone", "--traceback")
    assert isinstance(result.exception, FileNotFoundError)
