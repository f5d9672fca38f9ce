"""Bad rows and files are refused before any work, by a message that names the value, the place and the way out."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import inference
import zoo
from tests.doors import FRAME, changed, refused

pytestmark = pytest.mark.usefixtures("no_work")


DOORS: dict[str, Callable[[Any], Any]] = {
    "create": lambda x: zoo.create("gmm", x),
    "svi": lambda x: inference.svi(zoo.create("gmm", dim=2), x),
    "mcmc": lambda x: inference.mcmc(zoo.create("gmm", dim=2), x),
}


BAD_ROWS = {
    "empty": (FRAME.iloc[:0], ValueError, ["empty", "no rows"]),
    "empty list": ([], ValueError, ["empty", "no rows"]),
    "no columns": (FRAME[[]], ValueError, ["no values", "(5, 0)"]),
    "text": (changed("b", "x", "four"), ValueError, ["column 'b'", "'four'", "row 'x'", "drop the column or encode it"]),
    "infinite": (changed("b", "w", -np.inf), ValueError, ["column 'b'", "row 'w'", "-inf", "infinite", "remove it", "NaN"]),
    "infinite in an array": (np.array([[1.0, 2.0], [np.inf, 1.0]]), ValueError, ["column '0'", "row 1", "infinite"]),
    "column of nothing": (FRAME.assign(b=np.nan), ValueError, ["column 'b'", "no value", "drop it"]),
    "row of nothing": (FRAME.drop("y").reindex(FRAME.index), ValueError, ["row 'y'", "no value", "1 such", "drop it"]),
    "one row": (FRAME.iloc[:1], ValueError, ["1 row cannot", "spread"]),
    "constant": (FRAME.assign(b=7.25), ValueError, ["column 'b'", "constant", "7.25", "drop it"]),
    "constant but for holes": (FRAME.assign(b=[7.25, np.nan, 7.25, 7.25, np.nan]), ValueError, ["column 'b'", "constant", "7.25"]),
    "three axes": (np.arange(40.0).reshape(5, 4, 2), ValueError, ["(5, 4, 2)", "table", "flatten"]),
    "a number": (np.array(3.0), ValueError, ["single number", "not rows"]),
    "repeated column": (pd.DataFrame([[1, 2], [2, 1]], columns=["a", "a"]), ValueError, ["column 'a'", "twice", "rename or drop"]),
    "dates": (FRAME.assign(b=pd.date_range("2020-01-01", periods=5)), ValueError, ["column 'b'", "datetime64", "drop it or encode it"]),
    "categories": (FRAME.assign(b=pd.Categorical(list("uuvvu"))), ValueError, ["column 'b'", "category", "drop it or encode it"]),
    "complex": (FRAME.assign(b=1j), ValueError, ["column 'b'", "complex128", "drop it or encode it"]),
    "array of text": (np.array([["a", "b"]]), ValueError, ["<U1", "convert it", "DataFrame"]),
    "list with None": ([[1.0, None], [2.0, 3.0]], ValueError, ["object", "convert it", "DataFrame"]),
    "ragged": ([[1.0, 2.0], [3.0]], ValueError, ["rows", "length"]),
    "dict": ({"a": [1.0]}, TypeError, ["dict", "DataFrame", "array", "file"]),
}


@pytest.mark.parametrize("case", BAD_ROWS)
@pytest.mark.parametrize("door", DOORS)
def test_bad_rows(case, door):
    x, error, parts = BAD_ROWS[case]
    refused(error, lambda: DOORS[door](x), *parts)


@pytest.mark.parametrize("door", ["svi", "mcmc"])
def test_no_rows_at_all(door):
    refused(TypeError, lambda: DOORS[door](None), "NoneType", "DataFrame")


@pytest.mark.parametrize("x", [FRAME.assign(c=[1, 2, 3, 5, 4]), FRAME[["b"]]], ids=["too many", "too few"])
@pytest.mark.parametrize("door", ["svi", "mcmc"])
def test_wrong_number_of_columns(x, door):
    refused(ValueError, lambda: DOORS[door](x), "2 columns", f"these have {x.shape[1]}", ", ".join(x.columns))


@pytest.mark.parametrize("door", ["create", "svi", "mcmc"])
def test_more_components_than_rows(door):
    doors = {
        "create": lambda: zoo.create("gmm", FRAME, components=6),
        "svi": lambda: inference.svi(zoo.create("gmm", components=6), FRAME),
        "mcmc": lambda: inference.mcmc(zoo.create("gmm", components=6), FRAME),
    }
    refused(ValueError, doors[door], "5 rows", "6 components", "fewer")


def written(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


@pytest.mark.parametrize(
    ("name", "text", "parts"),
    [
        ("long.csv", "a,b\n1,2\n3,4,5\n", ["line 3", "xpected 2 fields", "saw 3"]),
        ("short.csv", "a,b,c\n1,2,3\n\n3,4\n5,6,7\n", ["line 4", "expected 3 fields", "saw 2"]),
        ("all_long.csv", "a,b\n1,2,3\n4,5,6\n7,8,9\n", ["line 2", "xpected 2 fields", "saw 3"]),
        ("repeated.csv", "a,a\n1,2\n2,1\n", ["column 'a'", "twice"]),
        ("nothing.csv", "", ["No columns"]),
        ("header.csv", "a,b\n", ["empty", "no rows"]),
        ("text.csv", "a,b\n1,2\n3,four\n", ["column 'b'", "'four'", "row 1"]),
        ("semicolons.csv", "a;b\n1;2\n3;4\n", ["column 'a;b'", "'1;2'"]),
        ("bytes.csv", b"\xff\xfe\x00\x01,b\n1,2\n", ["utf-8"]),
        ("half.parquet", b"PAR1 and no more", ["cannot be read"]),
        ("half.npy", b"\x93NUMPY\x01\x00", ["cannot be read"]),
        ("half.npz", b"PK\x03\x04 and no more", ["cannot be read"]),
        ("rows.xlsx", b"", ["'.xlsx'", ".csv, .parquet, .npy, .npz, .mtx, .ldac"]),
        ("rows", b"", ["file type", ".csv, .parquet, .npy, .npz, .mtx, .ldac"]),
    ],
)
def test_bad_files(name, text, parts, tmp_path):
    path = written(tmp_path / name, text)
    about_the_rows = name in ("repeated.csv", "header.csv", "text.csv", "semicolons.csv")
    refused(ValueError, lambda: zoo.create("gmm", path), *parts, *([] if about_the_rows else [str(path)]))


@pytest.mark.parametrize("name", ["rows.npy", "rows.npz", "rows.csv"])
def test_a_file_of_rubbish_comes_with_no_advice_to_unpickle_it(name, tmp_path):
    with pytest.raises(ValueError, match=re.escape(name)) as caught:
        zoo.create("gmm", written(tmp_path / name, b"\x80\x04rubbish\xff"))
    assert "pickle" not in str(caught.value)


def test_missing_files(tmp_path):
    refused(FileNotFoundError, lambda: zoo.create("gmm", tmp_path / "gone.csv"), str(tmp_path / "gone.csv"), "no such file")
    (tmp_path / "folder.csv").mkdir()
    refused(FileNotFoundError, lambda: zoo.create("gmm", tmp_path / "folder.csv"), "folder.csv", "no such file")


class Trap:
    """Sets a flag when it is unpickled."""

    sprung = False

    def __setstate__(self, state: object) -> None:
        Trap.sprung = True

    def __getstate__(self) -> dict[str, int]:
        return {"set": 1}


@pytest.mark.parametrize("save", [np.save, np.savez], ids=["npy", "npz"])
def test_arrays_of_objects_are_not_unpickled(save, tmp_path):
    path = tmp_path / f"objects.{'npy' if save is np.save else 'npz'}"
    save(path, np.array([Trap(), Trap()], dtype=object))
    refused(ValueError, lambda: zoo.create("gmm", path), str(path), "cannot be read", "bject arrays")
    assert not Trap.sprung
    np.load(path, allow_pickle=True)[slice(None) if save is np.save else "arr_0"]
    assert Trap.sprung  # the trap works
    Trap.sprung = False


def test_several_arrays_in_one_file(tmp_path):
    np.savez(tmp_path / "two.npz", train=np.eye(3), test=np.eye(3))
    refused(ValueError, lambda: zoo.create("gmm", tmp_path / "two.npz"), "two.npz", "2 arrays", "train, test", "alone")
