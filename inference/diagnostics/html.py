"""A report as one page of HTML that needs no other file."""

import base64
import io
from importlib.resources import files
from typing import TYPE_CHECKING

import jinja2
from matplotlib.figure import Figure

from .pictures import loss_curve, traces

if TYPE_CHECKING:
    from .report import Report


def page(report: "Report") -> str:
    """The whole page."""
    return _render(report, "page")


def fragment(report: "Report") -> str:
    """Verdict, findings and table, for a notebook."""
    return _render(report, "fragment")


def _render(report: "Report", form: str) -> str:
    source = files("inference.diagnostics").joinpath("report.html").read_text(encoding="utf-8")
    template = jinja2.Environment(autoescape=True).from_string(source)
    table = report.table.to_html(float_format=lambda v: f"{v:.4g}", border=0, na_rep="")
    pictures = _pictures(report) if form == "page" else []
    return template.render(report=report, how=report.posterior.how, table=table, pictures=pictures, form=form)


def _pictures(report: "Report") -> list[tuple[str, str]]:
    posterior, drawn = report.posterior, []
    if posterior.pair.picture is not None and posterior.table is not None:
        drawn.append(("The data and the model", posterior.pair.picture(posterior)))
    if "loss" in posterior.stats:
        drawn.append(("Loss", loss_curve(posterior)))
    if posterior.shape[1] > 1:
        drawn.append(("Draws", traces(posterior)))
    return [(caption, _png(figure)) for caption, figure in drawn]


def _png(figure: Figure) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, bbox_inches="tight")
    return base64.b64encode(buffer.getvalue()).decode()
