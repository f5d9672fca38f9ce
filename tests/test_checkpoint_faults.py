"""A checkpoint is whole whatever happens: the run is killed, the disk is full, a file is damaged."""

import errno
import itertools
import multiprocessing
import os
import random
import signal
import time
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest
import torch

from inference.saving.checkpoint import Checkpoint

from .test_checkpoint import RUN, check_whole, contents, saved


def save_without_end(folder: Path, saved_once: Event) -> None:
    """Every tensor, and how long the blocks are, say which step it was."""
    checkpoint = Checkpoint(folder, {"seed": 1})
    last = checkpoint.load()
    for step in itertools.count(last[1]["step"] + 1 if last else 1):
        tensors = {"at": torch.full((), step), "large": torch.full((200, 50), step)}
        checkpoint.save(tensors, {"step": step}, {"draws": torch.full((2, 3), float(step))})
        saved_once.set()


# Python warns that a process with threads is forked; the child uses none of them.
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_killed_run_leaves_a_whole_state(tmp_path):
    moments, before = random.Random(0), 0
    for _ in range(5):
        saved_once = multiprocessing.get_context("fork").Event()
        child = multiprocessing.get_context("fork").Process(target=save_without_end, args=(tmp_path / "run", saved_once))
        child.start()
        assert saved_once.wait(60)
        time.sleep(moments.uniform(0.02, 0.1))
        child.kill()
        child.join()
        assert child.exitcode == -signal.SIGKILL
        tensors, record = Checkpoint(tmp_path / "run", {"seed": 1}).load()
        assert record["step"] > before, "the run did not go on from where it was killed"
        before = record["step"]
        assert (tensors["large"] == before).all()
        check_whole(tmp_path / "run", {"seed": 1}, before)
        assert len(contents(tmp_path / "run")) == 2 + before, "something that no save names was left behind"


def run_out_of_space(*args: object, **kwargs: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def save_three(checkpoint: Checkpoint) -> None:
    checkpoint.save({"at": torch.tensor(3)}, {"step": 3}, {"draws": torch.full((2, 3), 3.0)})


@pytest.mark.parametrize(("function", "call"), [*(("fsync", i) for i in range(6)), *(("replace", i) for i in range(3))])
def test_a_full_disk_leaves_the_save_before(function, call, tmp_path, monkeypatch):
    checkpoint, work = saved(tmp_path / "run", 2), itertools.chain([getattr(os, function)] * call, itertools.repeat(run_out_of_space))
    before = contents(tmp_path / "run")
    monkeypatch.setattr(os, function, lambda *args: next(work)(*args))
    with pytest.raises(OSError, match="run: No space left on device; what was saved before is whole. Make room"):
        save_three(checkpoint)
    monkeypatch.undo()
    # The last call of fsync comes after the renaming that makes the save count.
    counts = (function, call) == ("fsync", 5)
    assert counts or contents(tmp_path / "run") == before
    check_whole(tmp_path / "run", RUN, 3 if counts else 2)


def test_a_run_goes_on_after_room_was_made(tmp_path, monkeypatch):
    checkpoint = saved(tmp_path / "run", 2)
    with monkeypatch.context() as patched, pytest.raises(OSError, match="No space left"):
        patched.setattr(os, "fsync", run_out_of_space)
        save_three(checkpoint)
    save_three(checkpoint)
    check_whole(tmp_path / "run", RUN, 3)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("name", ["checkpoint.json", "state-000002.safetensors", "blocks-000001.safetensors"])
def test_a_damaged_file_is_named(name, tmp_path):
    checkpoint = saved(tmp_path / "run", 2)
    flip(tmp_path / "run" / name)
    with pytest.raises(ValueError, match=f"{name} .*remove the folder to start afresh"):
        checkpoint.load()
    (tmp_path / "run" / name).unlink()
    with pytest.raises(ValueError, match=f"{name} is missing"):
        checkpoint.load()
    if name == "checkpoint.json":
        with pytest.raises(FileExistsError, match="it has no checkpoint.json"):
            Checkpoint(tmp_path / "run", RUN)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not whole"),
        ("[1]", "was not written by a checkpoint"),
        ('{"format": 9, "checksum": ""}', "format 9, and this version reads 1"),
    ],
)
def test_a_foreign_manifest_is_refused(text, message, tmp_path):
    (tmp_path / "checkpoint.json").write_text(text)
    with pytest.raises(ValueError, match=f"checkpoint.json .*{message}"):
        Checkpoint(tmp_path, RUN)
