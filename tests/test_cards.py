"""Cards are built from code and measurements, and are not out of date."""

import json
from pathlib import Path

import pytest

import inference
import zoo
from inference import docstring
from tests import figures
from tests.measure import CARDS, fresh
from zoo import cards, fingerprint, registry


@pytest.mark.parametrize("name", zoo.names())
def test_a_card_is_up_to_date(name):
    assert fresh(name), f"the code of {name} has changed since it was measured; run `make cards`"
    assert (CARDS / f"{name}.md").read_text(encoding="utf-8") == zoo.card(name), f"cards/{name}.md is out of date; run `make cards`"


@pytest.mark.parametrize("name", zoo.names())
def test_a_card_tells_what_was_measured(name):
    known, card = cards.measured(name), zoo.card(name)
    assert known["log_joint_off"] < 1e-10
    assert f"in {known['cases']} cases" in card
    assert "```mermaid\ngraph TD" in card
    assert known["calibration"] is None or known["calibration"]["verdict"] in card
    assert known["costs"]["step"] > 0
    assert f"{known['costs']['parameters']} parameters" in card
    for fit in cards.facts(name)["pretrained"]:
        assert f'zoo.load_pretrained("{fit["name"]}")' in card
        assert fit["verdict"] in card


def test_the_figures_of_readme_are_up_to_date():
    text = figures.README.read_text(encoding="utf-8")
    assert figures.written(text) == text, "the figures in README.md are out of date; run `make cards`"


@pytest.mark.parametrize("name", zoo.names())
def test_a_card_tells_known_limits_and_tells_them_apart_from_the_story(name):
    card, limits = zoo.card(name), docstring.limits(registry.find(name))
    assert 2 <= limits.count("\n- ") + limits.startswith("- ") <= 5
    assert f"## Known limits\n\n{limits}\n\n" in card
    assert card.count(limits) == 1
    assert "Limits:" not in card


class Quiet(inference.Pair):
    """Says nothing of itself."""


class Frank(Quiet):
    """Rows of something.

    Limits:
        - One thing.
        - Another, which
          takes two lines.

    Reference: nobody.

    Arguments:
        size: how large.
    """


class Franker(Frank):
    """Rows of something else.

    Arguments:
        width: how wide.
    """


def test_limits_are_those_of_the_class_or_else_of_the_one_that_it_derives_from():
    assert docstring.limits(Quiet) == ""
    assert docstring.limits(Frank) == docstring.limits(Franker) == "- One thing.\n- Another, which\n  takes two lines."
    assert docstring.story(Frank) == "Rows of something.\n\nReference: nobody."
    assert docstring.meanings(Franker) == {"size": "how large.", "width": "how wide."}


def test_there_is_no_card_of_what_is_gone():
    assert {path.stem for path in CARDS.glob("*.md")} == set(zoo.names())


def test_code_that_changes_is_noticed_and_comments_are_not(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    package = tmp_path / "watched"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "part.py").write_text("HALF = 0.5\n")
    (package / "some_pictures.py").write_text("COLOUR = 1\n")
    pair = package / "pair.py"

    def now(text: str, part: str = "HALF = 0.5\n") -> str:
        pair.write_text(text)
        (package / "part.py").write_text(part)
        return fingerprint.fingerprint("watched.pair")

    code = '"""A pair."""\n\nfrom . import some_pictures\nfrom .part import HALF\n\nwhole = 2 * HALF\n'
    first = now(code)
    assert now(code.replace("A pair", "One pair") + "# nothing\n") == first
    assert now(code.replace("2 *", "3 *")) != first
    assert now(code, "HALF = 0.25\n") != first
    assert now(code, "# a comment\nHALF = 0.5\n") == first


def test_a_pair_that_was_not_measured_says_nothing_of_it(monkeypatch):
    monkeypatch.setattr(registry, "_registered", {"alike": registry.find("gmm")})
    card = zoo.card("alike")
    assert "## Measured" not in card
    assert "## Graph" in card
    assert "## Known limits" in card
    json.dumps(cards.facts("alike"))


def test_the_records_are_those_of_pairs():
    folder = Path(cards.__file__).parent / "measured"
    assert {path.stem for path in folder.glob("*.json")} == set(zoo.names())
