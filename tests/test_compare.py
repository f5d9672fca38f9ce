"""Posteriors side by side: the right one wins, by as much as the closed form says, whatever made it."""

import dataclasses

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import inference
import zoo
from inference import Posterior, compare
from tests.conjugate import Location, by_chains, by_guide, left_out, location, rows, scaled
from zoo.cli import app

COLUMNS = ["elpd", "se", "behind", "se_behind", "as_good", "weight", "p_loo", "worst_k", "bad_rows", "believed"]


def good_and_bad() -> dict[str, Posterior]:
    """A prior in conflict with the rows, and one that is not: a fit of the first, chains of the second."""
    stubborn, x = Location(center=-1.0, width=0.2), rows()
    return {"stubborn": by_guide(stubborn, x, scaled(location(stubborn, x), 1.1)), "open": by_chains(Location(), x)}


def test_differences_are_those_of_the_closed_form():
    table = compare(good_and_bad())
    assert list(table.columns) == COLUMNS
    assert list(table.index) == ["open", "stubborn"]
    truth = left_out(Location(), rows()) - left_out(Location(center=-1.0, width=0.2), rows())
    assert table["behind"]["open"] == table["se_behind"]["open"] == 0
    assert table["behind"]["stubborn"] == pytest.approx(float(truth.sum()), abs=0.1)
    assert table["se_behind"]["stubborn"] == pytest.approx(float(truth.std(correction=0)) * 30**0.5, rel=0.02)
    assert table["weight"].sum() == pytest.approx(1)
    assert table["weight"]["open"] > 0.8
    assert table["believed"].all()
    assert (table["bad_rows"] == 0).all()


def test_two_of_a_kind_are_not_told_apart():
    x = rows()
    table = compare({"chains": by_chains(Location(), x), "guide": by_guide(Location(), x, scaled(location(Location(), x), 1.2))})
    assert table["behind"].max() < 0.1
    assert table["se_behind"].max() < 0.1
    assert table["as_good"].all()


def test_who_is_not_believed_is_said():
    posteriors = good_and_bad()
    posteriors["open"].draws["loc"][0] += 3.0
    table = compare(posteriors)
    assert not table["believed"]["open"]
    assert table["believed"]["stubborn"]


def test_weights_hold_where_densities_cannot_be():
    x = 100 * rows()
    table = compare({"one": by_chains(Location(), x), "other": by_chains(Location(center=1.0), x)})
    assert np.exp(table["elpd"].max() / 30) == 0
    assert table["weight"].sum() == pytest.approx(1)
    assert table["behind"].max() < 20


def test_the_number_of_components_is_found():
    x = torch.randn(100, 2)
    x[:40] += 6
    fits = {}
    for components in (1, 2, 3):
        pair = zoo.create("gmm", x, components=components, covariance="diag")
        fits[f"K={components}"] = inference.svi(pair, x, steps=10, draws=400, progress=False, compile=False, device="cpu")
    table = compare(fits)
    assert table.index[-1] == "K=1"
    assert table["behind"]["K=1"] > 4 * table["se_behind"]["K=1"]
    assert not table["as_good"]["K=1"]
    assert abs(table["elpd"]["K=2"] - table["elpd"]["K=3"]) < 4
    assert table["weight"]["K=1"] < 0.1


def test_what_cannot_be_compared():
    good = good_and_bad()
    with pytest.raises(ValueError, match="1 posterior cannot be compared"):
        compare({"open": good["open"]})
    with pytest.raises(ValueError, match="0 posteriors"):
        compare({})
    with pytest.raises(ValueError, match="'?other'? was given other rows than open, of the same shape"):
        compare({"open": good["open"], "other": by_chains(Location(), rows(seed=1))})
    with pytest.raises(ValueError, match=r"\(20, 1\) and \(30, 1\)"):
        compare({"open": good["open"], "other": by_chains(Location(), rows(20))})
    with pytest.raises(ValueError, match="kept no rows"):
        compare({"open": good["open"], "streamed": dataclasses.replace(good["stubborn"], table=None)})


def test_single_and_double_precision_are_the_same_rows():
    x = rows()
    single = by_chains(Location(), x)
    single = dataclasses.replace(single, table=dataclasses.replace(single.table, x=x.float()), draws={"loc": single.draws["loc"].float()})
    assert compare({"single": single, "double": by_chains(Location(), x)})["behind"].max() < 0.01


def run(*arguments: object):
    return CliRunner().invoke(app, ["compare", *map(str, arguments)])


def test_folders_are_compared_from_a_shell(tmp_path):
    for name, posterior in good_and_bad().items():
        posterior.save(tmp_path / name)
    result = run(tmp_path / "stubborn", tmp_path / "open")
    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.output.splitlines() if line.strip()]
    assert lines[0] == ["posterior", *COLUMNS]
    table = compare(good_and_bad())
    for line, name in zip(lines[2:], ("open", "stubborn"), strict=True):
        assert line == [name, *(f"{v:.2f}" if isinstance(v, float) else str(v) for v in table.loc[name])]


def test_folders_of_one_name_are_told_apart_by_their_paths(tmp_path):
    for place, posterior in zip(("a", "b"), good_and_bad().values(), strict=True):
        posterior.save(tmp_path / place / "fit")
    result = run(tmp_path / "a" / "fit", tmp_path / "b" / "fit")
    assert result.exit_code == 0, result.output
    assert str(tmp_path / "a" / "fit") in result.output


def test_a_mistake_in_a_shell_is_told_in_a_line(tmp_path):
    good_and_bad()["open"].save(tmp_path / "fit")
    fit, here = tmp_path / "fit", tmp_path / "." / "gone" / ".." / "fit"
    for arguments, said in [
        ((fit,), "fit: name two folders or more"),
        ((fit, here), "each of them once"),
        ((fit, tmp_path / "gone"), "no such folder"),
    ]:
        result = run(*arguments)
        assert result.exit_code == 2
        assert said in result.stderr
        assert len(result.stderr.strip().splitlines()) == 1
