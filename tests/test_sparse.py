"""Rows that are mostly zeros: read from files, streamed, and never made dense all at once."""

import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.io
import scipy.sparse
import torch

import inference
import zoo
from inference import as_table
from inference.rows import sparse, stream
from inference.rows.files import read_file
from inference.rows.sparse import SparseSource
from inference.rows.stream import Rows, as_stream

COUNTS = scipy.sparse.csr_matrix(np.array([[0, 2, 1], [0, 0, 0], [3, 0, 1]]))
LDAC = "2 2:1 1:2\n0\n2 0:3 2:1\n"


def write_ldac(folder: Path) -> Path:
    (folder / "texts.ldac").write_text(LDAC)
    return folder / "texts.ldac"


def write_mtx(folder: Path) -> Path:
    scipy.io.mmwrite(folder / "texts.mtx", COUNTS)
    return folder / "texts.mtx"


def write_npz(folder: Path) -> Path:
    scipy.sparse.save_npz(folder / "texts.npz", COUNTS)
    return folder / "texts.npz"


@pytest.mark.parametrize("write", [write_ldac, write_mtx, write_npz])
def test_a_file_of_sparse_rows_is_read_whole_or_streamed(write, tmp_path):
    path = write(tmp_path)
    np.testing.assert_array_equal(as_table(path).x, COUNTS.toarray())
    rows = as_stream(str(path))
    assert rows.shape == (3, 3)
    np.testing.assert_array_equal(rows.head(3).x, COUNTS.toarray())


def test_words_beside_a_file_of_counts_name_its_columns(tmp_path):
    (tmp_path / "texts.tokens").write_text("cat\ndog\nsea\nship\n")
    table = as_table(write_ldac(tmp_path))
    assert table.columns == ["cat", "dog", "sea", "ship"]
    assert table.frame
    assert table.x.tolist() == [[0, 2, 1, 0], [0, 0, 0, 0], [3, 0, 1, 0]]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("texts.ldac", "1 0:2\n2 0:1 1:1 3\n", "line 2 is not a number of words"),
        ("texts.ldac", "1 0:2\n\n", "line 2 is not a number of words"),
        ("texts.ldac", "1 0:2\n3 0:1 1:1\n", "line 2 says first how many words it has"),
        ("texts.ldac", "1 0:2\n1 7:1\n", "line 2 has a word that is not among the 2 of the vocabulary"),
        ("texts.ldac", "1 -1:2\n", "line 1 has a word that is not among the 2"),
        ("texts.ldac", "1 0:2.5\n", "'2.5'"),
        ("texts.mtx", "no header\n", "cannot be read"),
    ],
)
def test_what_is_no_such_file_is_refused(name, text, words, tmp_path):
    (tmp_path / "texts.tokens").write_text("cat\ndog\n")
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=words) as caught:
        as_table(tmp_path / name)
    assert name in str(caught.value)


def test_rows_too_many_to_be_dense_say_what_to_do(monkeypatch):
    monkeypatch.setattr(sparse, "CELLS", 50)
    with pytest.raises(ValueError, match="60 sparse rows of 1 columns.*batch="):
        as_table(scipy.sparse.csr_matrix(np.ones((60, 1))))


@pytest.mark.parametrize("frame", [False, True], ids=["matrix", "frame"])
def test_a_fit_by_batches_sees_no_more_rows_at_a_time_than_it_must(frame, monkeypatch):
    counts = scipy.sparse.csr_matrix(np.random.default_rng(0).poisson(0.2, size=(900, 40)))
    monkeypatch.setattr(sparse, "CELLS", 1000)
    monkeypatch.setattr(stream, "CELLS", 4000)
    seen = []
    monkeypatch.setattr(Rows, "_alike", lambda self, rows, values, usual=Rows._alike: seen.append(len(rows)) or usual(self, rows, values))
    x = pd.DataFrame.sparse.from_spmatrix(counts) if frame else counts
    pair = zoo.create("lda", x, topics=3)
    posterior = inference.svi(pair, x, batch=30, steps=20, device="cpu", compile=False)
    assert posterior.table is None
    assert len(seen) > 20
    assert max(seen) == 100  # 4000 numbers of 40 columns, for the start
    assert set(seen) == {30, 100}
    with pytest.raises(ValueError, match="900 sparse rows"):
        posterior.encode(x)


@pytest.mark.parametrize("x", [scipy.sparse.csr_matrix((0, 3)), scipy.sparse.csr_matrix(np.eye(2) * 1j)], ids=["empty", "complex"])
def test_a_matrix_without_numbers_is_refused(x):
    with pytest.raises(ValueError, match="no numbers to fit"):
        SparseSource(x)


def _large(folder: Path, compressed: bool = False) -> tuple[Path, scipy.sparse.csr_matrix]:
    counts = scipy.sparse.csr_matrix(np.random.default_rng(0).poisson(0.1, size=(20_000, 300)).astype(np.uint8))
    scipy.sparse.save_npz(folder / "texts.npz", counts, compressed=compressed)
    return folder / "texts.npz", counts


def test_counts_that_are_saved_uncompressed_stay_on_disk(tmp_path):
    path, counts = _large(tmp_path)
    rows = as_stream(path)
    tracemalloc.start()
    again, batch = as_stream(path), next(as_stream(path).batches(5, seed=3))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.25 * path.stat().st_size
    assert torch.equal(batch, next(rows.batches(5, seed=3)))
    np.testing.assert_array_equal(again.head(7).x, counts[np.arange(7) * 20_000 // 7].toarray())
    assert isinstance(read_file(path).data, np.memmap)
    packed, _ = _large(tmp_path, compressed=True)
    assert not isinstance(read_file(packed).data, np.memmap)
    assert torch.equal(next(as_stream(packed).batches(5, seed=3)), batch)


@pytest.mark.parametrize("saved", [scipy.sparse.csc_matrix, scipy.sparse.coo_matrix])
def test_a_matrix_by_columns_is_read_all_the_same(saved, tmp_path):
    scipy.sparse.save_npz(tmp_path / "texts.npz", saved(COUNTS), compressed=False)
    np.testing.assert_array_equal(as_table(tmp_path / "texts.npz").x, COUNTS.toarray())


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"indptr": np.array([0, 2, 2])}, "2 columns and 3 rows' starts|do not fit together"),
        ({"data": np.ones(2)}, "do not fit together"),
        ({"data": np.ones((2, 2))}, r"data\.npy is of float64, shape \(2, 2\)"),
        ({"indices": np.array([1, 2, 0, 7])}, "a number in column 7, and there are 3 columns"),
        ({"indices": COUNTS.indices.astype(float)}, "its columns are of float64"),
        ({"indptr": np.array([0, 3, 2, 4])}, "do not fit together"),
        ({"shape": np.array(3)}, "its shape is 3, and a matrix has two axes"),
        ({"indices": None}, "it has no 'indices'"),
    ],
)
def test_a_file_whose_arrays_contradict_each_other_is_refused(changed, said, tmp_path):
    arrays = {"data": COUNTS.data, "indices": COUNTS.indices, "indptr": COUNTS.indptr, "shape": COUNTS.shape, "format": b"csr"}
    np.savez(tmp_path / "texts.npz", **{name: array for name, array in (arrays | changed).items() if array is not None})
    with pytest.raises(ValueError, match=said):
        as_table(tmp_path / "texts.npz")


def test_numbers_in_another_machines_order_of_bytes_are_read(tmp_path):
    scipy.sparse.save_npz(tmp_path / "texts.npz", COUNTS, compressed=False)
    arrays = dict(np.load(tmp_path / "texts.npz"))
    np.savez(tmp_path / "texts.npz", **arrays | {"data": arrays["data"].astype(">f8")})
    np.testing.assert_array_equal(as_table(tmp_path / "texts.npz").x, COUNTS.toarray())
