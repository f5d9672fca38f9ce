"""What a pair does wrong, in plain words, and where."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Place:
    """A line of a file."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True)
class Fault:
    """says: what is wrong and what to do. where: the line, if known. severity: a note does not break the contract.

    check: the name of the check that found it, which is filled in by `examine`.
    """

    says: str
    where: Place | None = None
    severity: Literal["note", "failure"] = "failure"
    check: str = ""

    def __str__(self) -> str:
        mark = "XX" if self.severity == "failure" else "--"
        return f"{mark} {self.check}: {self.says}" + (f"\n   at {self.where}" if self.where else "")
