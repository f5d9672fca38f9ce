"""The notebooks keep what they showed when `make notebooks` ran them, and still run from top to bottom, here with short fits."""

import functools
import json
import sys
import types
from pathlib import Path

import matplotlib
import pytest
import torch

import inference

FOLDER = Path(__file__).parent.parent / "notebooks"
BOOKS = sorted(FOLDER.glob("*.ipynb"))


def cells(path: Path) -> list[dict]:
    return [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]


@pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.stem)
def test_a_notebook_keeps_what_it_showed(path):
    shown = [output for cell in cells(path) for output in cell["outputs"]]
    assert all(cell["execution_count"] for cell in cells(path)), "run it: `make notebooks`"
    assert not [output for output in shown if output["output_type"] == "error" or output.get("name") == "stderr"]
    assert any("image/png" in output.get("data", {}) for output in shown)
    assert path.stat().st_size < 500_000


def at_most(fit, **most):
    """`fit` with settings that are no larger than `most`."""

    @functools.wraps(fit)
    def short(*args, **settings):
        return fit(*args, **{**settings, **{name: min(settings.get(name, limit), limit) for name, limit in most.items()}})

    return short


@pytest.fixture
def short_fits(monkeypatch):
    monkeypatch.setattr(inference, "svi", at_most(inference.svi, steps=30, draws=100, restarts=1))
    monkeypatch.setattr(inference, "mcmc", at_most(inference.mcmc, warmup=20, draws=100))


@pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.stem)
@pytest.mark.usefixtures("short_fits")
def test_a_notebook_runs(path, monkeypatch):
    matplotlib.use("agg")
    torch.set_default_dtype(torch.float32)
    module = types.ModuleType("notebook")
    monkeypatch.setitem(sys.modules, "notebook", module)
    for number, cell in enumerate(cells(path), 1):
        exec(compile("".join(cell["source"]), f"{path.name}, cell {number}", "exec"), module.__dict__)
    from matplotlib import pyplot as plt

    plt.close("all")


def test_there_are_notebooks():
    assert len(BOOKS) >= 6
