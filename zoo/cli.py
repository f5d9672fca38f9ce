"""The command `zoo`. What needs torch is imported by the command that needs it, so that a command line answers at once."""

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="A zoo of latent variable models: select one by name, fit it, see whether to believe it.",
)


def _told(command: Callable[..., None]) -> Callable[..., None]:
    """A user's mistake ends the command with one line that says what to do, and status 2."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except (ValueError, LookupError, TypeError, OSError) as error:
            if "--traceback" in sys.argv:
                raise
            message = error.args[0] if isinstance(error, KeyError) else error
            typer.echo(f"zoo: {message}", err=True)
            raise typer.Exit(2) from error

    return run


Traceback = Annotated[bool, typer.Option("--traceback", help="Show where in the code a mistake was noticed.")]


@app.command("list")
@_told
def list_pairs() -> None:
    """The pairs and the data sets, by name."""
    from . import data, registry

    names = registry.names()
    for name in names:
        typer.echo(f"{name:<{max(map(len, names))}}  {registry.summary(name)}")
    typer.echo("\ndata: " + ", ".join(data.names()))


@app.command()
@_told
def show(name: Annotated[str, typer.Argument(help="A pair, as `zoo list` names it.")], traceback: Traceback = False) -> None:
    """A pair's card: its generative story, its hyperparameters, how to use it."""
    from . import cards

    typer.echo(cards.card(name))


@app.command()
@_told
def fit(
    name: Annotated[str, typer.Argument(help="A pair, as `zoo list` names it.")],
    data: Annotated[str, typer.Option(help="A data set by name, or a file: CSV, Parquet, NPY, NPZ, MTX, LDAC.")],
    method: Annotated[str, typer.Option(help="svi, map, nuts, chees (many chains), hmc, or gibbs (pairs that bring it).")] = "svi",
    set_: Annotated[list[str], typer.Option("--set", metavar="KEY=VALUE", help="A hyperparameter; may be given again.")] = [],  # noqa: B006
    out: Annotated[Path | None, typer.Option(help="The folder to write [default: runs/NAME-METHOD].")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the folder if it exists.")] = False,
    draws: Annotated[int | None, typer.Option(help="Posterior draws (of each chain) [default: 1000, or the pair's own].")] = None,
    chains: Annotated[int, typer.Option(help="Chains, for MCMC.")] = 4,
    warmup: Annotated[int, typer.Option(help="Warm-up transitions, for MCMC.")] = 500,
    steps: Annotated[int | None, typer.Option(help="Steps at most, for svi and map [default: 5000, or the pair's own].")] = None,
    restarts: Annotated[int, typer.Option(help="Independent starts, for svi and map.")] = 1,
    seed: Annotated[int, typer.Option(help="Fixes every random number.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    checkpoint: Annotated[Path | None, typer.Option(help="A folder to save to now and then; the same command goes on from it.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress line.")] = False,
    traceback: Traceback = False,
) -> None:
    """Fit a pair to data, save the posterior in a folder, and say whether to believe it."""
    folder = out or Path("runs") / f"{name}-{method}"
    if folder.exists() and not overwrite:
        raise FileExistsError(f"{folder} exists and nothing is overwritten unasked; choose another --out, or pass --overwrite")
    from inference import diagnose, mcmc, storage, svi
    from inference.mcmc import NAMES
    from inference.suggest import unknown

    if method not in ("svi", "map", *NAMES):
        raise LookupError(unknown("method", method, ("svi", "map", *NAMES)))
    rows = _rows(data)
    pair = _pair(name, rows, set_)
    storage.refuse_existing(folder, overwrite)
    storage.reserve(folder).rmdir()
    common = {"seed": seed, "device": device, "progress": False if quiet else None, "checkpoint": checkpoint}
    if draws is not None:
        common["draws"] = draws
    if method in ("svi", "map"):
        guide = "map" if method == "map" else None
        posterior = svi(pair, rows, guide=guide, steps=steps, restarts=restarts, **common)
    else:
        posterior = mcmc(pair, rows, kernel=method, chains=chains, warmup=warmup, **common)
    posterior.save(folder, overwrite=overwrite)
    typer.echo(f"{diagnose(posterior)}\n\nsaved in {folder}; `zoo report {folder}` draws it")


@app.command()
@_told
def report(
    folder: Annotated[Path, typer.Argument(help="A folder that `zoo fit` wrote.")],
    to: Annotated[Path | None, typer.Option(help="The page to write [default: FOLDER/report.html].")] = None,
    traceback: Traceback = False,
) -> None:
    """Diagnose a saved posterior and write the report: verdict, findings, pictures, table."""
    from inference import diagnose, load

    found = diagnose(load(folder))
    path = found.to_html(to or folder / "report.html")
    typer.echo(f"{found}\n\nreport: {path}")


@app.command()
@_told
def compare(
    folders: Annotated[list[Path], typer.Argument(help="Folders that `zoo fit` wrote, of the same rows.")],
    traceback: Traceback = False,
) -> None:
    """Saved posteriors side by side: which predicts best, and whether each is to be believed."""
    import inference

    names = [folder.resolve().name for folder in folders]
    names = names if len(set(names)) == len(names) else [str(folder) for folder in folders]
    _print_table(inference.compare({name: inference.load(folder) for name, folder in zip(names, folders, strict=True)}))


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


def _rows(data: str) -> Any:
    from inference.files import KINDS

    from . import data as sets

    if Path(data).suffix.lower() in KINDS or Path(data).is_file():
        from inference import as_table

        return as_table(Path(data))
    try:
        return sets.load(data).frame
    except LookupError as error:
        if Path(data).suffix:
            raise ValueError(f"{data}: unknown file type {Path(data).suffix!r}; the types are {', '.join(KINDS)}") from error
        raise


def _pair(name: str, rows: Any, settings: list[str]) -> Any:
    from pydantic import ValidationError

    from inference.pair import adapter, describe, parameters, reason

    from . import registry

    cls, given = registry.find(name), {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise ValueError(f"--set {setting}: write KEY=VALUE; {describe(cls)}")
        if key not in parameters(cls):
            raise LookupError(f"--set {setting}: {name} has no hyperparameter {key!r}; {describe(cls)}")
        try:
            given[key] = _parsed(adapter(cls, key), text)
        except ValidationError as error:
            raise ValueError(f"--set {setting}: {reason(error)}") from None
    return registry.create(name, rows, **given)


def _parsed(kind: Any, text: str) -> Any:
    from pydantic import ValidationError

    try:
        return kind.validate_json(text)
    except ValidationError as error:
        if error.errors()[0]["type"] != "json_invalid":
            raise
    return kind.validate_python(text)
