"""`zoo fit`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .app import Json, Set, Strict, Traceback, app, beginning, data_names, pair_names, tell, told
from .settings import given, rows

if TYPE_CHECKING:
    from inference import Pair, Posterior

METHODS = ("svi", "map", "nuts", "chees", "hmc", "mams", "gibbs")


@app.command(epilog="For example: zoo fit gmm --data faithful --columns waiting --set components=2 --method nuts --out runs/faithful")
@told
def fit(
    name: Annotated[str, typer.Argument(help="A pair, as `zoo list` names it.", autocompletion=beginning(pair_names))],
    data: Annotated[
        str, typer.Option(help="A data set, or a file: CSV, Parquet, NPY, NPZ, MTX, LDAC.", autocompletion=beginning(data_names))
    ],
    method: Annotated[
        str,
        typer.Option(
            help="svi, map, nuts, chees (many chains), hmc, mams, gibbs (if the pair has it).", autocompletion=beginning(lambda: METHODS)
        ),
    ] = "svi",
    columns: Annotated[str | None, typer.Option(help="Which columns of the data, with commas between [default: all].")] = None,
    set_: Set = [],  # noqa: B006
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
    strict: Strict = False,
    as_json: Json = False,
    traceback: Traceback = False,
) -> None:
    """Fit a pair to data, save it, and say whether to believe it."""
    folder = out or Path("runs") / f"{name}-{method}"
    if folder.exists() and not overwrite:
        raise FileExistsError(f"{folder} exists and nothing is overwritten unasked; choose another --out, or pass --overwrite")
    from inference import diagnose
    from inference.saving import storage

    from .. import registry

    _check_method(method)
    table = rows(data, columns)
    pair = registry.create(name, table, **given(registry.find(name), name, set_))
    storage.refuse_existing(folder, overwrite)
    storage.reserve(folder).rmdir()
    common = {"seed": seed, "device": device, "progress": False if quiet or as_json else None, "checkpoint": checkpoint}
    own = {"steps": steps, "restarts": restarts} if method in ("svi", "map") else {"chains": chains, "warmup": warmup}
    # What is not given is the pair's own to choose.
    asked = {name: value for name, value in {**common, **own, "draws": draws}.items() if value is not None}
    posterior = _fitted(pair, table, method, asked)
    posterior.save(folder, overwrite=overwrite)
    tell(diagnose(posterior), {"folder": str(folder)}, f"saved in {folder}; `zoo report {folder}` draws it", as_json, strict)


def _check_method(method: str) -> None:
    from inference.suggest import unknown

    if method not in METHODS:
        raise LookupError(unknown("method", method, METHODS))


def _fitted(pair: "Pair", table: Any, method: str, settings: dict[str, Any]) -> "Posterior":
    from inference import mcmc, svi

    if method in ("svi", "map"):
        return svi(pair, table, guide="map" if method == "map" else None, **settings)
    return mcmc(pair, table, kernel=method, **settings)
