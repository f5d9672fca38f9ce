"""The command `zoo`: what it prints, and what it writes."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np

import inference
import zoo
from tests.shells import SMALL, ZOO, call, contents, refused, shell


def test_list_answers_without_torch():
    done = subprocess.run([sys.executable, "-X", "importtime", ZOO, "list"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^gmm +Rows fall into K clusters, each a Gaussian\.$", done.stdout, re.M)
    assert "data: " + ", ".join(zoo.data.names()) in done.stdout
    imported = re.findall(r"\|\s+([\w.]+)$", done.stderr, re.M)
    assert "zoo.registry" in imported
    heavy = {"torch", "pyro", "pandas", "numpy", "matplotlib", "sklearn"} & set(imported)
    assert not heavy


def test_the_package_is_the_command():
    done = subprocess.run([sys.executable, "-X", "importtime", "-m", "zoo", "list", "--help"], capture_output=True, text=True)
    assert done.stdout.startswith("Usage: zoo list ")
    assert "torch" not in re.findall(r"\|\s+([\w.]+)$", done.stderr, re.M)


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
    commands = ("list", "show", "fit", "report", "compare", "new", "check")
    assert re.findall(r"^  (\w+)  +[A-Z]", result.output, re.M) == list(commands)
    assert not re.search(r"[a-z,;]\.\.\.", result.output)
    for command in commands:
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
    settings = ["--set", "components=3", "--set", "covariance=diag", "--set", "concentration=2.5", "--set", "center=3.0, 70"]
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


def test_a_reader_that_has_seen_enough_is_no_mistake():
    with subprocess.Popen([ZOO, "list"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as listing:
        listing.stdout.close()
        assert listing.stderr.read() == ""
    assert listing.returncode == 0
