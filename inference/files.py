"""Files of rows."""

import csv
from pathlib import Path

import numpy as np
import pandas as pd

KINDS = (".csv", ".parquet", ".npy", ".npz")


def read_file(path: Path) -> pd.DataFrame | np.ndarray:
    """The rows in `path`: a DataFrame from CSV or Parquet, an array from NPY or a NPZ that holds just one. Never unpickles.

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
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, EOFError, OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error


def _csv(path: Path) -> pd.DataFrame:
    frame = pd.read_csv(path)
    if frame.shape[1] > 1 and frame.iloc[:, -1].isna().any():
        _refuse_short_lines(path)
    return frame


def _refuse_short_lines(path: Path) -> None:
    # pandas refuses a line with too many fields, and fills one with too few as if its values were missing.
    with path.open(newline="") as lines:
        reader = csv.reader(lines)
        width = len(next(reader))
        for fields in reader:
            if 0 < len(fields) < width:
                raise ValueError(f"expected {width} fields in line {reader.line_num}, saw {len(fields)}")


def _parquet(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except ImportError:
        raise ValueError("Parquet needs pyarrow: pip install 'latent-zoo[parquet]'") from None


def _npy(path: Path) -> np.ndarray:
    return np.load(path, allow_pickle=False)


def _npz(path: Path) -> np.ndarray:
    with np.load(path, allow_pickle=False) as arrays:
        if len(arrays.files) != 1:
            raise ValueError(f"it holds {len(arrays.files)} arrays ({', '.join(arrays.files)}); save the one with the rows alone")
        return arrays[arrays.files[0]]


_READERS = {".csv": _csv, ".parquet": _parquet, ".npy": _npy, ".npz": _npz}
