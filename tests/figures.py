"""The table of README that has the pairs' figures, from what was measured of each."""

from pathlib import Path

import zoo
from zoo import cards

README = Path(__file__).parent.parent / "README.md"
BEGIN, END = "<!-- figures, by `make cards` -->\n", "<!-- end of figures -->"
HEADS = (
    "pair",
    "data (rows)",
    "parameters",
    "inferred",
    "a step, ms",
    "of 8 x the rows, ms",
    "a gradient, ms",
    "off its oracle",
    "calibration",
)


def table() -> str:
    """A row for each pair, as Markdown."""
    rows = [HEADS, ("---", "---", *["---:"] * 6, "---"), *map(_row, zoo.names())]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def written(text: str) -> str:
    """README with the table as it is to be. Raises ValueError where it has no place for it."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"README.md needs a line {BEGIN.strip()!r} and after it one {END!r}, between which the figures go")
    return before + begin + table() + end + after


def _row(name: str) -> tuple[str, ...]:
    known = cards.measured(name)
    costs, calibration = known["costs"], known["calibration"]
    gradient = "" if costs["gradient"] is None else _milliseconds(costs["gradient"])
    told = calibration["verdict"].rstrip(".").replace("Calibrated, with care: ", "with care: ") if calibration else ""
    return (
        f"[`{name}`](cards/{name}.md)",
        f"{costs['data']} ({costs['rows']})",
        str(costs["parameters"]),
        str(costs["inferred"]),
        _milliseconds(costs["step"]),
        _milliseconds(costs["more"]["step"]),
        gradient,
        f"{known['log_joint_off']:.0e}",
        told,
    )


def _milliseconds(seconds: float) -> str:
    return f"{float(f'{1e3 * seconds:.2g}'):g}"
