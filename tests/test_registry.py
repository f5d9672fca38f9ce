"""Pairs by name: the zoo's own, those registered in the process, and those of other packages."""

import importlib.metadata
import inspect
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

import inference
import zoo
import zoo.registry
from inference.pair import parameters
from zoo.cli import app

FRAME = pd.DataFrame({"a": [1.0, 2.0, 3.0, 6.0], "b": [20.0, 10.0, 40.0, 50.0]})
STRANGER = '''"""A pair of somebody else's."""

import pyro
import pyro.distributions as dist
import torch
from pyro.nn import PyroParam
from torch.distributions import constraints

from inference import Pair


class Rate(Pair):
    """Counts of one rate.

    | symbol | distribution    | shape | meaning  |
    |--------|-----------------|-------|----------|
    | rate   | Gamma(shape, 1) | ()    | the rate |

    Arguments:
        shape: of the prior on the rate.
    """

    def __init__(self, shape: float = 2.0) -> None:
        self.shape = shape
        self.q_shape = PyroParam(torch.tensor(1.0), constraints.positive)

    def model(self, x, size=None):
        rate = pyro.sample("rate", dist.Gamma(self.shape, 1.0))
        with self.rows(x, size):
            pyro.sample("x", dist.Poisson(rate), obs=x[:, 0])

    def guide(self, x, size=None):
        pyro.sample("rate", dist.Gamma(self.q_shape, 1.0))
'''
Install = Callable[[str, dict[str, str], dict[str, str]], None]


@pytest.fixture
def install(tmp_path, monkeypatch) -> Install:
    """Puts a package on the path as pip would: install(name, its pairs, its modules)."""

    def put(name: str, pairs: dict[str, str], modules: dict[str, str]) -> None:
        site = tmp_path / name
        info = site / f"{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("\n".join(["[zoo.pairs]", *(f"{k} = {v}" for k, v in pairs.items())]))
        for module, source in modules.items():
            (site / f"{module}.py").write_text(source)
        monkeypatch.syspath_prepend(site)

    before = set(sys.modules)
    yield put
    for module in set(sys.modules) - before:
        if getattr(sys.modules[module], "__file__", None) and str(tmp_path) in sys.modules[module].__file__:
            del sys.modules[module]


@pytest.fixture(autouse=True)
def forget(monkeypatch):
    monkeypatch.setattr(zoo.registry, "_registered", dict(zoo.registry._registered))


def other(doc: str = "Another.") -> type[inference.Pair]:
    class Other(inference.Pair):
        def __init__(self, size: int = 1) -> None:
            self.size = size

    Other.__doc__ = doc
    return Other


def test_names_are_sorted_and_hold_the_zoos_own():
    assert "gmm" in zoo.names()
    assert zoo.names() == sorted(zoo.names())


def test_every_entry_point_loads_a_pair():
    points = importlib.metadata.entry_points(group="zoo.pairs")
    assert {p.name for p in points} >= {"gmm"}
    for point in points:
        assert issubclass(point.load(), inference.Pair), point


def test_what_is_not_given_is_read_off_the_rows():
    pair = zoo.create("gmm", FRAME.assign(c=[1.0, 2.0, np.nan, 3.0]), components=3)
    given = pair.hyperparameters
    assert (given["components"], given["dim"]) == (3, 3)
    np.testing.assert_allclose(given["center"], [3.0, 30.0, 2.0])
    np.testing.assert_allclose(given["spread"], [3.5**0.5, 250**0.5, (2 / 3) ** 0.5])
    assert pair.center.tolist() == pytest.approx([3.0, 30.0, 2.0])


def test_what_is_given_is_not_read_off_the_rows():
    pair = zoo.create("gmm", FRAME, center=[0.0, 1.0], spread=2, concentration=np.float64(0.5))
    given = pair.hyperparameters
    assert (given["center"], given["spread"], given["concentration"]) == ([0.0, 1.0], 2.0, 0.5)
    assert zoo.create("gmm", FRAME, center=np.array([0.0, 1.0])).hyperparameters["center"] == [0.0, 1.0]
    assert zoo.create("gmm", FRAME, center=(0.0, 1.0)).hyperparameters["center"] == [0.0, 1.0]
    assert zoo.create("gmm", FRAME, center=torch.tensor([0.0, 1.0])).hyperparameters["center"] == [0.0, 1.0]


def test_without_rows_the_defaults_hold():
    pair = zoo.create("gmm", components=4, dim=5)
    assert pair.hyperparameters["dim"] == 5
    assert pair.center.tolist() == [0.0] * 5
    assert pair.q_concentration.shape == (4,)


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(LookupError, match="no pair 'gnm'; did you mean 'gmm'.*gmm"):
        zoo.create("gnm")
    with pytest.raises(LookupError, match="no pair 'gnm'; did you mean 'gmm'"):
        zoo.card("gnm")
    with pytest.raises(LookupError, match="no pair 'elephant'. There (is|are) .*gmm"):
        zoo.create("elephant")


def test_register_makes_a_name_known():
    cls = zoo.register("other")(other())
    assert "other" in zoo.names()
    assert type(zoo.create("other", size=3)) is cls
    assert zoo.create("other", size=3).hyperparameters == {"size": 3}
    assert zoo.registry.summary("other") == "Another."


def test_a_name_is_taken_once():
    zoo.register("other")(other())
    with pytest.raises(ValueError, match="'other' is taken by .*other.<locals>.Other; register .*:Second under another"):
        zoo.register("other")(type("Second", (inference.Pair,), {}))
    with pytest.raises(ValueError, match="'gmm' is taken by zoo.gmm:GaussianMixture"):
        zoo.register("gmm")(other())
    assert zoo.registry.find("gmm").__name__ == "GaussianMixture"


def test_the_same_class_may_be_defined_anew():
    zoo.register("other")(other())
    again = zoo.register("other")(other("Better."))
    assert zoo.registry.find("other") is again
    assert zoo.registry.summary("other") == "Better."


def test_only_pairs_are_registered():
    with pytest.raises(TypeError, match="int.*Pair"):
        zoo.register("number")(int)
    assert "number" not in zoo.names()


def test_a_pair_of_another_package_is_the_equal_of_ours(install):
    install("strangers", {"strange_rate": "strangers_rate:Rate"}, {"strangers_rate": STRANGER})
    assert "strange_rate" in zoo.names()
    assert zoo.registry.summary("strange_rate") == "Counts of one rate."
    assert "strangers_rate" not in sys.modules  # listing imports nothing
    assert "| `shape` | `2.0` | of the prior on the rate. |" in zoo.card("strange_rate")
    pair = zoo.create("strange_rate", [3, 1, 4], shape=3.0)
    posterior = inference.svi(pair, [3, 1, 4], steps=5, draws=7)
    assert posterior.draws["rate"].shape == (1, 7)
    assert posterior.stats["loss"].shape == (5,)


def test_a_pair_of_another_package_loads_again(install, tmp_path):
    install("savers", {"saved_rate": "savers_rate:Rate"}, {"savers_rate": STRANGER})
    posterior = inference.svi(zoo.create("saved_rate"), [3, 1, 4], steps=5, draws=7)
    loaded = inference.load(posterior.save(tmp_path / "fit"))
    assert torch.equal(loaded.draws["rate"], posterior.draws["rate"])


def test_two_packages_that_claim_one_name(install):
    install("firsts", {"contested": "firsts_rate:Rate"}, {})
    install("seconds", {"contested": "seconds_rate:Rate"}, {})
    with pytest.raises(ValueError, match="'contested'.*_rate:Rate and .*_rate:Rate; uninstall one"):
        zoo.names()


def test_one_package_seen_twice_on_the_path_is_one(install, tmp_path, monkeypatch):
    install("twice", {"twice": "twice_rate:Rate"}, {"twice_rate": STRANGER})
    twin = tmp_path / "elsewhere"
    twin.mkdir()
    (tmp_path / "twice" / "twice-1.0.dist-info").rename(twin / "twice-1.0.dist-info")
    (tmp_path / "twice" / "twice-1.0.dist-info").symlink_to(twin / "twice-1.0.dist-info")
    monkeypatch.syspath_prepend(twin)
    assert zoo.names().count("twice") == 1


@pytest.mark.parametrize("value", ["gone_module:Rate", "gone_package.models:Rate", "json:Gone", "json:JSONDecoder"])
def test_a_broken_package_is_named_and_breaks_nothing_else(value, install):
    install("broken", {"broken": value}, {})
    assert isinstance(zoo.create("gmm"), inference.Pair)
    listed = CliRunner().invoke(app, ["list"])
    assert listed.exit_code == 0, repr(listed.exception)
    assert "gmm" in listed.output
    with pytest.raises(LookupError, match=f"broken.*{value}"):
        zoo.create("broken")


@pytest.mark.parametrize("name", zoo.names())
def test_a_card_tells_the_story_and_every_hyperparameter(name):
    card, cls = zoo.card(name), zoo.registry.find(name)
    story = inspect.getdoc(cls).partition("Arguments:")[0]
    table = [line for line in story.splitlines() if line.startswith("|")]
    assert len(table) > 2
    assert all(line in card for line in table)
    for parameter in parameters(cls):
        row = next(line for line in card.splitlines() if line.startswith(f"| `{parameter}` |"))
        assert len(row.split("|")[3].strip()) > 5, f"{parameter} has no meaning in the card"
    assert card.startswith(f"# {name}\n")
    assert f'zoo.create("{name}", x)' in card


def test_the_gmms_card():
    card = zoo.card("gmm")
    assert "Rows fall into K clusters, each a Gaussian." in card
    assert "| weights         | Dirichlet(concentration, ..., concentration)" in card
    assert "| `components` | `2` | K, how many components. |" in card
    assert "Fraley & Raftery 2007" in card


def test_names_and_summaries_need_no_torch():
    code = "import sys, zoo; print([zoo.registry.summary(n) for n in zoo.names()]); sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parent)
    assert done.returncode == 0, done.stderr
    assert "Rows fall into K clusters" in done.stdout
