"""Posteriors that come with the zoo: one a pair, small, whole, loaded without a step and without running code."""

import importlib
import json

import pytest
import torch
from typer.testing import CliRunner

import inference
import zoo
from zoo import pretrained
from zoo.cli import app


def test_every_pair_has_one():
    assert {name.partition("/")[0] for name in pretrained.names()} == set(zoo.registry._installed())


@pytest.mark.parametrize("name", pretrained.names())
def test_it_is_small_and_made_by_its_recipe(name):
    known = pretrained.made(name)
    assert known["recipe"] == pretrained.recipes()[name], "the recipe has changed; run `make pretrained`"
    assert pretrained._size(name) < 1_000_000
    assert {path.suffix for path in (pretrained.FOLDER / name).iterdir()} == {".json", ".safetensors", ".nc"}
    assert set(known["versions"]) == {"latent-zoo", "torch", "pyro-ppl"}


@pytest.mark.parametrize("name", pretrained.names())
def test_it_loads_without_a_step_and_says_what_was_recorded(name, monkeypatch):
    def started(*args, **kwargs):
        pytest.fail("a fit was started")

    monkeypatch.setattr(importlib.import_module("inference.svi"), "_fit", started)
    monkeypatch.setattr(importlib.import_module("inference.mcmc.run"), "_through", started)
    torch.set_default_dtype(torch.float32)
    posterior, known = zoo.load_pretrained(name), pretrained.made(name)
    assert type(posterior.pair) is zoo.registry.find(name.partition("/")[0])
    assert len(posterior.table) == known["rows"]
    assert (known["score"] is None) == ("log_likelihood" in posterior.pair.unsuited)
    if known["score"] is not None:
        assert float(posterior.score(posterior.table).mean()) == pytest.approx(known["score"], rel=1e-3)
        assert posterior.generate(3).shape == (3, *posterior.table.x.shape[1:])


def test_the_verdict_is_that_of_its_report():
    torch.set_default_dtype(torch.float32)
    name = "gmm/faithful"
    assert inference.diagnose(zoo.load_pretrained(name)).verdict == pretrained.made(name)["verdict"]


@pytest.mark.parametrize("name", pretrained.names())
def test_it_can_be_believed(name):
    assert pretrained.made(name)["verdict"].startswith("Believe it")


def test_another_data_set_is_refused(monkeypatch):
    monkeypatch.setattr(pretrained, "made", lambda name: {"checksum": "another"})
    with pytest.raises(ValueError, match="'faithful' is not the one that 'gmm/faithful' was fitted to"):
        zoo.load_pretrained("gmm/faithful")


def test_an_unknown_one():
    with pytest.raises(LookupError, match="no pretrained posterior 'gmm/faithfull'; did you mean 'gmm/faithful'"):
        zoo.load_pretrained("gmm/faithfull")


def test_a_recipe_without_its_posterior(monkeypatch):
    monkeypatch.setattr(pretrained, "recipes", lambda: {"gmm/gone": {"method": "svi"}})
    with pytest.raises(LookupError, match="make pretrained"):
        zoo.load_pretrained("gmm/gone")
    assert "make pretrained" in pretrained.summary("gmm/gone")


def test_the_list():
    result = CliRunner().invoke(app, ["list", "--pretrained"])
    assert result.exit_code == 0
    assert all(line.split()[0] in pretrained.names() for line in result.stdout.splitlines())
    found = json.loads(CliRunner().invoke(app, ["list", "--pretrained", "--json"]).stdout)
    assert list(found["pretrained"]) == pretrained.names()
