"""What can be streamed, and what is refused, in words."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, RandomSampler, WeightedRandomSampler

from inference.rows import parquet, stream
from inference.rows.parquet import ParquetSource
from inference.rows.stream import Rows, as_stream
from tests.streamed import KINDS, Items, make, mapped, numbered, taken, written


@pytest.fixture(autouse=True)
def small_pools(monkeypatch):
    monkeypatch.setattr(parquet, "POOL", 40)


@pytest.mark.parametrize("kind", KINDS)
def test_an_infinite_value_is_named_when_it_comes(kind, tmp_path):
    array = numbered(40)
    array[23, 2] = np.inf
    rows = make(kind, tmp_path, array)
    with pytest.raises(ValueError, match=f"column '{'c' if kind == 'parquet' else '2'}', row 23: inf is infinite"):
        taken(rows, 4, seed=0, count=10)


def test_text_in_a_parquet_file_is_named(tmp_path):
    frame = pd.DataFrame({"a": np.arange(20.0), "b": ["1"] * 19 + ["many"]})
    with pytest.raises(ValueError, match="column 'b' holds"):
        taken(Rows(ParquetSource(written(tmp_path, frame, 5))), 4, seed=0, count=5)
    dates = pd.DataFrame({"a": np.arange(3.0), "when": pd.to_datetime(["2020-01-01"] * 3)})
    with pytest.raises(ValueError, match="column 'when' holds datetime64.*not numbers; drop it or encode it"):
        ParquetSource(written(tmp_path, dates, 5))


def test_large_files_are_streamed_and_small_ones_are_not(tmp_path, monkeypatch):
    path, array = written(tmp_path, pd.DataFrame(numbered(30)), 7), mapped(tmp_path, numbered(30))
    (tmp_path / "rows.csv").write_text("a\n1\n" * 100)
    paths = [path, str(tmp_path / "rows.npy")]
    assert [as_stream(p) for p in paths] == [None, None]
    monkeypatch.setattr(stream, "LARGE", 100)
    assert [as_stream(p).shape for p in paths] == [array.shape] * 2
    assert as_stream(tmp_path / "rows.csv") is None
    assert as_stream(tmp_path / "gone.npy") is None
    for p in paths:
        Path(p).write_bytes(b"no such thing" * 10)
        with pytest.raises(ValueError, match=f"{Path(p).name} cannot be read"):
            as_stream(p)


@pytest.mark.parametrize("x", [numbered(3), pd.DataFrame(numbered(3)), torch.zeros(3), [1.0, 2.0], None, "nowhere"])
def test_other_things_are_no_stream(x):
    assert as_stream(x) is None


def test_a_stream_is_its_own_stream():
    rows = as_stream(Items([torch.zeros(2)]))
    assert as_stream(rows) is rows


class Endless(IterableDataset):
    def __iter__(self):
        return iter(torch.zeros(5))


class NoLength(Dataset):
    def __getitem__(self, i):
        return torch.zeros(2)


FOUR = Items([torch.zeros(2)] * 4)


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (lambda: Endless(), TypeError, "Endless has no numbered items.*__len__ and __getitem__"),
        (lambda: DataLoader(Endless()), TypeError, "Endless has no numbered items"),
        (lambda: NoLength(), TypeError, "NoLength has no numbered items"),
        (lambda: Items([]), ValueError, "Items is empty"),
        (lambda: Items([[1.0, 2.0]]), TypeError, r"item 0 is the list \[1.0, 2.0\]; an item must be a row"),
        (lambda: Items([{"a": torch.zeros(2)}]), TypeError, "rows 0 to 0 of Items are no tensor of numbers but dict"),
        (lambda: Items(["text"]), TypeError, "rows 0 to 0 of Items are no tensor of numbers but str"),
        (lambda: Items([None]), ValueError, "rows 0 to 0 of Items cannot be read or put together.*NoneType"),
        (lambda: DataLoader(FOUR, sampler=WeightedRandomSampler([1.0] * 4, 4)), ValueError, "a way of its own .WeightedRandomSampler"),
        (lambda: DataLoader(FOUR, sampler=RandomSampler(FOUR, replacement=True)), ValueError, "a way of its own .RandomSampler"),
        (lambda: DataLoader(FOUR, sampler=RandomSampler(FOUR, num_samples=2)), ValueError, "a way of its own .RandomSampler"),
        (lambda: DataLoader(FOUR, batch_size=None), ValueError, "a way of its own"),
    ],
    ids=["iterable", "its loader", "no length", "empty", "list", "dict", "text", "none", "weighted", "replacing", "fewer", "unbatched"],
)
def test_data_sets_that_are_no_rows_are_refused(x, error, message):
    with pytest.raises(error, match=message):
        as_stream(x())


def test_rows_of_another_shape_are_refused():
    mixed = as_stream(Items([torch.zeros(2), torch.zeros(2), torch.zeros(3)]))
    with pytest.raises(ValueError, match="rows 0 to 2 of Items cannot be read or put together.*stack.*tensors of one shape"):
        next(mixed.batches(3, 0))
    late = as_stream(Items([torch.zeros(2)] + [torch.zeros(3)] * 9))
    with pytest.raises(ValueError, match=r"have shape \(3,\), and the first has \(2,\)"):
        taken(late, 1, 0, 10)


@pytest.mark.parametrize("array", [np.zeros(3, "M8[D]"), np.zeros((3, 2), complex), np.array([["a"]])])
def test_a_memory_map_without_numbers_is_refused(array, tmp_path):
    with pytest.raises(ValueError, match="has no numbers to fit"):
        as_stream(mapped(tmp_path, array))


def test_batches_out_of_range_are_refused():
    rows = as_stream(FOUR)
    with pytest.raises(ValueError, match="batch=5 is more than the 4 rows"):
        rows.batches(5, 0)
    for arguments, message in [((0, 0), "batch=0"), ((2, -1), "seed=-1"), ((2, 0, -1), "start=-1"), ((2.0, 0), "batch=2.0")]:
        with pytest.raises(ValueError, match=f"{message} must be a whole number"):
            rows.batches(*arguments)
