"""`zoo new` writes a package that passes its own tests and the contract as it stands."""

import json
import subprocess
import sys
import tomllib

import pytest
from typer.testing import CliRunner

from inference import contract
from zoo.cli import app


def call(*arguments: object):
    return CliRunner().invoke(app, list(map(str, arguments)))


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    to = tmp_path_factory.mktemp("new")
    assert call("new", "my_model", "--to", to).exit_code == 0
    return to / "my_model"


def test_it_passes_its_own_tests(package):
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"], cwd=package, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "3 passed" in done.stdout


def test_its_files_are_named_for_it(package):
    assert sorted(str(p.relative_to(package)) for p in package.rglob("*.*")  if "__pycache__" not in p.parts) == [
        "README.md", "my_model/__init__.py", "my_model/pair.py", "pyproject.toml", "tests/test_my_model.py",
    ]  # fmt: skip
    project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["zoo.pairs"] == {"my_model": "my_model.pair:MyModel"}


def test_zoo_check_finds_it_in_the_folder_at_hand(package, monkeypatch):
    monkeypatch.chdir(package)
    # Its own test has run all of it.
    monkeypatch.setattr(contract, "STAGES", {stage: contract.STAGES[stage] for stage in ("its code", "its model", "its guide")})
    result = call("check", "my_model.pair:MyModel", "--quick")
    assert result.exit_code == 0, result.output
    assert "MyModel keeps the contract" in result.stdout


@pytest.mark.parametrize(
    ("name", "says"), [("My-Model", "small letters"), ("class", "small letters"), ("gmm", "taken"), ("my_model", "exists")]
)
def test_names_that_will_not_do(name, says, package):
    result = call("new", name, "--to", package.parent)
    assert result.exit_code == 2
    assert says in result.stderr


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("gone.pair:MyModel", "there is no module gone.pair"),
        ("zoo.gmm:GaussianMixtur", "no class 'GaussianMixtur'; did you mean 'GaussianMixture'?"),
        ("json:JSONDecoder", "is not a subclass of inference.Pair"),
        ("json:Gone", "json has no class that is a Pair"),
        ("gnm", "no pair 'gnm'; did you mean 'gmm'?"),
        ("my_model.pair", "one that has no name yet is PACKAGE.MODULE:CLASS"),
    ],
)
def test_what_cannot_be_checked(path, says):
    result = call("check", path)
    assert result.exit_code == 2
    assert says in result.stderr


def test_check_says_what_is_wrong_with_status_1():
    result = call("check", "tests.mistakes:ForgotSize", "--data", "galaxies", "--quick")
    assert result.exit_code == 1
    assert "XX minibatches are unbiased" in result.stdout
    assert "tests/mistakes.py:" in result.stdout


def test_check_for_programs():
    result = call("check", "tests.mistakes:PlainTensor", "--data", "galaxies", "--quick", "--json")
    found = json.loads(result.stdout)
    assert result.exit_code == 1
    assert not found["ok"]
    assert found["faults"][0]["check"] == "no plain tensors"
    assert "mistakes.py" in found["faults"][0]["where"]
