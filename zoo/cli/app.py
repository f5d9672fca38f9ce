"""What the commands share: the app, how mistakes are told, and output for programs."""

import functools
import json
import os
import sys
from collections.abc import Callable, Iterable
from typing import Annotated, Any

import typer

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="A zoo of latent variable models: select one by name, fit it, see whether to believe it.",
    epilog="Exit status: 0 done; 1 `zoo check` found a fault, or --strict and not to be believed; 2 a mistake in what was asked.",
)

Traceback = Annotated[bool, typer.Option("--traceback", help="Show where in the code a mistake was noticed.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Set = Annotated[
    list[str],
    typer.Option("--set", metavar="KEY=VALUE", help="A hyperparameter as `zoo show` names it, lists with commas; may be given again."),
]
Strict = Annotated[bool, typer.Option("--strict", help="End with status 1 unless the posterior can be believed.")]


def told(command: Callable[..., None]) -> Callable[..., None]:
    """A user's mistake ends the command with one line that says what to do, and status 2."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
            sys.stdout.flush()
        except BrokenPipeError:
            # Who reads has seen enough (`zoo list | head -1`); what is still to be written goes nowhere, at exit too.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except (ValueError, LookupError, TypeError, OSError) as error:
            if "--traceback" in sys.argv:
                raise
            message = error.args[0] if isinstance(error, KeyError) else error
            typer.echo(f"zoo: {message}", err=True)
            raise typer.Exit(2) from error

    return run


def echo_json(value: Any) -> None:
    """Print a value as JSON; what is not finite is null, as JSON knows no such number."""
    typer.echo(json.dumps(_plain(value), indent=1))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and (value != value or abs(value) == float("inf")) else value


def beginning(names: Callable[[], Iterable[str]]) -> Callable[[str], list[str]]:
    """What a shell is offered to complete: the names that begin as what was typed."""
    return lambda incomplete: [name for name in names() if name.startswith(incomplete)]


def pair_names() -> list[str]:
    from .. import registry

    return registry.names()


def data_names() -> list[str]:
    from .. import data

    return data.names()


def as_records(frame: Any) -> dict[str, Any]:
    """A DataFrame as row label -> column -> value."""
    return {str(label): row.to_dict() for label, row in frame.iterrows()}


def tell(found: Any, more: dict[str, Any], last: str, as_json: bool, strict: bool) -> None:
    """Print a report, and end with status 1 where it forbids belief and that was asked for."""
    if as_json:
        findings = [{"name": f.name, "severity": f.severity, "evidence": f.evidence, "advice": f.advice} for f in found.findings]
        table = as_records(found.table)
        echo_json({"title": found.title, "verdict": found.verdict, "ok": found.ok, "findings": findings, "table": table, **more})
    else:
        typer.echo(f"{found}\n\n{last}")
    if strict and not found.ok:
        raise typer.Exit(1)
