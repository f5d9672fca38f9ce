"""Rows that are streamed: each once an epoch, in an order that the seed fixes, without holding them all."""

import itertools
import math
import tracemalloc

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.data import DataLoader

from inference.rows import parquet
from inference.rows.parquet import ParquetSource
from inference.rows.stream import Rows, as_stream
from tests.streamed import KINDS, Items, make, mapped, numbered, taken, written


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
