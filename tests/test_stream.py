"""Rows that are streamed: each once an epoch, in an order that the seed fixes, without holding them all."""

import itertools
import math
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, RandomSampler, TensorDataset, WeightedRandomSampler

from inference import parquet, stream
from inference.parquet import ParquetSource
from inference.stream import Rows, as_stream


def numbered(count: int) -> np.ndarray:
    """(count, 3): the first column says which row it is."""
    return np.stack([np.arange(count), np.sin(np.arange(count)), np.ones(count)], 1)


def mapped(folder: Path, array: np.ndarray) -> np.memmap:
    np.save(folder / "rows.npy", array)
    return np.load(folder / "rows.npy", mmap_mode="r")


def written(folder: Path, frame: pd.DataFrame, group: int) -> Path:
    frame.to_parquet(folder / "rows.parquet", row_group_size=group, index=False)
    return folder / "rows.parquet"


class Items(Dataset):
    def __init__(self, items: list) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, i: int) -> object:
        return self.items[i]


def make(kind: str, folder: Path, array: np.ndarray) -> Rows:
    if kind == "memmap":
        return as_stream(mapped(folder, array))
    if kind == "parquet":
        return Rows(ParquetSource(written(folder, pd.DataFrame(array, columns=list("abc")), group=7)))
    dataset = TensorDataset(torch.as_tensor(array), torch.zeros(len(array)))
    return as_stream(dataset if kind == "dataset" else DataLoader(dataset, batch_size=5, shuffle=True))


KINDS = ["memmap", "parquet", "dataset", "loader"]


def taken(rows: Rows, size: int, seed: int, count: int, start: int = 0) -> list[Tensor]:
    return list(itertools.islice(rows.batches(size, seed, start), count))


@pytest.fixture(autouse=True)
def small_pools(monkeypatch):
    monkeypatch.setattr(parquet, "POOL", 40)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("count", "size"), [(1, 1), (5, 5), (12, 4), (50, 7), (33, 1), (33, 32)])
def test_each_row_comes_once_an_epoch(kind, count, size, tmp_path):
    array = numbered(count)
    rows = make(kind, tmp_path, array)
    assert (len(rows), rows.shape, rows.row_shape) == (count, (count, 3), (3,))
    each, epochs = count // size, []
    batches = rows.batches(size, seed=3)
    for _ in range(3):
        x = torch.cat(list(itertools.islice(batches, each)))
        assert x.shape == (each * size, 3)
        assert len(set(x[:, 0].tolist())) == each * size
        np.testing.assert_array_equal(x, array[x[:, 0].long().numpy()])
        epochs.append(x[:, 0].tolist())
    if count > 10 and count != size:
        assert epochs[0] != epochs[1] != epochs[2], "the epochs have one order"
    if count % size:
        assert len({row for epoch in epochs for row in epoch}) > each * size, "every epoch drops the same rows"


@pytest.mark.parametrize("kind", KINDS)
def test_the_seed_fixes_the_order_and_a_run_goes_on_in_it(kind, tmp_path):
    rows = make(kind, tmp_path, numbered(50))
    first = taken(rows, 6, seed=1, count=30)
    assert all(map(torch.equal, first, taken(rows, 6, seed=1, count=30)))
    assert not all(map(torch.equal, first, taken(rows, 6, seed=2, count=30)))
    for start in range(20):
        assert all(map(torch.equal, first[start:], taken(rows, 6, 1, 30 - start, start))), f"it goes on differently at {start}"


@pytest.mark.parametrize("kind", KINDS)
def test_reading_leaves_torchs_random_numbers_alone(kind, tmp_path):
    state = torch.get_rng_state()
    rows = make(kind, tmp_path, numbered(20))
    taken(rows, 6, seed=1, count=5)
    rows.head(3)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("kind", KINDS)
def test_the_head_is_spread_over_the_rows(kind, tmp_path):
    array = numbered(1000)
    head = make(kind, tmp_path, array).head(30)
    where = head.x[:, 0].numpy()
    assert len(head) == 30
    assert list(head.index) == list(where)
    assert where.max() > 900
    assert np.diff(where).min() > 0
    assert np.diff(where).max() < 100
    np.testing.assert_array_equal(head.x, array[where.astype(int)])
    assert head.frame is (kind == "parquet")
    assert head.columns == (["a", "b", "c"] if kind == "parquet" else ["0", "1", "2"])
    assert len(make(kind, tmp_path, numbered(4)).head(30)) == 4


def test_minibatch_means_have_no_bias(tmp_path):
    values = np.sort(np.random.default_rng(0).exponential(size=(200, 1)), axis=0)
    for rows in (as_stream(mapped(tmp_path, values)), Rows(ParquetSource(written(tmp_path, pd.DataFrame(values, columns=["v"]), 8)))):
        means = torch.stack([next(rows.batches(16, seed)).mean() for seed in range(200)])
        assert abs(means.mean() - values.mean()) < 4 * means.std() / math.sqrt(len(means))


def peak(rows: Rows) -> int:
    taken(rows, 64, seed=0, count=2)
    tracemalloc.start()
    rows.head(200)
    taken(rows, 64, seed=0, count=50, start=1000)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most


def test_memory_does_not_grow_with_the_rows_of_a_memory_map(tmp_path):
    peaks = []
    for count in (10**5, 10**6):
        array = np.lib.format.open_memmap(tmp_path / "rows.npy", "w+", np.float32, (count, 16))
        peaks.append(peak(as_stream(array)))
    assert peaks[1] < 1.2 * peaks[0]
    assert peaks[1] < 3_000_000


def test_memory_does_not_grow_with_the_rows_of_a_parquet_file(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "POOL", 4000)
    peaks = []
    for count in (65_000, 260_000):
        rows = Rows(ParquetSource(written(tmp_path, pd.DataFrame({"a": np.zeros(count, np.float32)}), 1000)))
        peaks.append(peak(rows))
    assert peaks[1] < 1.2 * peaks[0]


def test_a_resumed_parquet_run_reads_no_pool_before(tmp_path, monkeypatch):
    rows, read = Rows(ParquetSource(written(tmp_path, pd.DataFrame(numbered(700)), 7))), []
    real = ParquetSource._group
    monkeypatch.setattr(ParquetSource, "_group", lambda self, *args: read.append(args) or real(self, *args))
    taken(rows, 10, seed=0, count=1, start=69)
    assert len(read) <= 3


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", KINDS)
def test_numbers_become_torchs_default_dtype_and_nan_is_kept(dtype, kind, tmp_path):
    array = numbered(12)
    array[4, 1] = np.nan
    torch.set_default_dtype(dtype)
    rows = make(kind, tmp_path, array)
    x = torch.cat(taken(rows, 4, seed=0, count=3))
    assert x.dtype == rows.head(3).x.dtype == dtype
    assert x[x.isnan().any(1)][0, 0] == 4
    assert int(x.isnan().sum()) == 1


@pytest.mark.parametrize("dtype", ["i4", "u1", "?", ">f8", "f2"])
def test_every_kind_of_number_in_a_memory_map(dtype, tmp_path):
    rows = as_stream(mapped(tmp_path, np.array([[1, 0], [0, 1], [1, 1]], dtype)))
    assert torch.equal(rows.head(9).x, torch.tensor([[1.0, 0], [0, 1], [1, 1]]))


def test_one_dimension_is_one_column_and_images_keep_their_shape(tmp_path):
    assert as_stream(mapped(tmp_path, np.arange(5.0))).shape == (5, 1)
    assert as_stream(mapped(tmp_path, np.zeros((5, 2, 3)))).shape == (5, 2, 3)
    assert as_stream(Items([torch.tensor(1.0), torch.tensor(2.0)])).shape == (2, 1)
    assert next(as_stream(Items([torch.zeros(2, 3)] * 4)).batches(2, 0)).shape == (2, 2, 3)
    assert as_stream(Items([np.zeros(3)] * 2)).shape == (2, 3)


def test_a_loaders_workers_and_collate_are_used():
    loader = DataLoader(Items(list(range(10))), batch_size=3, num_workers=1, collate_fn=lambda items: torch.tensor(items)[:, None] * 2)
    rows = as_stream(loader)
    assert sorted(torch.cat(taken(rows, 5, seed=0, count=2))[:, 0].tolist()) == list(range(0, 20, 2))


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
