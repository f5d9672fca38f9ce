"""Pairs of one's own: `zoo new` and `zoo check`."""

from pathlib import Path
from typing import Annotated

import typer

from .app import Json, Set, Traceback, app, beginning, data_names, echo_json, pair_names, told
from .settings import given, rows


@app.command()
@told
def new(
    name: Annotated[str, typer.Argument(help="The package's name: my_model.")],
    to: Annotated[Path, typer.Option(help="The folder to put it in.")] = Path(),
    traceback: Traceback = False,
) -> None:
    """Write a package with a pair to begin from. It has its oracle's test and its entry point, and passes its tests as it stands."""
    from .. import skeleton

    folder = skeleton.write(name, to)
    typer.echo(f"{folder} holds a pair that works: change it step by step. In that folder,\n")
    typer.echo(f"    pip install -e .            `zoo list` and `zoo fit` then know {name}")
    typer.echo("    python -m pytest            its oracle, and the contract")
    typer.echo(f"    zoo check {name}.pair:{skeleton.class_name(name)}")


@app.command()
@told
def check(
    pair: Annotated[str, typer.Argument(help="PACKAGE.MODULE:CLASS, or a registered name.", autocompletion=beginning(pair_names))],
    data: Annotated[
        str | None, typer.Option(help="Rows that suit it [default: made by its model].", autocompletion=beginning(data_names))
    ] = None,
    columns: Annotated[str | None, typer.Option(help="Which columns of the data, with commas between.")] = None,
    set_: Set = [],  # noqa: B006
    quick: Annotated[bool, typer.Option("--quick", help="Leave out the fits to simulated rows, which take a minute.")] = False,
    as_json: Json = False,
    traceback: Traceback = False,
) -> None:
    """Run the contract on a pair, and say what is wrong on which line. Status 1: it breaks the contract."""
    from inference.contract import examine

    from .. import registry, strangers

    cls = strangers.imported(pair) if ":" in pair else strangers.registered(pair)
    table = None if data is None else rows(data, columns)
    made = registry.made(cls, table, given(cls, pair, set_))
    tell = (lambda _: None) if as_json else lambda name: typer.echo(f"   {name}", err=True)
    found = examine(made, strangers.simulated(made) if table is None else strangers.few(made, table), quick=quick, tell=tell)
    if as_json:
        faults = [{"check": f.check, "severity": f.severity, "says": f.says, "where": f.where and str(f.where)} for f in found.faults]
        echo_json({"ok": found.ok, "verdict": found.verdict, "faults": faults, "passed": found.passed, "skipped": found.skipped})
    else:
        typer.echo(str(found))
    if not found.ok:
        raise typer.Exit(1)
