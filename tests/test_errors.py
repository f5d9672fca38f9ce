"""Bad input is refused before any work, by a message that names the value, the place and the way out."""

import importlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import inference
import zoo

FRAME = pd.DataFrame({"a": [1.0, 2.0, 3.0, 4.5, 5.0], "b": [2.0, 1.0, 4.0, 3.0, 6.0]}, index=list("vwxyz"))
DOORS: dict[str, Callable[[Any], Any]] = {
    "create": lambda x: zoo.create("gmm", x),
    "svi": lambda x: inference.svi(zoo.create("gmm", dim=2), x),
    "mcmc": lambda x: inference.mcmc(zoo.create("gmm", dim=2), x),
}


@pytest.fixture(autouse=True)
def no_work(monkeypatch):
    def started(*args, **kwargs):
        pytest.fail("work was begun on input that should have been refused")

    monkeypatch.setattr(importlib.import_module("inference.svi"), "_fit", started)
    monkeypatch.setattr(importlib.import_module("inference.mcmc.run"), "_through", started)


def refused(error: type[Exception], call: Callable[[], Any], *parts: str) -> None:
    with pytest.raises(error) as caught:
        call()
    missing = [part for part in parts if part not in str(caught.value)]
    assert not missing, f"the message {str(caught.value)!r} does not say {missing}"


def changed(column: str, row: str, value: object) -> pd.DataFrame:
    frame = FRAME.astype({column: object}) if isinstance(value, str) else FRAME.copy()
    frame.loc[row, column] = value
    return frame


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
        ("rows.xlsx", b"", ["'.xlsx'", ".csv, .parquet, .npy, .npz"]),
        ("rows", b"", ["file type", ".csv, .parquet, .npy, .npz"]),
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


@pytest.mark.parametrize(
    ("given", "error", "parts"),
    [
        ({"components": 0}, ValueError, ["components=0", "greater than 0", "components=2"]),
        ({"components": -3}, ValueError, ["components=-3", "greater than 0"]),
        ({"components": "three"}, ValueError, ["components='three'", "valid integer"]),
        ({"components": 2.5}, ValueError, ["components=2.5", "integer"]),
        ({"components": True}, ValueError, ["components=True", "integer"]),
        ({"components": None}, ValueError, ["components=None", "integer"]),
        ({"concentration": -1}, ValueError, ["concentration=-1", "greater than 0"]),
        ({"concentration": 0.0}, ValueError, ["concentration=0.0", "greater than 0"]),
        ({"concentration": float("nan")}, ValueError, ["concentration=nan", "finite"]),
        ({"shrinkage": float("inf")}, ValueError, ["shrinkage=inf", "finite"]),
        ({"spread": [1.0, -1.0]}, ValueError, ["spread=[1.0, -1.0]", "greater than 0"]),
        ({"center": "middle"}, ValueError, ["center='middle'", "number", "list"]),
        ({"center": [1.0, 2.0, 3.0]}, ValueError, ["center", "3 numbers", "2 columns", "one number"]),
        ({"freedom": 1.0}, ValueError, ["freedom=1.0", "above dim - 1 = 1", "full"]),
        ({"covariance": "round"}, ValueError, ["covariance='round'", "'full', 'diag', 'spherical' or 'tied'"]),
        ({"component": 2}, TypeError, ["'component'", "components, dim, covariance", "shrinkage"]),
    ],
    ids=str,
)
@pytest.mark.parametrize("x", [None, FRAME], ids=["without rows", "with rows"])
def test_bad_hyperparameters(given, error, parts, x):
    refused(error, lambda: zoo.create("gmm", x, **given), *parts)


def test_too_many_hyperparameters():
    from zoo.gmm import GaussianMixture

    refused(TypeError, lambda: GaussianMixture(*range(1, 11)), "GaussianMixture", "at most 9", "components, dim")


def test_a_dim_that_is_not_the_datas_is_named():
    refused(ValueError, lambda: zoo.create("gmm", FRAME, dim=3), "3 columns", "these have 2", "a, b")


def pair() -> inference.Pair:
    return zoo.create("gmm", FRAME)


@pytest.mark.parametrize(
    ("given", "parts"),
    [
        ({"steps": 0}, ["steps=0", "whole number", "at least 1"]),
        ({"steps": 2.5}, ["steps=2.5", "whole number"]),
        ({"steps": "many"}, ["steps='many'", "whole number"]),
        ({"steps": True}, ["steps=True", "whole number"]),
        ({"draws": 0}, ["draws=0", "at least 1"]),
        ({"particles": -1}, ["particles=-1", "at least 1"]),
        ({"restarts": 0}, ["restarts=0", "at least 1"]),
        ({"batch": 0}, ["batch=0", "at least 1"]),
        ({"batch": 6}, ["batch=6", "5 rows", "leave it out"]),
        ({"lr": 0}, ["lr=0", "positive"]),
        ({"lr": -0.1}, ["lr=-0.1", "positive"]),
        ({"lr": float("nan")}, ["lr=nan", "positive"]),
        ({"lr": float("inf")}, ["lr=inf", "positive"]),
        ({"lr": "fast"}, ["lr='fast'", "positive"]),
        ({"guide": "AutoNormall"}, ["'AutoNormall'", "did you mean 'AutoNormal'?", "map", "AutoMultivariateNormal"]),
        ({"guide": "zebra"}, ["'zebra'", "map", "AutoMultivariateNormal"]),
        ({"guide": 3}, ["guide", "3", "AutoNormal"]),
        ({"device": "cuda:99"}, ["device='cuda:99'", "'auto'", "'cpu'"]),
        ({"device": "abacus"}, ["device='abacus'", "'auto', 'cpu' or 'cuda'"]),
        ({"device": "mps"}, ["device='mps'", "'auto'", "'cpu'"]),
        ({"device": "meta"}, ["device='meta'", "'auto'", "'cpu'"]),
    ],
    ids=str,
)
def test_bad_arguments_of_svi(given, parts):
    refused(ValueError, lambda: inference.svi(pair(), FRAME, **given), *parts)


@pytest.mark.parametrize(
    ("given", "parts"),
    [
        ({"chains": 0}, ["chains=0", "at least 1"]),
        ({"draws": 0}, ["draws=0", "at least 1"]),
        ({"warmup": 0}, ["warmup=0", "at least 1"]),
        ({"draws": 1e3}, ["draws=1000.0", "whole number"]),
        ({"kernel": "nutz"}, ["kernel 'nutz'", "did you mean 'nuts'?"]),
        ({"kernel": "zebra"}, ["kernel 'zebra'", "nuts"]),
        ({"kernel": None}, ["kernel", "None", "nuts"]),
        ({"device": "cuda:99"}, ["device='cuda:99'", "'auto'", "'cpu'"]),
        ({"device": "abacus"}, ["device='abacus'", "'auto', 'cpu' or 'cuda'"]),
    ],
    ids=str,
)
def test_bad_arguments_of_mcmc(given, parts):
    refused(ValueError, lambda: inference.mcmc(pair(), FRAME, **given), *parts)


def test_an_argument_that_there_is_not():
    refused(TypeError, lambda: inference.svi(pair(), FRAME, epochs=3), "epochs")
    refused(TypeError, lambda: inference.mcmc(pair(), FRAME, epochs=3), "epochs")


@pytest.mark.parametrize("count", [np.int64(0), torch.tensor(3)], ids=["numpy", "tensor"])
def test_counts_are_whole_numbers(count):
    refused(ValueError, lambda: inference.svi(pair(), FRAME, steps=count), "steps=", "whole number")


def test_a_count_may_be_numpys():
    from inference.run import at_least

    at_least(1, steps=np.int64(3), draws=None)
    refused(ValueError, lambda: at_least(2, steps=np.int64(1)), "steps", "at least 2")


def test_a_number_too_large_for_the_dtype_is_named():
    torch.set_default_dtype(torch.float32)
    refused(ValueError, lambda: zoo.create("gmm", changed("b", "w", 1e300)), "column 'b'", "row 'w'", "1e+300")


def test_what_a_posterior_is_asked_is_checked():
    posterior = drawn()
    refused(ValueError, lambda: posterior.encode(FRAME[["b"]]), "2 columns", "these have 1", "b")
    refused(ValueError, lambda: posterior.score(FRAME.assign(c=1.0)), "2 columns", "these have 3", "a, b, c")
    refused(ValueError, lambda: posterior.encode(np.zeros((2, 2, 2))), "(2, 2, 2)", "flatten")
    refused(ValueError, lambda: posterior.impute(FRAME.iloc[:0]), "empty")
    refused(ValueError, lambda: posterior.log_likelihood(changed("b", "w", np.inf)), "column 'b'", "row 'w'", "infinite")
    refused(ValueError, lambda: posterior.generate(0), "rows=0", "at least 1")
    refused(LookupError, lambda: posterior.mean("loc"), "'loc'", "weights", "locs")


def test_columns_are_matched_by_name():
    posterior, swapped = drawn(), FRAME[["b", "a"]]
    pd.testing.assert_frame_equal(posterior.encode(swapped), posterior.encode(FRAME))


def test_columns_of_other_names_are_refused():
    posterior, other = drawn(), FRAME.rename(columns={"a": "height"})
    refused(ValueError, lambda: posterior.encode(other), "height", "a, b")


def drawn() -> inference.Posterior:
    """A posterior of a few draws that took no fit."""
    made, count = pair(), 3
    scales = torch.ones(1, count, 2, 2)
    draws = {
        "weights": torch.full((1, count, 2), 0.5),
        "precision_trils": torch.eye(2).expand(1, count, 2, 2, 2).clone(),
        "locs": torch.tensor([[2.0, 1.0], [4.0, 5.0]]).expand(1, count, 2, 2).clone(),
        "scales": scales,
        "correlations": torch.zeros(1, count, 2, 1),
    }
    how = {"method": "svi", "stopped": "converged", "restarts": [0.0], "seconds": 0.0}
    return inference.Posterior.of(made, draws, {}, how, inference.as_table(FRAME))


def test_a_start_that_is_of_another_pair():
    other = drawn()
    start = inference.Posterior(other.pair, {"theta": torch.zeros(1, 3)}, {}, other.how, other.table)
    refused(ValueError, lambda: inference.mcmc(pair(), FRAME, start=start), "start", "'weights'", "same pair")
