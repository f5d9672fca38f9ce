"""Report: should this posterior be believed?"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from . import html
from .agreement import agree
from .chains import chains
from .findings import Finding
from .guide import point, variational
from .loo import left_out
from .normaliser import normaliser
from .pictures import SHOWN, worst
from .predictive_checks import reproduced
from .table import summarise

if TYPE_CHECKING:
    from ..posterior import Posterior

LONG = 40


@dataclass(frozen=True, eq=False)
class Report:
    """table: one row a parameter. findings: what was looked at and what it says. ok: nothing found forbids belief."""

    posterior: "Posterior"
    table: pd.DataFrame
    findings: list[Finding]

    @property
    def ok(self) -> bool:
        return not any(f.severity == "failure" for f in self.findings)

    @property
    def title(self) -> str:
        """What was run, in a line."""
        chains, draws = self.posterior.shape
        size = f"{chains} chain{'s' * (chains > 1)} x {draws} draw{'s' * (draws > 1)}"
        how = self.posterior.how
        rows = f"{how['rows']} rows, " if "rows" in how else ""
        return f"{self.posterior.name}: {rows}{size}" + (f", {how['seconds']:.1f} s" if "seconds" in how else "")

    @property
    def verdict(self) -> str:
        """The answer, in a line."""
        if not self.ok:
            return "Do not believe it yet: " + ", ".join(f.name for f in self.findings if f.severity == "failure") + "."
        if self.posterior.how.get("method") == "map":
            return "A point to start from: it has no uncertainty to believe."
        doubts = ", ".join(f.name for f in self.findings if f.severity == "warning")
        return f"Believe it, with care: {doubts}." if doubts else "Believe it: nothing was found against it."

    def __str__(self) -> str:
        long = len(self.table) > LONG
        table = self.table.loc[worst(self.table)[:SHOWN]] if long else self.table
        said = [f"the {SHOWN} worst of {len(self.table)} parameters:"] if long and "rhat" in table else []
        lines = [*said, table.to_string(float_format=lambda v: f"{v:.4g}")] if len(table) else []
        return "\n".join([self.title, self.verdict, *(f"  {f}" for f in self.findings), *([""] if lines else []), *lines])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return html.fragment(self)

    def to_html(self, path: str | Path) -> Path:
        """One self-contained page: verdict, findings, pictures, table. Raises OSError where it cannot be written."""
        path = Path(path)
        path.write_text(html.page(self), encoding="utf-8")
        return path


def diagnose(posterior: "Posterior", against: "Posterior | None" = None) -> Report:
    """Whether to believe a posterior of any method: R-hat, effective draws, divergences and energy for MCMC; for variational
    inference, whether the loss settled and the Pareto k-hat of the guide. Declared symmetries are undone first. Then whether the
    model fits: rows that are left out, and data sets drawn from the posterior, where there are not too many rows.

    against: another posterior of the same pair and rows to hold it against, such as `mcmc` with `start=posterior` gives. Raises
    ValueError where it is not, and where the draws are not of the pair's sites.
    """
    posterior.refuse_foreign()
    table = summarise(posterior)
    look = {"map": point, "svi": variational}.get(posterior.how.get("method"), chains)
    findings = [found for finder in (look, normaliser, left_out, reproduced) for found in finder(posterior, table)]
    if against is not None:
        findings += agree(posterior, against, diagnose(against).ok)
    return Report(posterior, table, findings)
