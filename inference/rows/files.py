"""Files of rows."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO
from zipfile import BadZipFile

import numpy as np
import pandas as pd
import scipy.sparse

from .sparse_files import holds_sparse, ldac, matrix_market, scipy_npz

KINDS = (".csv", ".parquet", ".npy", ".npz", ".mtx", ".ldac")


def read_file(path: Path) -> pd.DataFrame | np.ndarray | scipy.sparse.spmatrix:
    """The rows in `path`: a DataFrame from CSV or Parquet, an array from NPY or a NPZ that holds just one; rows that are mostly zeros
    from the NPZ of a scipy matrix, Matrix Market or lda-c. Never unpickles.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: an unknown kind of file, or one that cannot be read; the message says which line where the reader knows.
    """
    if path.suffix.lower() not in KINDS:
        raise ValueError(f"{path}: unknown file type {path.suffix!r}; the types are {', '.join(KINDS)}")
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        return _READERS[path.suffix.lower()](path)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, EOFError, BadZipFile, OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error


def _csv(path: Path) -> pd.DataFrame:
    frame = pd.read_csv(path)
    with path.open(newline="", encoding="utf-8-sig") as lines:
        reader = csv.reader(lines)
        header = next(reader)
        if all(_is_number(name) for name in header):
            raise ValueError(f"line 1 holds numbers ({', '.join(header[:4])}) where the names of columns should be; add a header")
        if "" in header:
            raise ValueError(f"column {header.index('') + 1} has no name; if it holds row numbers, leave it out, and name it otherwise")
        # pandas refuses a long line after short ones, but takes a first one for an index, and fills short ones with NaN.
        _refuse_uneven(reader, len(header), through=len(header) > 1 and frame.iloc[:, -1].isna().any())
    # pandas renames a repeated column; under its own name it is refused.
    return frame.set_axis(header, axis=1)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _refuse_uneven(reader: Iterator[list[str]], width: int, through: bool) -> None:
    for fields in reader:
        if fields and len(fields) != width:
            raise ValueError(f"expected {width} fields in line {reader.line_num}, saw {len(fields)}")
        if fields and not through:
            return


def _parquet(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except ImportError:
        raise ValueError("Parquet needs pyarrow: pip install 'latent-zoo[parquet]'") from None


def _npy(path: Path) -> np.ndarray:
    with path.open("rb") as file:
        _refuse_other_than(b"\x93NUMPY", file)
        return np.load(file, allow_pickle=False)


def _npz(path: Path) -> np.ndarray | scipy.sparse.spmatrix:
    if holds_sparse(path):
        return scipy_npz(path)
    with path.open("rb") as file:
        _refuse_other_than(b"PK", file)
        with np.load(file, allow_pickle=False) as arrays:
            if len(arrays.files) != 1:
                raise ValueError(f"it holds {len(arrays.files)} arrays ({', '.join(arrays.files)}); save the one with the rows alone")
            return arrays[arrays.files[0]]


def _refuse_other_than(beginning: bytes, file: BinaryIO) -> None:
    if file.read(len(beginning)) != beginning:
        raise ValueError("it is not what its name says, a file that NumPy wrote")
    file.seek(0)


_READERS = {".csv": _csv, ".parquet": _parquet, ".npy": _npy, ".npz": _npz, ".mtx": matrix_market, ".ldac": ldac}
