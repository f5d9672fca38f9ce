"""The command `zoo`: what it prints, what it writes, and how it says no."""

import importlib
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

import inference
import zoo
from zoo.cli import app

ZOO = Path(sys.executable).parent / "zoo"
SMALL = ["--steps", "60", "--draws", "50", "--quiet"]


def shell(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([ZOO, *map(str, arguments)], capture_output=True, text=True, cwd=cwd, timeout=300)


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)))


def refused(result: Result, *parts: str) -> None:
    """The command ended with status 2 and one line on stderr that holds all of `parts`."""
    assert result.exit_code == 2, repr(result.exception)
    assert result.stderr.startswith("zoo: ")
    assert len(result.stderr.strip().splitlines()) == 1
    missing = [part for part in parts if part not in result.stderr]
    assert not missing, f"{result.stderr!r} does not say {missing}"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture
def no_fit(monkeypatch):
    def started(*args, **kwargs):
        pytest.fail("a fit was started")

    monkeypatch.setattr(importlib.import_module("inference.svi"), "_fit", started)
    monkeypatch.setattr(importlib.import_module("inference.mcmc.run"), "_through", started)


def test_list_answers_without_torch():
    done = subprocess.run([sys.executable, "-X", "importtime", ZOO, "list"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^gmm +Rows fall into K clusters, each a Gaussian\.$", done.stdout, re.M)
    assert "data: " + ", ".join(zoo.data.names()) in done.stdout
    imported = re.findall(r"\|\s+([\w.]+)$", done.stderr, re.M)
    assert "zoo.registry" in imported
    heavy = {"torch", "pyro", "pandas", "numpy", "matplotlib", "sklearn"} & set(imported)
    assert not heavy


def test_show_prints_the_card():
    done = shell("show", "gmm")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == zoo.card("gmm").strip()


def test_show_of_an_unknown_name():
    done = shell("show", "gnm")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("zoo: no pair 'gnm'; did you mean 'gmm'?")
    assert "Traceback" not in done.stderr


def test_the_help_names_every_command():
    result = call("--help")
    assert result.exit_code == 0
    for command in ("list", "show", "fit", "report", "compare"):
        assert re.search(rf"\b{command}\b", result.output)
        assert call(command, "--help").exit_code == 0


def test_fit_and_report_from_a_shell(tmp_path):
    folder = tmp_path / "fit"
    fitted = shell("fit", "gmm", "--data", "faithful", "--out", folder, *SMALL)
    assert fitted.returncode == 0, fitted.stderr
    for text in ("Do not believe it yet: loss.", "GaussianMixture by svi: 272 rows", "locs[1, waiting]"):
        assert text in fitted.stdout
    assert f"saved in {folder}; `zoo report {folder}` draws it" in fitted.stdout
    posterior = inference.load(folder)
    assert posterior.shape == (1, 50)
    assert posterior.how["settings"]["steps"] == 60
    assert posterior.table.columns == ["eruptions", "waiting"]

    reported = shell("report", folder, "--to", tmp_path / "page.html")
    assert reported.returncode == 0, reported.stderr
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "Do not believe it yet" in reported.stdout
    assert str(tmp_path / "page.html") in reported.stdout
    assert "Do not believe it yet" in page
    assert page.count("data:image/png;base64,") >= 2
    assert not re.search("https?://", page)


def fitted_here(folder: Path, *arguments: object) -> Path:
    result = call("fit", "gmm", "--data", "galaxies", "--steps", 3, "--draws", 3, "--out", folder, *arguments)
    assert result.exit_code == 0, result.stderr
    return folder


def test_report_writes_into_the_folder_unless_told_otherwise(tmp_path):
    folder = fitted_here(tmp_path / "fit")
    refused(call("report", folder, "--to", tmp_path / "gone" / "page.html"), "page.html")
    result = call("report", folder)
    assert result.exit_code == 0, result.output
    assert "Do not believe it yet" in (folder / "report.html").read_text(encoding="utf-8")
    assert inference.load(folder).shape == (1, 3)


def test_fit_on_a_file_with_hyperparameters(tmp_path):
    zoo.data.load("faithful").frame.iloc[:40].to_csv(tmp_path / "rows.csv", index=False)
    settings = ["--set", "components=3", "--set", "covariance=diag", "--set", "concentration=2.5", "--set", "center=[3.0,70]"]
    result = call("fit", "gmm", "--data", tmp_path / "rows.csv", "--out", tmp_path / "fit", *SMALL, *settings, "--seed", 7)
    assert result.exit_code == 0, result.output
    posterior = inference.load(tmp_path / "fit")
    given = posterior.pair.hyperparameters
    assert (given["components"], given["covariance"], given["concentration"]) == (3, "diag", 2.5)
    assert given["center"] == [3.0, 70.0]
    assert posterior.how["seed"] == 7
    assert posterior.how["rows"] == 40
    assert posterior.table.columns == ["eruptions", "waiting"]


def test_fit_on_an_array(tmp_path):
    np.save(tmp_path / "rows.npy", zoo.data.load("faithful").x[:30].numpy())
    result = call("fit", "gmm", "--data", tmp_path / "rows.npy", "--out", tmp_path / "fit", "--steps", 3, "--draws", 3)
    assert result.exit_code == 0, result.output
    assert inference.load(tmp_path / "fit").how["columns"] == ["0", "1"]


def test_map_is_a_point(tmp_path):
    result = call("fit", "gmm", "--data", "faithful", "--method", "map", "--steps", 60, "--out", tmp_path / "fit")
    assert result.exit_code == 0, result.output
    assert inference.load(tmp_path / "fit").shape == (1, 1)
    assert "uncertainty" in result.output


def test_nuts_has_chains(tmp_path):
    few = ["--chains", 2, "--warmup", 20, "--draws", 20, "--set", "components=1"]
    result = call("fit", "gmm", "--data", "galaxies", "--method", "nuts", "--out", tmp_path / "fit", *few)
    assert result.exit_code == 0, result.output
    posterior = inference.load(tmp_path / "fit")
    assert posterior.shape == (2, 20)
    assert posterior.how["method"] == "nuts"
    assert "2 chains can hide" in result.output


def test_without_out_it_goes_to_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = ["fit", "gmm", "--data", "galaxies", "--steps", 3, "--draws", 3]
    assert call(*arguments).exit_code == 0
    assert inference.load(tmp_path / "runs" / "gmm-svi").shape == (1, 3)
    refused(call(*arguments), "runs/gmm-svi exists", "--out", "--overwrite")


def test_an_existing_folder_is_left_alone_unless_told_otherwise(tmp_path):
    folder = fitted_here(tmp_path / "fit")
    before = contents(folder)
    refused(call("fit", "gmm", "--data", "galaxies", "--out", folder), f"{folder} exists", "choose another --out", "--overwrite")
    assert contents(folder) == before
    fitted_here(folder, "--overwrite", "--seed", 5)
    assert inference.load(folder).how["seed"] == 5


@pytest.mark.parametrize(
    ("setting", "parts"),
    [
        ("component=2", ["component=2", "gmm has no hyperparameter 'component'", "components=2", "concentration=1.0"]),
        ("components=three", ["components=three", "valid integer"]),
        ("components=2.5", ["components=2.5", "integer"]),
        ("components=0", ["components=0", "greater than 0"]),
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
