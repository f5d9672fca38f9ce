"""Report: should this posterior be believed?"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import pandas as pd

from . import html
from .agreement import agree
from .chains import chains
from .fidelity import likeness
from .findings import Finding
from .guide import point, variational
from .loo import left_out
from .normaliser import normaliser
from .parts import parts
from .predictive_checks import reproduced
from .table import summarise
from .verdict import Judged

if TYPE_CHECKING:
    from ..posterior import Posterior


@dataclass(frozen=True, eq=False, repr=False)
class Report(Judged):
    """table: one row a parameter. findings: what was looked at and what it says. ok: nothing found forbids belief."""

    posterior: "Posterior"
    table: pd.DataFrame
    findings: list[Finding]
    counted: ClassVar[str] = "parameters"

    @property
    def title(self) -> str:
        """What was run, in a line."""
        chains, draws = self.posterior.shape
        size = f"{chains} chain{'s' * (chains > 1)} x {draws} draw{'s' * (draws > 1)}"
        how = self.posterior.how
        rows = f"{how['rows']} row{'s' * (how['rows'] != 1)}, " if "rows" in how else ""
        return f"{self.posterior.name}: {rows}{size}" + (f", {how['seconds']:.1f} s" if "seconds" in how else "")

    @property
    def verdict(self) -> str:
        """The answer, in a line."""
        if not self.ok:
            return f"Do not believe it yet: {', '.join(self.named('failure'))}."
        if self.posterior.how.get("method") == "map":
            return "A point to start from: it has no uncertainty to believe."
        doubts = ", ".join(self.named("warning"))
        return f"Believe it, with care: {doubts}." if doubts else "Believe it: nothing was found against it."

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
    ValueError where it is not, and where the draws are not of the pair's sites; TypeError for what is no posterior.
    """
    for given in (posterior, *([] if against is None else [against])):
        if not hasattr(given, "refuse_foreign"):
            raise TypeError(f"a Posterior is diagnosed, such as svi and mcmc return, not {type(given).__name__}")
    posterior.refuse_foreign()
    table = summarise(posterior)
    findings = [found for look in (_drawn, normaliser, likeness, left_out, reproduced) for found in look(posterior, table)]
    findings += parts(posterior)
    if against is not None:
        findings += agree(posterior, against, believed(against))
    return Report(posterior, table, findings)


def believed(posterior: "Posterior") -> bool:
    """Whether the draws may be believed: what `Report.ok` says. How well the model fits the rows is not looked at, since that makes
    no draw wrong."""
    return all(found.severity != "failure" for found in _drawn(posterior, summarise(posterior)))


def _drawn(posterior: "Posterior", table: pd.DataFrame) -> Iterator[Finding]:
    """What is found on the draws, by the method that made them."""
    look = {"map": point, "svi": variational}.get(posterior.how.get("method"), chains)
    return look(posterior, table)
