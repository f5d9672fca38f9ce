"""What a report looks like, in a notebook and as a page."""

import base64
import dataclasses
import re
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

import zoo
from inference import Posterior, as_table, diagnose
from inference.diagnostics import predictive_picture
from inference.diagnostics.pictures import pictures, worst

from .posteriors import EVERY_KIND, by_map, by_svi, chains, from_guide, with_draws, with_stat
from .targets import CorrelatedGaussian, correlated_rows


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
    assert not re.search(r"https?://|<script|<link|@import|url\((?!#)", page)
    sources = re.findall(r'<img[^>]+src="([^"]*)"', page)
    for source in sources:
        assert base64.b64decode(source.removeprefix("data:image/png;base64,"), validate=True).startswith(b"\x89PNG")
    return sources


@pytest.mark.parametrize(("kind", "count"), [("one number", 2), ("svi", 5), ("map", 3), ("no rows", 2)])
def test_a_page_needs_nothing_else(kind, count, tmp_path):
    report = diagnose(EVERY_KIND[kind]())
    page = report.to_html(tmp_path / "report.html").read_text(encoding="utf-8")
    assert report.verdict in page
    assert len(images(page)) == count


def test_a_page_shows_the_rows_and_the_draws(tmp_path):
    path = diagnose(chains(draws=50)).to_html(str(tmp_path / "report.html"))
    assert path == tmp_path / "report.html"
    page = path.read_text(encoding="utf-8")
    assert len(images(page)) == 4
    for text in ("The data and the model", "Predictive check", "Draws", "Energy", "Parameters", "weights[0]", "components", "nuts"):
        assert text in page
    assert plt.get_fignums() == []


def test_a_page_draws_the_model_and_says_what_each_picture_shows(tmp_path):
    page = diagnose(chains(draws=50)).to_html(tmp_path / "report.html").read_text(encoding="utf-8")
    drawing = ElementTree.fromstring(page[page.index("<svg") : page.index("</svg>") + 6])
    assert {"weights", "locs", "z", "x"} <= {text.text for text in drawing.iter("text")}
    for alt in re.findall(r"<img([^>]+)>", page):
        assert re.search(r'alt="[^"]{30,}"', alt)


def captions(posterior: Posterior) -> list[str]:
    return [picture.caption for picture in pictures(diagnose(posterior))]


def test_each_method_has_its_pictures():
    assert captions(chains(draws=50)) == ["The data and the model", "Predictive check", "Draws", "Energy"]
    assert captions(by_svi()) == ["The data and the model", "Predictive check", "Loss", "The guide beside the posterior", "Draws"]
    assert captions(by_map()) == ["The data and the model", "Predictive check", "Loss"]


@pytest.mark.parametrize("make", [by_map, lambda: chains(2, 3), lambda: chains(4, 250)], ids=["a point", "few draws", "many draws"])
def test_the_rows_are_held_against_many_replicates(make):
    figure = predictive_picture.overlay(make())
    assert len(figure.axes) == 2
    assert all(len(axes.patches) == predictive_picture.REPLICATES + 1 for axes in figure.axes)


def test_diverging_draws_have_a_picture():
    posterior = chains(draws=50)
    diverging = torch.zeros(4, 50, dtype=torch.bool)
    diverging[1, 7] = True
    assert captions(with_stat(posterior, "diverging", diverging)) == [*captions(posterior), "Divergences"]


def test_draws_that_are_no_numbers_are_told_and_not_drawn(tmp_path):
    posterior = chains(draws=50)
    locs = posterior.draws["locs"].clone()
    locs[1, 3, 0, 0] = torch.nan
    page = diagnose(with_draws(posterior, "locs", locs)).to_html(tmp_path / "report.html").read_text(encoding="utf-8")
    assert "not finite" in page
    assert images(page) == []


def test_rows_that_cannot_be_replicated_are_told(tmp_path):
    posterior = from_guide(CorrelatedGaussian(5), correlated_rows(5), draws=100)
    page = diagnose(posterior).to_html(tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Not drawn." in page
    assert "is not the whole of a row" in page


def many(parameters: int, count: int = 4, draws: int = 50) -> Posterior:
    """Chains of so many parameters, of which number 7 has one chain that is elsewhere."""
    x = torch.randn(5, 1 + parameters)
    slopes = torch.randn(count, draws, parameters)
    slopes[0, :, 7] += 5.0
    how = {"method": "nuts", "settings": {}, "seed": 0, "device": "cpu", "seconds": 1.0}
    stats = {"energy": torch.randn(count, draws)}
    return Posterior.of(CorrelatedGaussian(parameters), {"slopes": slopes}, stats, how, as_table(x))


def test_a_long_table_shows_the_worst_first_and_folds_the_rest(tmp_path):
    report = diagnose(many(40))
    page = report.to_html(tmp_path / "report.html").read_text(encoding="utf-8")
    unfolded, folded = page[page.index("<table>") : page.index("</main>")].split("<details>")
    first = re.findall(r"<tr[^>]*><th>(slopes[^<]*)</th>", unfolded)
    assert len(first) == 12
    assert first[0] == "slopes[7]"
    bad = re.search(r'<tr class="bad"><th>slopes\[7\]</th>.*<td class="rhat">([\d.]+)</td>', unfolded)
    assert float(bad[1]) == pytest.approx(report.table["rhat"]["slopes[7]"], abs=1e-3)
    assert re.findall(r"<th>(slopes[^<]*)</th>", folded) == list(report.table.index)
    assert worst(report.table)[:12] == first


def test_a_long_table_is_printed_by_its_worst():
    lines = str(diagnose(many(41))).splitlines()
    at = lines.index("the worst 12 of 41 parameters:")
    assert lines[at + 3].startswith("slopes[7]")
    assert len(lines) == at + 3 + 12


def test_a_page_stays_small(tmp_path):
    path = diagnose(many(300, count=16, draws=100)).to_html(tmp_path / "report.html")
    assert path.stat().st_size < 1_500_000


def shown(page: Path) -> tuple[np.ndarray, list[str]]:
    """What Chromium draws of a page (height, width, channel), and what it complains of: the page forbids it to fetch anything."""
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--window-size=1000,1400", "--enable-logging=stderr", "--no-first-run"]
    where = [f"--user-data-dir={page.parent / 'profile'}", f"--screenshot={page.with_suffix('.png')}"]
    run = subprocess.run(["chromium", *flags, *where, page.as_uri()], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    return plt.imread(page.with_suffix(".png")), [line for line in run.stderr.splitlines() if "CONSOLE" in line]


@pytest.mark.skipif(shutil.which("chromium") is None, reason="there is no browser")
def test_a_browser_shows_a_page_and_asks_for_nothing_else(tmp_path):
    page = diagnose(chains(draws=50)).to_html(tmp_path / "report.html")
    pixels, complaints = shown(page)
    assert pixels.shape[:2] == (1400, 1000)
    assert len(np.unique(pixels.reshape(-1, pixels.shape[2]), axis=0)) > 100
    assert complaints == []
    page.write_text(page.read_text(encoding="utf-8").replace("</body>", '<img src="http://localhost:9/x.png"></body>'), encoding="utf-8")
    assert "Content Security Policy" in shown(page)[1][0]


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
