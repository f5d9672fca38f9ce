"""What was fitted: `zoo report` and `zoo compare`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from .app import Json, Strict, Traceback, app, as_records, echo_json, tell, told


@app.command()
@told
def report(
    folder: Annotated[Path, typer.Argument(help="A folder that `zoo fit` wrote.")],
    to: Annotated[Path | None, typer.Option(help="The page to write [default: FOLDER/report.html].")] = None,
    strict: Strict = False,
    as_json: Json = False,
    traceback: Traceback = False,
) -> None:
    """Diagnose a saved posterior, and draw the report. It is one HTML file: verdict, findings, pictures, table."""
    from inference import diagnose, load

    found = diagnose(load(folder))
    path = found.to_html(to or folder / "report.html")
    tell(found, {"report": str(path)}, f"report: {path}", as_json, strict)


@app.command()
@told
def compare(
    folders: Annotated[list[Path], typer.Argument(help="Folders that `zoo fit` wrote, of the same rows.")],
    as_json: Json = False,
    traceback: Traceback = False,
) -> None:
    """Saved posteriors side by side: which predicts best. With differences, stacking weights, and whether each is to be believed."""
    import inference

    if len({folder.resolve() for folder in folders}) < max(2, len(folders)):
        given = ", ".join(map(str, folders))
        raise ValueError(f"{given}: name two folders or more that `zoo fit` wrote, each of them once")
    names = [folder.resolve().name for folder in folders]
    names = names if len(set(names)) == len(names) else [str(folder) for folder in folders]
    table = inference.compare({name: inference.load(folder) for name, folder in zip(names, folders, strict=True)})
    if as_json:
        echo_json(as_records(table))
    else:
        _print_table(table)


def _print_table(frame: Any) -> None:
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD)
    table.add_column(frame.index.name, no_wrap=True)
    for name in frame.columns:
        table.add_column(name, justify="right", no_wrap=True)
    for label, row in frame.iterrows():
        table.add_row(escape(str(label)), *(f"{value:.2f}" if isinstance(value, float) else str(value) for value in row))
    # As wide as it must be: neither a pipe nor a narrow terminal cuts numbers off.
    Console(width=10_000).print(table)
