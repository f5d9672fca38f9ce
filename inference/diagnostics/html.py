"""A report as one page of HTML that needs no other file, and as a part of a notebook."""

import base64
import io
from importlib.resources import files
from typing import TYPE_CHECKING, Any, NamedTuple

import jinja2
import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from ..record import row_shape
from .between_chains import RHAT
from .pictures import pictures
from .table import order, worst

if TYPE_CHECKING:
    from .report import Report
    from .verdict import Judged

# Rows of a table that are shown unfolded; how many of a longer one, the worst; and how many a page holds at all.
SHORT, FIRST, MOST = 30, 12, 2000
STANDALONE = ' xmlns="http://www.w3.org/2000/svg"'


class Row(NamedTuple):
    """A line of the table. bad: whether its R-hat is too large."""

    label: str
    cells: list[str]
    bad: bool


def page(report: "Report") -> str:
    """The whole page."""
    known = row_shape(report.posterior) is not None
    graph = report.posterior.graph().svg.replace(STANDALONE, "") if known else ""
    drawn = [(p.caption, p.reading, p.figure and _png(p.figure)) for p in pictures(report)]
    return _render(report, "page", graph=graph, pictures=drawn, made=_made(report))


def fragment(report: "Judged") -> str:
    """Verdict, findings and table, for a notebook."""
    return _render(report, "fragment")


def _render(report: "Judged", form: str, **parts: Any) -> str:
    source = files("inference.diagnostics").joinpath("report.html").read_text(encoding="utf-8")
    template = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(source)
    table, long = report.table, len(report.table) > SHORT
    first = table.loc[worst(table)[:FIRST]] if long else table
    rest = table.iloc[:MOST] if long else table.iloc[:0]
    return template.render(
        report=report,
        form=form,
        columns=list(table.columns),
        total=len(table),
        first=_rows(first),
        rest=_rows(rest),
        most=MOST,
        order=order(table),
        **parts,
    )


def _rows(table: pd.DataFrame) -> list[Row]:
    written = zip(*[[_number(name, v) for v in table[name]] for name in table.columns], strict=True)
    bad = table["rhat"] > RHAT if "rhat" in table else np.zeros(len(table), bool)
    return [Row(str(label), list(cells), bool(b)) for label, cells, b in zip(table.index, written, bad, strict=True)]


def _number(column: str, value: float | str) -> str:
    """Effective draws are counted whole and R-hat is read to its third decimal; other numbers have four digits."""
    if isinstance(value, str):
        return value
    if not np.isfinite(value):
        return "" if np.isnan(value) else str(value)
    return f"{value:.0f}" if column.startswith("ess") else f"{value:.3f}" if column == "rhat" else f"{value:.4g}"


def _made(report: "Report") -> dict[str, str]:
    """How the posterior was made, by name: hyperparameters, and what is known of the run."""
    how = {name: value for name, value in report.posterior.how.items() if name not in ("fixed", "columns", "frame", "row_shape")}
    return {name: _plain(value) for name, value in {**report.posterior.pair.hyperparameters, **how}.items() if value is not None}


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return _plain([f"{name} {_plain(v)}" for name, v in value.items() if v is not None])
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value[:20])) + (", ..." if len(value) > 20 else "")
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _png(figure: Figure) -> str:
    """The figure as PNG in base64, of 128 colours, which makes traces a third as long."""
    canvas = FigureCanvasAgg(figure)
    figure.dpi = 110
    canvas.draw()
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB").quantize(128).save(buffer, "png", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()
