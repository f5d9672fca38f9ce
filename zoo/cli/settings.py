"""What is named on the command line: rows, their columns, hyperparameters."""

from pathlib import Path
from typing import Any


def rows(data: str, columns: str | None = None) -> Any:
    """The rows of a data set or file, of the columns named. Raises what reading raises, and LookupError for a column that is not there."""
    from inference import as_table
    from inference.rows.files import KINDS, read_file

    if Path(data).suffix.lower() in KINDS or Path(data).is_file():
        return as_table(Path(data) if columns is None else _chosen(read_file(Path(data)), columns, data))
    frame = _named(data)
    return frame if columns is None else _chosen(frame, columns, data)


def _chosen(found: Any, columns: str, data: str) -> Any:
    """Some columns of a DataFrame, or of an array by number. Chosen before anything is checked: others may hold text."""
    import pandas as pd

    from inference.suggest import unknown

    frame = found if isinstance(found, pd.DataFrame) else pd.DataFrame(found).rename(columns=str)
    wanted = [name.strip() for name in columns.split(",")]
    for name in wanted:
        if name not in frame:
            raise LookupError(f"{data}: {unknown('column', name, frame.columns)}")
    return frame[wanted]


def _named(data: str) -> Any:
    from inference.rows.files import KINDS

    from .. import data as sets

    try:
        return sets.load(data).frame
    except LookupError as error:
        if Path(data).suffix:
            raise ValueError(f"{data}: unknown file type {Path(data).suffix!r}; the types are {', '.join(KINDS)}") from error
        raise


def given(cls: type, name: str, settings: list[str]) -> dict[str, Any]:
    """The hyperparameters of the pair `name` that KEY=VALUE name. Raises ValueError or LookupError that lists those there are."""
    from pydantic import ValidationError

    from inference.pair import adapter, describe, parameters, reason

    found = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise ValueError(f"--set {setting}: write KEY=VALUE; {describe(cls)}")
        if key not in parameters(cls):
            raise LookupError(f"--set {setting}: {name} has no hyperparameter {key!r}; {describe(cls)}")
        try:
            found[key] = _parsed(adapter(cls, key), text)
        except ValidationError as error:
            raise ValueError(f"--set {setting}: {reason(error)}") from None
    return found


def _parsed(kind: Any, text: str) -> Any:
    from pydantic import ValidationError

    try:
        return kind.validate_json(text)
    except ValidationError as error:
        if error.errors()[0]["type"] != "json_invalid":
            raise
    return kind.validate_python([word.strip() for word in text.split(",")] if "," in text else text)
