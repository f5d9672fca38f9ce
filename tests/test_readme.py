"""What the README says works, as it is written there."""

import re
import sys
import types
from pathlib import Path

import pytest
import typer

import zoo.registry
from zoo.cli import app

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(*languages: str) -> list[str]:
    return re.findall(rf"^```(?:{'|'.join(languages)})\n(.*?)^```", README, re.M | re.S)


def command_lines(program: str) -> list[str]:
    lines = "\n".join(blocks("console", "bash", "sh")).splitlines()
    stripped = [line.partition("#")[0].removeprefix("$ ").strip() for line in lines]
    return [line for line in stripped if line.split()[:1] == [program]]


def test_the_python_of_the_readme_runs_from_top_to_bottom(monkeypatch, tmp_path, capsys):
    code = blocks("python")
    assert code, "README.md has no block of Python"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(zoo.registry, "_registered", dict(zoo.registry._registered))
    module = types.ModuleType("readme")
    monkeypatch.setitem(sys.modules, "readme", module)
    for number, block in enumerate(code, 1):
        exec(compile(block, f"README.md, block {number}", "exec"), module.__dict__)
    told = capsys.readouterr().out
    assert "Believe it" in told
    assert "Rate keeps the contract" in told


@pytest.mark.parametrize("line", command_lines("zoo"))
def test_every_zoo_command_is_one(line):
    group = typer.main.get_command(app)
    name, *arguments = line.split()[1:]
    assert name in group.commands, f"`{line}`: there is no such command"
    group.commands[name].make_context(name, arguments)  # raises where an option or argument is not known


def test_there_is_a_command_to_fit():
    assert any(line.startswith("zoo fit ") for line in command_lines("zoo"))


@pytest.mark.parametrize("line", command_lines("make"))
def test_every_make_target_is_one(line):
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M)
    assert set(line.split()[1:]) <= set(targets)


@pytest.mark.parametrize("path", re.findall(r"`((?:inference|zoo|tests)/[\w./]+)`", README))
def test_every_file_it_names_is_there(path):
    assert (ROOT / path).exists()


def test_every_pair_is_named():
    missing = [name for name in zoo.registry._installed() if f"`{name}`" not in README]
    assert not missing
