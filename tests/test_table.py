"""Rows are read from whatever a user holds them in."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch

import inference
import zoo
from inference import as_table

ROWS = [[1.0, 2.0], [3.0, float("nan")], [5.0, 6.0]]
FRAME = pd.DataFrame(ROWS, columns=["left", "right"])


def same(x: torch.Tensor, expected: object) -> bool:
    wanted = torch.as_tensor(expected, dtype=x.dtype)
    return x.shape == wanted.shape and torch.equal(x.nan_to_num(-1e9), wanted.nan_to_num(-1e9))


def write_csv(folder: Path) -> Path:
    FRAME.to_csv(folder / "rows.csv", index=False)
    return folder / "rows.csv"


def write_parquet(folder: Path) -> Path:
    FRAME.to_parquet(folder / "rows.parquet")
    return folder / "rows.parquet"


def write_npy(folder: Path) -> Path:
    np.save(folder / "rows.npy", np.array(ROWS))
    return folder / "rows.npy"


def write_npz(folder: Path) -> Path:
    np.savez(folder / "rows.npz", rows=np.array(ROWS))
    return folder / "rows.npz"


@pytest.mark.parametrize(
    "x",
    [FRAME, ROWS, tuple(map(tuple, ROWS)), np.array(ROWS), np.array(ROWS, dtype=np.float32), torch.tensor(ROWS)],
    ids=["frame", "lists", "tuples", "array", "float32 array", "tensor"],
)
def test_the_same_rows_in_every_form_are_the_same_table(x):
    table = as_table(x)
    assert same(table.x, ROWS)
    assert table.x.dtype == torch.float64
    assert len(table) == 3


@pytest.mark.parametrize("write", [write_csv, write_parquet, write_npy, write_npz])
@pytest.mark.parametrize("form", [str, Path])
def test_files(write, form, tmp_path):
    table = as_table(form(write(tmp_path)))
    assert same(table.x, ROWS)
    named = write in (write_csv, write_parquet)
    assert table.frame is named
    assert table.columns == (["left", "right"] if named else ["0", "1"])


def test_the_ending_of_a_file_may_be_in_capitals(tmp_path):
    assert same(as_table(write_csv(tmp_path).rename(tmp_path / "ROWS.CSV")).x, ROWS)


def test_a_file_of_whole_numbers_and_holes(tmp_path):
    (tmp_path / "rows.csv").write_text('a,"b, quoted",c\n1,2,3\n4,,NA\n\n7,8,9\n')
    table = as_table(tmp_path / "rows.csv")
    assert table.columns == ["a", "b, quoted", "c"]
    assert same(table.x, [[1, 2, 3], [4, np.nan, np.nan], [7, 8, 9]])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 2, 3], [1, 2, 3]),
        (pd.array([1, None, 3], dtype="Int64"), [1, np.nan, 3]),
        (pd.array([0.5, None, 3], dtype="Float64"), [0.5, np.nan, 3]),
        ([True, False, True], [1, 0, 1]),
        (pd.array([True, None, False], dtype="boolean"), [1, np.nan, 0]),
        (pd.Series([1, None, 2.5], dtype=object), [1, np.nan, 2.5]),
        (pd.Series([1, pd.NA, 2.5], dtype=object), [1, np.nan, 2.5]),
        (pd.arrays.SparseArray([0.0, 0.0, 4.0]), [0, 0, 4]),
        (np.array([1, 2, 255], dtype=np.uint8), [1, 2, 255]),
    ],
    ids=["int", "Int64", "Float64", "bool", "boolean", "object with None", "object with NA", "sparse", "uint8"],
)
def test_every_kind_of_number_in_a_column(values, expected):
    table = as_table(pd.DataFrame({"first": [9.0, 9.0, 9.0], "second": values}))
    assert same(table.x, np.stack([[9.0, 9.0, 9.0], expected], 1))


@pytest.mark.parametrize(
    "x",
    [pd.Series([1, 2, 3], name="only"), [1, 2, 3], np.array([1, 2, 3]), torch.tensor([1, 2, 3]), np.array([[1], [2], [3]])],
    ids=["series", "list", "array", "tensor", "one column"],
)
def test_one_dimension_is_one_column(x):
    table = as_table(x)
    assert same(table.x, [[1], [2], [3]])
    assert table.columns == (["only"] if isinstance(x, pd.Series) else ["0"])


@pytest.mark.parametrize("form", [scipy.sparse.csr_matrix, scipy.sparse.csc_array, scipy.sparse.coo_matrix])
def test_sparse_matrices(form):
    table = as_table(form(np.array([[0, 1], [2, 0], [0, 0]])))
    assert same(table.x, [[0, 1], [2, 0], [0, 0]])
    assert table.columns == ["0", "1"]


def test_names_and_index_are_kept():
    index = pd.Index(["mon", "tue", "wed"], name="day")
    table = as_table(FRAME.set_axis(index))
    assert table.columns == ["left", "right"]
    assert table.index.equals(index)
    assert table.frame
    assert table.row(1) == "row 'tue'"


def test_results_are_dressed_like_the_rows():
    values = torch.tensor([[1.0], [2.0], [3.0]])
    dressed = as_table(FRAME.set_axis(["a", "b", "c"])).dress(values, ["mean"])
    pd.testing.assert_frame_equal(dressed, pd.DataFrame({"mean": [1.0, 2.0, 3.0]}, index=["a", "b", "c"]), check_dtype=False)
    assert as_table(ROWS).dress(values, ["mean"]) is values


def test_images_keep_their_shape():
    assert as_table(np.zeros((4, 2, 3))).x.shape == (4, 2, 3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("x", [FRAME, np.array(ROWS), torch.tensor(ROWS, dtype=torch.float64)], ids=["frame", "array", "tensor"])
def test_numbers_become_torchs_default_dtype(dtype, x):
    torch.set_default_dtype(dtype)
    assert as_table(x).x.dtype == dtype


def test_a_table_is_its_own_table():
    table = as_table(FRAME)
    assert as_table(table) is table


def test_what_is_handed_in_is_not_changed():
    array, frame = np.array(ROWS), FRAME.copy()
    as_table(array).x.zero_()
    as_table(frame).x.zero_()
    np.testing.assert_array_equal(array, np.array(ROWS))
    pd.testing.assert_frame_equal(frame, FRAME)


def test_a_tensor_with_a_gradient_is_taken_for_its_numbers():
    assert not as_table(torch.tensor(ROWS, requires_grad=True)).x.requires_grad


def test_a_masked_value_is_missing():
    array = np.ma.masked_array([[1.0, 2.0], [3.0, -999.0]], mask=[[0, 0], [0, 1]])
    assert same(as_table(array).x, [[1, 2], [3, np.nan]])


@pytest.mark.parametrize("x", [torch.eye(3).to_sparse(), torch.eye(3, dtype=torch.bfloat16)], ids=["sparse", "bfloat16"])
def test_tensors_that_numpy_does_not_know(x):
    assert same(as_table(x).x, np.eye(3))


def test_a_column_of_which_single_precision_keeps_too_little_is_not_fitted():
    x = 1.7e9 + 3600 * np.random.default_rng(0).normal(size=(200, 1))
    torch.set_default_dtype(torch.float32)
    for refused in (lambda: zoo.create("gmm", pd.DataFrame(x, columns=["unix"])), lambda: inference.svi(zoo.create("gmm", dim=1), x)):
        with pytest.raises(ValueError, match="varies by 3.*e\\+03 about 1.*take off its mean"):
            refused()
    assert as_table(x - x.mean()).rounded is None
    assert as_table(x[:2]).rounded is None  # rows to ask about, not to learn from
    assert as_table(np.full((20, 1), 79.1) * (1 + 1e-16)).rounded is None
    torch.set_default_dtype(torch.float64)
    assert as_table(x).rounded is None
