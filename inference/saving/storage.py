"""A posterior as a folder: written whole or not at all, read without running any code.

| file                  | what it holds                                                                     |
|-----------------------|-----------------------------------------------------------------------------------|
| posterior.json        | the pair's class and hyperparameters, how it was made, the other files' checksums |
| posterior.safetensors | draws, stats, and the pair's parameters                                           |
| arviz.nc              | `to_arviz()`: what other tools read, the rows; and the labels of steps of series  |
"""

import hashlib
import importlib.metadata
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import safetensors.torch
import torch
import xarray as xr
from safetensors import SafetensorError
from torch import Tensor

from ..pair import Pair, checked
from ..record import known_of
from ..rows.table import Table
from .labels import of_steps, steps_of

if TYPE_CHECKING:
    from ..posterior import Posterior

FORMAT = 1


def save(posterior: "Posterior", folder: Path, overwrite: bool) -> Path:
    """See `Posterior.save`."""
    refuse_existing(folder, overwrite)
    partial = reserve(folder)
    try:
        _write(posterior, partial)
        if folder.exists():
            _swap(partial, folder)
        else:
            os.replace(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def refuse_existing(folder: Path, overwrite: bool) -> None:
    """Refuse a folder that exists, unless it may be replaced and is a saved posterior (or empty). Raises FileExistsError."""
    if not folder.exists():
        return
    if not overwrite:
        raise FileExistsError(f"{folder} exists and nothing is overwritten unasked; choose another folder, or pass overwrite=True")
    if not folder.is_dir() or (any(folder.iterdir()) and not (folder / "posterior.json").is_file()):
        raise FileExistsError(f"{folder} exists and is not a saved posterior, so it is not replaced; choose another folder")


def reserve(folder: Path) -> Path:
    """An empty folder beside `folder`, to be renamed to it. Raises OSError, told plainly, where that cannot be written."""
    way_out = "choose a folder that you may write to"
    blocked = next((p for p in folder.parents if p.exists() and not p.is_dir()), None)
    if blocked:
        raise NotADirectoryError(f"cannot write to {folder}: {blocked} is not a folder; {way_out}")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}.partial-", dir=folder.parent))
        partial.chmod(0o755)
        return partial
    except OSError as error:
        raise OSError(f"cannot write to {folder}: {error.strerror}; {way_out}") from error


def _swap(new: Path, folder: Path) -> None:
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.old-", dir=folder.parent))
    os.replace(folder, aside / folder.name)
    try:
        os.replace(new, folder)
    except OSError:
        os.replace(aside / folder.name, folder)
        aside.rmdir()
        raise
    shutil.rmtree(aside)


def _write(posterior: "Posterior", folder: Path) -> None:
    tensors = {f"draws.{n}": v for n, v in posterior.draws.items()} | {f"stats.{n}": v for n, v in posterior.stats.items()}
    tensors |= {f"pair.{n}": v for n, v in posterior.pair.state_dict().items()}
    safetensors.torch.save_file({n: v.contiguous().cpu() for n, v in tensors.items()}, folder / "posterior.safetensors")
    (folder / "posterior.safetensors").chmod(0o644)
    tree = posterior.to_arviz()
    if posterior.table is not None and posterior.table.steps is not None:
        tree["steps"] = xr.DataTree(of_steps(posterior.table.steps))
    tree.to_netcdf(folder / "arviz.nc", engine="h5netcdf")
    cls = type(posterior.pair)
    record = {
        "format": FORMAT,
        "pair": {"class": f"{cls.__module__}:{cls.__qualname__}", "hyperparameters": posterior.pair.hyperparameters},
        "how": {**({} if posterior.table is None else known_of(posterior.table)), **posterior.how},
        "sites": list(posterior.draws),
        "index": None if posterior.table is None or posterior.table.index.name is None else str(posterior.table.index.name),
        "files": {name: _checksum(folder / name) for name in ("posterior.safetensors", "arviz.nc")},
    }
    record["checksum"] = _digest(record)
    (folder / "posterior.json").write_text(json.dumps(record, indent=1))


def load(folder: str | Path, *, pair: type[Pair] | None = None) -> "Posterior":
    """The posterior that `Posterior.save` wrote to `folder`; no data and no training step is needed.

    pair: the pair's class. By default it is looked up among the pairs that are imported or installed (the entry points
    "zoo.pairs"); a folder cannot make anything else be imported.

    Raises:
        FileNotFoundError: no such folder. LookupError: the pair's class is neither imported nor installed.
        ValueError: the folder is not a saved posterior, is incomplete, or was changed since; the message says which file.
    """
    from ..posterior import Posterior

    folder = Path(folder)
    record = _record(folder)
    cls = pair or _find(record["pair"]["class"], folder)
    try:
        tensors = safetensors.torch.load_file(folder / "posterior.safetensors")
    except SafetensorError as error:
        raise ValueError(f"{folder / 'posterior.safetensors'} cannot be read: {error}") from error
    parts: dict[str, dict[str, Tensor]] = {"draws": {}, "stats": {}, "pair": {}}
    for name, value in tensors.items():
        part, _, rest = name.partition(".")
        parts[part][rest] = value
    made = cls(**checked(cls, record["pair"]["hyperparameters"]))
    draws = {name: parts["draws"][name] for name in record["sites"]}
    floats = next(tensor.dtype for tensor in [*draws.values(), *parts["pair"].values()] if tensor.is_floating_point())
    made.to(floats).load_state_dict(parts["pair"])
    return Posterior(made, draws, parts["stats"], record["how"], _rows(folder, record, floats))


def _record(folder: Path) -> dict[str, Any]:
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder")
    path = folder / "posterior.json"
    if not path.is_file():
        raise ValueError(f"{folder} is not a saved posterior, or only half of one: it has no posterior.json")
    try:
        record = json.loads(path.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not whole: {error}") from error
    if not isinstance(record, dict) or "format" not in record or "checksum" not in record:
        raise ValueError(f"{path} was not written by Posterior.save")
    if record["format"] != FORMAT:
        raise ValueError(f"{path} has format {record['format']!r}, and this version reads {FORMAT}; use the version that wrote it")
    if record["checksum"] != _digest({k: v for k, v in record.items() if k != "checksum"}):
        raise ValueError(f"{path} was changed since it was written; its contents cannot be trusted")
    lacking = {"pair", "how", "sites", "index", "files"} - set(record)
    if lacking:
        raise ValueError(f"{path} was not written by Posterior.save: it lacks {', '.join(sorted(lacking))}")
    for name, checksum in record["files"].items():
        if not (folder / name).is_file():
            raise ValueError(f"{folder} is incomplete: {name} is missing")
        if _checksum(folder / name) != checksum:
            raise ValueError(f"{folder / name} was changed since it was written; its contents cannot be trusted")
    return record


def _find(path: str, folder: Path) -> type[Pair]:
    for point in importlib.metadata.entry_points(group="zoo.pairs"):
        if point.value == path:
            return point.load()
    known, queue = {}, [Pair]
    while queue:
        cls = queue.pop()
        # The youngest comes first: a notebook defines its class anew.
        known.setdefault(f"{cls.__module__}:{cls.__qualname__}", cls)
        queue += cls.__subclasses__()
    if path not in known:
        raise LookupError(f"{folder} holds a posterior of {path}, which is neither imported nor installed; import it first, or pass pair=")
    return known[path]


def _rows(folder: Path, record: dict[str, Any], floats: torch.dtype) -> Table | None:
    with xr.open_datatree(folder / "arviz.nc", engine="h5netcdf") as tree:
        if "observed_data" not in tree.children:
            return None
        array = next(iter(tree["observed_data"].data_vars.values())).load()
        known = tree["constant_data"] if "constant_data" in tree.children else {}
        given = known["x_given"].load() if "x_given" in known else None
        steps = steps_of(tree["steps"].to_dataset().load()) if "steps" in tree.children else None
    index = array.indexes["row"].rename(record["index"])
    *axes, columns = record["how"]["row_shape"]
    x = torch.as_tensor(array.values, dtype=floats).reshape(len(index), *axes, columns if given is None else columns - given.shape[-1])
    if given is not None:
        x = torch.cat([x, torch.as_tensor(given.values, dtype=floats)], -1)
    how = record["how"]
    index = index if steps is None else steps.rows
    return Table(x, how["columns"], index, how["frame"], variables=how.get("variables"), steps=steps)


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest(record: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()
