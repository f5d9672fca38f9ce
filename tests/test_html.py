"""What a report looks like, in a notebook and as a page."""

import base64
import dataclasses
import re

import matplotlib.pyplot as plt
import pytest

import zoo
from inference import as_table, diagnose

from .posteriors import EVERY_KIND, chains


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_a_report_of_anything_is_readable(kind):
    report = diagnose(EVERY_KIND[kind]())
    assert isinstance(report.ok, bool)
    assert report.findings
    for found in report.findings:
        assert found.severity in ("good", "note", "warning", "failure")
        assert found.name in str(report)
        assert found.evidence in str(report)
        assert found.advice or found.severity in ("good", "note"), f"{found.name} is {found.severity} and there is no advice"
    assert report.verdict in str(report)
    assert report.title in str(report)
    assert repr(report) == str(report)
    assert "weights[0]" in str(report)
    long = [line for line in str(report).splitlines() if len(line) > 160]
    assert not long


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_a_notebook_shows_it(kind):
    report = diagnose(EVERY_KIND[kind]())
    html = report._repr_html_()
    assert report.verdict in html
    assert "<table" in html
    assert "<html" not in html
    assert "weights[0]" in html


def images(page: str) -> list[str]:
    """The pictures of a page that needs no other file."""
    assert page.startswith("<!doctype html>")
    assert not re.search(r"https?://|<script|<link|@import|url\(", page)
    sources = re.findall(r'<img[^>]+src="([^"]*)"', page)
    for source in sources:
        assert base64.b64decode(source.removeprefix("data:image/png;base64,"), validate=True).startswith(b"\x89PNG")
    return sources


@pytest.mark.parametrize(("kind", "count"), [("one number", 1), ("svi", 3), ("map", 2), ("no rows", 1)])
def test_a_page_needs_nothing_else(kind, count, tmp_path):
    report = diagnose(EVERY_KIND[kind]())
    page = report.to_html(tmp_path / "report.html").read_text(encoding="utf-8")
    assert report.verdict in page
    assert len(images(page)) == count


def test_a_page_shows_the_rows_and_the_draws(tmp_path):
    path = diagnose(chains(draws=50)).to_html(str(tmp_path / "report.html"))
    assert path == tmp_path / "report.html"
    page = path.read_text(encoding="utf-8")
    assert len(images(page)) == 2
    for text in ("The data and the model", "Draws", "Parameters", "weights[0]", "components", "nuts"):
        assert text in page
    assert plt.get_fignums() == []


def test_a_page_does_not_take_names_for_html(tmp_path):
    frame = zoo.data.load("faithful").frame.iloc[:60].set_axis(["<script>alert(1)</script>", "a & b"], axis=1)
    posterior = chains(draws=5)
    table = as_table(frame)
    posterior = dataclasses.replace(posterior, table=table, how={**posterior.how, "columns": table.columns})
    page = diagnose(posterior).to_html(tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def test_a_page_that_cannot_be_written(tmp_path):
    with pytest.raises(OSError, match="gone"):
        diagnose(chains(draws=5)).to_html(tmp_path / "gone" / "report.html")
