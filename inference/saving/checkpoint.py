"""A checkpoint as a folder: a run that is cut off at any moment goes on from its last save.

| file                 | what it holds                                                                           |
|----------------------|-----------------------------------------------------------------------------------------|
| checkpoint.json      | the run, its record, the other files' checksums; replacing it is what makes a save count |
| state-N.safetensors  | the tensors of save N                                                                   |
| blocks-N.safetensors | what save N added to the arrays that only grow                                          |
"""

import hashlib
import json
import os
import re
import time
import uuid
from collections.abc import Mapping
from numbers import Real
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from .storage import _digest, reserve

FORMAT = 1
MANIFEST = "checkpoint.json"
OWN = re.compile(r"(state|blocks)-\d+\.safetensors(\.partial)?|checkpoint\.json\.partial")


class Checkpoint:
    """A folder from which a run goes on after it was cut off at any moment.

    Opening a folder makes it this object's own: a run that had it open before is refused its next save. When the run is
    complete its checkpoint stays, and the same call made again resumes to the end at once; to start anew, remove the folder.

    Arguments:
        folder: made where there is none. every: seconds between saves, for `due`; 0 is always due.
        run: plain values that identify the run: method, pair, hyperparameters, settings, seed, `fingerprint` of the rows.

    Raises:
        ValueError: the folder holds another run, or was damaged; the message names the entry or the file.
        FileExistsError: the folder is something else. OSError: it cannot be written. TypeError: `run` is not plain JSON.
    """

    def __init__(self, folder: str | Path, run: Mapping[str, Any], every: float = 10.0) -> None:
        if not isinstance(every, Real) or not every >= 0:
            raise ValueError(f"every={every!r} must be a number of seconds, 0 or more")
        self.folder, self.every, self._writer = Path(folder), every, uuid.uuid4().hex
        run = _plain("run", run)
        if self._exists():
            last = self._read()
            self._refuse_other(last["run"], run)
        else:
            last = {"format": FORMAT, "run": run, "saves": 0, "record": None, "tensors": [], "blocks": [], "files": {}}
        self._commit({}, {**last, "writer": self._writer})
        self._saved = time.monotonic()

    @property
    def due(self) -> bool:
        """Whether `every` seconds have passed since the last save, or since the checkpoint was opened."""
        return time.monotonic() - self._saved >= self.every

    def save(self, tensors: Mapping[str, Tensor], record: Mapping[str, Any], blocks: Mapping[str, Tensor] | None = None) -> None:
        """Replace what was saved, whole or not at all, on disk when this returns.

        Arguments:
            tensors: any shape, dtype and device. record: plain values.
            blocks: (new, ...) what has been added to arrays that only grow since the last save; not written again by the next.

        Raises:
            OSError: it cannot be written, for want of space, say; the save before stays whole.
            ValueError: another run has opened the folder since, a name is in both, or a block is no array.
            TypeError: `record` is not plain JSON.
        """
        blocks, last = dict(blocks or {}), self._read()
        if last["writer"] != self._writer:
            raise ValueError(f"another run has opened the checkpoint {self.folder} since; give each run a folder of its own")
        for name, block in blocks.items():
            if name in tensors or block.dim() == 0:
                raise ValueError(f"the block {name!r} {'is also a tensor' if name in tensors else 'has no axis to grow along'}")
        number = last["saves"] + 1
        files = {f"state-{number:06d}.safetensors": tensors}
        if blocks:
            files[f"blocks-{number:06d}.safetensors"] = blocks
        changes = {
            "saves": number,
            "record": _plain("record", record),
            "tensors": list(tensors),
            "blocks": list(dict.fromkeys([*last["blocks"], *blocks])),
            "files": {name: checksum for name, checksum in last["files"].items() if name.startswith("blocks-")},
        }
        self._commit(files, {**last, **changes})
        self._saved = time.monotonic()

    def load(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """What was saved last and whole: the tensors and, each in one piece, the blocks, on the CPU; the record. None: nothing yet.

        Raises ValueError that names the file where one is missing or was changed.
        """
        manifest = self._read()
        if manifest["record"] is None:
            return None
        state, blocks = {}, []
        for name, checksum in manifest["files"].items():
            loaded = safetensors.torch.load(self._verified(name, checksum))
            if name.startswith("blocks-"):
                blocks.append(loaded)
            else:
                state = loaded
        grown = {name: torch.cat([b[name] for b in blocks if name in b]) for name in manifest["blocks"]}
        return {name: state[name] for name in manifest["tensors"]} | grown, manifest["record"]

    def _exists(self) -> bool:
        """Whether there is a checkpoint; if there is nothing, an empty folder is made."""
        if (self.folder / MANIFEST).is_file():
            return True
        if not self.folder.exists():
            os.replace(reserve(self.folder), self.folder)
        # A run killed at its very first write leaves only that.
        if not self.folder.is_dir() or any(p.name != f"{MANIFEST}.partial" for p in self.folder.iterdir()):
            raise FileExistsError(f"{self.folder} exists and is not a checkpoint: it has no {MANIFEST}; choose another folder")
        return False

    def _refuse_other(self, there: dict[str, Any], here: dict[str, Any]) -> None:
        if difference := _difference(there, here):
            name, old, new = difference
            raise ValueError(
                f"the checkpoint {self.folder} is of another run: {name} is {old} there and {new} here; "
                "to go on with that run, call it as it was called; for a new run choose another folder"
            )

    def _read(self) -> dict[str, Any]:
        path = self.folder / MANIFEST
        try:
            manifest = json.loads(path.read_text())
        except FileNotFoundError:
            raise ValueError(f"{self.folder} is no longer a checkpoint: {MANIFEST} is missing") from None
        except ValueError as error:
            raise ValueError(f"{path} is not whole: {error}; {_AFRESH}") from error
        if not isinstance(manifest, dict) or not {"format", "checksum"} <= set(manifest):
            raise ValueError(f"{path} was not written by a checkpoint; choose another folder")
        if manifest["format"] != FORMAT:
            raise ValueError(f"{path} has format {manifest['format']!r}, and this version reads {FORMAT}; use the version that wrote it")
        if manifest.pop("checksum") != _digest(manifest):
            raise ValueError(f"{path} was changed since it was written; {_AFRESH}")
        return manifest

    def _verified(self, name: str, checksum: str) -> bytes:
        path = self.folder / name
        if not path.is_file():
            raise ValueError(f"the checkpoint {self.folder} is incomplete: {name} is missing; {_AFRESH}")
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != checksum:
            raise ValueError(f"{path} was changed since it was written; {_AFRESH}")
        return data

    def _commit(self, files: Mapping[str, Mapping[str, Tensor]], manifest: dict[str, Any]) -> None:
        """Write `files`, then the manifest that names them; what neither the old manifest nor the new one names is removed."""
        try:
            for name, tensors in files.items():
                data = safetensors.torch.save({n: _alone(t) for n, t in tensors.items()})
                self._write(name, data)
                manifest["files"][name] = hashlib.sha256(data).hexdigest()
            self._write(MANIFEST, json.dumps({**manifest, "checksum": _digest(manifest)}, indent=1).encode())
        except OSError as error:
            raise OSError(f"cannot save to {self.folder}: {error.strerror}; what was saved before is whole. {_AGAIN}") from error
        finally:
            self._sweep()

    def _write(self, name: str, data: bytes) -> None:
        partial = self.folder / f"{name}.partial"
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, self.folder / name)
        # Until the folder is on disk too, a power cut may undo the renaming, and the renamings must reach it in this order.
        descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _sweep(self) -> None:
        kept = self._read()["files"] if (self.folder / MANIFEST).is_file() else {}
        for path in self.folder.iterdir():
            if OWN.fullmatch(path.name) and path.name not in kept:
                path.unlink(missing_ok=True)


_AFRESH = "it cannot be trusted; remove the folder to start afresh"
_AGAIN = "Make room, or see that the folder may be written to, and make the same call again: it goes on from there"


def fingerprint(x: Tensor) -> str:
    """What tells rows apart: the SHA-256 of the tensor's shape, dtype and bytes, wherever it is."""
    data = x.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
    digest = hashlib.sha256(f"{tuple(x.shape)} {x.dtype} ".encode())
    digest.update(data)
    return digest.hexdigest()


def _alone(tensor: Tensor) -> Tensor:
    """On the CPU, contiguous, and sharing its memory with no other, as safetensors asks."""
    return tensor.detach().cpu().clone(memory_format=torch.contiguous_format)


def _plain(name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return json.loads(json.dumps(dict(values)))
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} must hold plain JSON values (numbers, strings, lists, dicts): {error}") from error


def _difference(there: Any, here: Any, name: str = "") -> tuple[str, str, str] | None:
    """The first entry, its name dotted, in which two plain values differ, and both as text."""
    if isinstance(there, dict) and isinstance(here, dict):
        for key in dict.fromkeys([*there, *here]):
            found = _difference(there.get(key, _Absent), here.get(key, _Absent), f"{name}.{key}".lstrip("."))
            if found:
                return found
        return None
    # The text as well: NaN is not equal to itself.
    if there == here or _Absent not in (there, here) and json.dumps(there) == json.dumps(here):
        return None
    return name, *(("absent" if v is _Absent else repr(v)) for v in (there, here))


class _Absent:
    """No entry of that name."""
