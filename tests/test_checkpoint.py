"""What a checkpoint keeps comes back as it was, and is never mistaken for that of another run."""

import json
import os
import pickle
import time
from pathlib import Path

import pytest
import torch

from inference.saving.checkpoint import Checkpoint, fingerprint

RUN = {"method": "svi", "settings": {"steps": 100, "batch": None, "lr": 0.05}, "seed": 3}


def contents(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir()}


def saved(folder: Path, steps: int) -> Checkpoint:
    checkpoint = Checkpoint(folder, RUN)
    for step in range(1, steps + 1):
        checkpoint.save({"at": torch.tensor(step)}, {"step": step}, {"draws": torch.full((2, 3), float(step))})
    return checkpoint


def check_whole(folder: Path, run: dict, step: int) -> None:
    tensors, record = Checkpoint(folder, run).load()
    assert record == {"step": step}
    assert tensors["at"] == step
    assert torch.equal(tensors["draws"], torch.arange(1.0, step + 1).repeat_interleave(2)[:, None].expand(-1, 3))


VIEW = torch.arange(12.0).reshape(3, 4)


@pytest.mark.parametrize(
    "value",
    [
        torch.tensor([True, False]),
        torch.tensor([[1, -2], [3, 2**62]]),
        torch.tensor([0.1, float("nan"), float("inf")], dtype=torch.float64),
        torch.rand(3, 2, dtype=torch.float32),
        torch.rand(4, dtype=torch.bfloat16),
        torch.tensor(2.5),
        torch.tensor(7),
        torch.empty(0, 3),
        VIEW.T,
        VIEW[:, 1],
        torch.ones(1).expand(5),
        torch.nn.Parameter(torch.ones(2)),
        torch.get_rng_state(),
    ],
    ids=[
        "bool",
        "int64",
        "float64",
        "float32",
        "bfloat16",
        "0-dim",
        "0-dim int",
        "empty",
        "transposed",
        "slice",
        "expanded",
        "parameter",
        "rng",
    ],
)
def test_every_tensor_comes_back_as_it_was(value, tmp_path):
    Checkpoint(tmp_path / "run", RUN).save({"v": value, "same memory": value}, {}, {"b": value[None], "a": value[None]})
    tensors, record = Checkpoint(tmp_path / "run", RUN).load()
    assert list(tensors) == ["v", "same memory", "b", "a"]
    for name, expected in {"v": value, "same memory": value, "b": value[None], "a": value[None]}.items():
        assert tensors[name].dtype == expected.dtype
        assert tensors[name].shape == expected.shape
        torch.testing.assert_close(tensors[name], expected.detach(), rtol=0, atol=0, equal_nan=True)
        tensors[name].add_(1) if value.dtype != torch.bool else tensors[name].logical_not_()
    assert record == {}


@pytest.mark.gpu
def test_tensors_on_a_gpu(tmp_path):
    value = torch.rand(3, device="cuda")
    Checkpoint(tmp_path / "run", RUN).save({"v": value}, {})
    tensors, _ = Checkpoint(tmp_path / "run", RUN).load()
    assert torch.equal(tensors["v"], value.cpu())
    assert fingerprint(value) == fingerprint(value.cpu())


def test_the_record_comes_back_as_it_was(tmp_path):
    record = {"step": 3, "rate": 0.1, "stopped": None, "losses": [1.5, float("inf")], "settling": {"best": -1e-300}}
    Checkpoint(tmp_path / "run", RUN).save({}, record)
    assert Checkpoint(tmp_path / "run", RUN).load() == ({}, record)


def test_nothing_saved_is_none(tmp_path):
    assert Checkpoint(tmp_path / "new" / "run", RUN).load() is None
    (tmp_path / "empty").mkdir()
    assert Checkpoint(tmp_path / "empty", RUN).load() is None


def test_blocks_grow_and_are_written_once(tmp_path):
    checkpoint = Checkpoint(tmp_path, RUN)
    checkpoint.save({"at": torch.tensor(1)}, {"step": 1}, {"draws": torch.zeros(2, 3)})
    first = contents(tmp_path)["blocks-000001.safetensors"]
    os.utime(tmp_path / "blocks-000001.safetensors", (1, 1))
    checkpoint.save({"at": torch.tensor(2)}, {"step": 2})
    checkpoint.save({"at": torch.tensor(3)}, {"step": 3}, {"draws": torch.ones(1, 3), "late": torch.ones(4)})
    assert contents(tmp_path).keys() == {
        "checkpoint.json",
        "state-000003.safetensors",
        "blocks-000001.safetensors",
        "blocks-000003.safetensors",
    }
    assert contents(tmp_path)["blocks-000001.safetensors"] == first
    assert (tmp_path / "blocks-000001.safetensors").stat().st_mtime == 1
    tensors, _ = checkpoint.load()
    assert torch.equal(tensors["draws"], torch.tensor([[0.0] * 3, [0.0] * 3, [1.0] * 3]))
    assert tensors["late"].shape == (4,)


def test_a_save_is_due_after_so_many_seconds(tmp_path):
    assert Checkpoint(tmp_path / "always", RUN, every=0).due
    checkpoint = Checkpoint(tmp_path / "run", RUN, every=0.2)
    assert not checkpoint.due
    time.sleep(0.21)
    assert checkpoint.due
    checkpoint.save({}, {})
    assert not checkpoint.due
    with pytest.raises(ValueError, match="every=-1 must be a number of seconds, 0 or more"):
        Checkpoint(tmp_path / "run", RUN, every=-1)


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ({"seed": 4}, ["seed is 3 there and 4 here"]),
        ({"settings": {"steps": 100, "batch": 10, "lr": 0.05}}, ["settings.batch is None there and 10 here"]),
        ({"settings": {"steps": 100, "batch": None, "lr": float("nan")}}, ["settings.lr is 0.05 there and nan here"]),
        ({"settings": {"steps": 100, "batch": None}}, ["settings.lr is 0.05 there and absent here"]),
        ({"rows": "f00"}, ["rows is absent there and 'f00' here"]),
    ],
    ids=["seed", "nested", "nan", "absent here", "absent there"],
)
def test_another_run_is_refused(change, parts, tmp_path):
    saved(tmp_path / "run", 1)
    before = contents(tmp_path / "run")
    with pytest.raises(ValueError, match="is of another run") as caught:
        Checkpoint(tmp_path / "run", RUN | change)
    assert all(part in str(caught.value) for part in [*parts, "tmp", "choose another folder"]), str(caught.value)
    assert contents(tmp_path / "run") == before


def test_the_same_run_is_the_same_in_other_words(tmp_path):
    run = RUN | {"nan": float("nan"), "pair": {"sizes": [1, 2]}}
    Checkpoint(tmp_path / "run", run)
    assert Checkpoint(tmp_path / "run", dict(reversed(run.items())) | {"pair": {"sizes": (1, 2)}, "seed": 3.0}).load() is None


def test_other_folders_are_refused_and_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(FileExistsError, match="is not a checkpoint: it has no checkpoint.json; choose another folder"):
        Checkpoint(tmp_path, RUN)
    with pytest.raises(FileExistsError, match="notes.txt exists and is not a checkpoint"):
        Checkpoint(tmp_path / "notes.txt", RUN)
    with pytest.raises(OSError, match="cannot write to .*notes.txt is not a folder"):
        Checkpoint(tmp_path / "notes.txt" / "run", RUN)
    assert contents(tmp_path) == {"notes.txt": b"hello"}


def test_files_of_others_are_left_alone(tmp_path):
    saved(tmp_path / "run", 1)
    (tmp_path / "run" / "notes.partial").write_text("hello")
    check_whole(tmp_path / "run", RUN, 1)
    assert (tmp_path / "run" / "notes.partial").read_text() == "hello"


def test_only_the_run_that_opened_it_last_saves(tmp_path):
    first = saved(tmp_path / "run", 1)
    saved(tmp_path / "run", 0)
    with pytest.raises(ValueError, match="another run has opened the checkpoint .*run since; give each run a folder of its own"):
        first.save({}, {})
    check_whole(tmp_path / "run", RUN, 1)


def test_what_cannot_be_kept_is_refused(tmp_path):
    with pytest.raises(TypeError, match="run must hold plain JSON values.*Tensor"):
        Checkpoint(tmp_path / "run", {"x": torch.ones(1)})
    checkpoint = saved(tmp_path / "run", 2)
    with pytest.raises(TypeError, match="record must hold plain JSON values.*Tensor"):
        checkpoint.save({}, {"loss": torch.ones(1)})
    with pytest.raises(ValueError, match="the block 'a' is also a tensor"):
        checkpoint.save({"a": torch.ones(1)}, {}, {"a": torch.ones(1)})
    with pytest.raises(ValueError, match="the block 'a' has no axis to grow along"):
        checkpoint.save({}, {}, {"a": torch.tensor(1.0)})
    check_whole(tmp_path / "run", RUN, 2)


def test_no_file_is_a_pickle(tmp_path):
    saved(tmp_path / "run", 2)
    for name, data in contents(tmp_path / "run").items():
        with pytest.raises((pickle.UnpicklingError, ValueError, KeyError, EOFError, IndexError)):
            pickle.loads(data)
        assert name == "checkpoint.json" or json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])


def test_a_fingerprint_tells_rows_apart():
    x = torch.arange(6.0)
    others = [x.reshape(2, 3), x.reshape(3, 2), x.float(), x + 1, x[:5], torch.tensor(0.0), torch.empty(0), x.reshape(2, 3).T]
    assert len({fingerprint(v) for v in [x, *others]}) == 1 + len(others)
    assert fingerprint(x.reshape(2, 3).T) == fingerprint(x.reshape(2, 3).T.contiguous())
    assert fingerprint(x.bfloat16()) != fingerprint(x)
