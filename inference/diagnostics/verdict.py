"""What a report and a calibration have in common: a verdict that follows from findings, beside a table."""

from typing import TYPE_CHECKING, ClassVar

from . import html
from .table import SHOWN, order, worst

if TYPE_CHECKING:
    import pandas as pd

    from .findings import Finding

LONG = 40


class Judged:
    """Findings and a table, with a line that says what was judged (`title`) and one that answers (`verdict`). counted: what the rows of
    the table are called."""

    table: "pd.DataFrame"
    findings: "list[Finding]"
    title: str
    verdict: str
    counted: ClassVar[str]

    @property
    def ok(self) -> bool:
        """Whether nothing was found that forbids belief."""
        return not self.named("failure")

    def named(self, severity: str) -> list[str]:
        """The names of the findings of a severity, each once."""
        return list(dict.fromkeys(f.name for f in self.findings if f.severity == severity))

    def __str__(self) -> str:
        long = len(self.table) > LONG
        table = self.table.loc[worst(self.table)[:SHOWN]] if long else self.table
        said = [f"the {order(table)} {SHOWN} of {len(self.table)} {self.counted}:"] if long else []
        lines = [*said, table.to_string(float_format=lambda v: f"{v:.4g}", na_rep="")] if len(table) else []
        return "\n".join([self.title, self.verdict, *(f"  {f}" for f in self.findings), *([""] if lines else []), *lines])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return html.fragment(self)
