"""Files of rows that are mostly zeros: NPZ as scipy saves it, Matrix Market, and lists of counts as lda-c reads them."""

from pathlib import Path
from zipfile import ZIP_STORED, ZipFile, ZipInfo, is_zipfile

import numpy as np
import pandas as pd
import scipy.io
import scipy.sparse


def holds_sparse(path: Path) -> bool:
    """Whether the file `path` holds rows that are mostly zeros."""
    if path.suffix.lower() in (".mtx", ".ldac"):
        return True
    if path.suffix.lower() != ".npz" or not is_zipfile(path):
        return False
    with ZipFile(path) as file:
        return "format.npy" in file.namelist()


def scipy_npz(path: Path) -> scipy.sparse.spmatrix:
    """The matrix that `scipy.sparse.save_npz` wrote. One of rows that was saved with compressed=False stays on disk, as three memory maps:
    its rows are read as they are needed. Raises ValueError where a part is missing, or parts contradict each other."""
    with ZipFile(path) as file:
        kind, shape = (np.lib.format.read_array(file.open(_member(file, name))) for name in ("format", "shape"))
        if shape.shape != (2,):
            raise ValueError(f"its shape is {shape.tolist()}, and a matrix has two axes")
        members = [_member(file, name) for name in ("data", "indices", "indptr")] if kind == b"csr" else []
    if not members or any(member.compress_type != ZIP_STORED for member in members):
        return scipy.sparse.load_npz(path)
    (rows, width), mapped = shape.tolist(), [_mapped(path, member) for member in members]
    # scipy has no numbers in another machine's order of bytes.
    if not mapped[0].dtype.isnative:
        return scipy.sparse.csr_matrix((mapped[0].astype(mapped[0].dtype.newbyteorder("=")), *mapped[1:]), (rows, width))
    data, indices, starts = mapped
    if not all(np.issubdtype(part.dtype, np.integer) for part in (indices, starts)):
        raise ValueError(f"its columns are of {indices.dtype} and its rows' starts of {starts.dtype}, and both should be whole numbers")
    if len(starts) != rows + 1 or starts[0] != 0 or not starts[-1] == len(indices) == len(data) or (np.diff(starts) < 0).any():
        raise ValueError(f"its arrays, of {len(data)} numbers, {len(indices)} columns and {len(starts)} rows' starts, do not fit together")
    # What scipy does with arrays that it is given can bring all of them into memory.
    found = scipy.sparse.csr_matrix((rows, width), dtype=data.dtype)
    found.data, found.indices, found.indptr = data, indices, starts
    return found


def _member(file: ZipFile, name: str) -> ZipInfo:
    if f"{name}.npy" not in file.namelist():
        raise ValueError(f"it has no {name!r}, which scipy.sparse.save_npz writes")
    return file.getinfo(f"{name}.npy")


def _mapped(path: Path, member: ZipInfo) -> np.memmap:
    """The array in a member of a zip file that is stored as it is."""
    with path.open("rb") as file:
        # The header beside the member is not as long as the one in the directory says.
        file.seek(member.header_offset + 26)
        file.seek(sum(np.frombuffer(file.read(4), "<u2").tolist()), 1)
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
        if dtype.kind not in "fiub" or len(shape) != 1:
            raise ValueError(f"its {member.filename} is of {dtype}, shape {shape}, which no list of numbers is")
        return np.memmap(path, dtype, "r", file.tell(), shape) if shape[0] else np.empty(shape, dtype)


def matrix_market(path: Path) -> scipy.sparse.csr_matrix:
    """The matrix in a Matrix Market file; its rows are rows."""
    return scipy.sparse.csr_matrix(scipy.io.mmread(path))


def ldac(path: Path) -> pd.DataFrame | scipy.sparse.csr_matrix:
    """Counts (texts, words) of a text a line: how many words it has, then word:count for each, words numbered from zero.

    Where a file of the same name that ends in .tokens stands beside, a word a line, columns are named by it.
    Raises ValueError that names the line.

    Source: Blei's lda-c, https://github.com/blei-lab/lda-c.
    """
    lines = path.read_text(encoding="utf-8").splitlines()
    terms, fields = (np.array([count(line) for line in lines]) for count in (lambda line: line.count(":"), lambda line: len(line.split())))
    numbers = np.array(" ".join(lines).replace(":", " ").split(), dtype=np.int64)
    _refuse(fields != terms + 1, "is not a number of words and then word:count for each", lines)
    ends = np.cumsum(2 * terms + 1)
    begins = ends - 2 * terms - 1
    _refuse(numbers[begins] != terms, "says first how many words it has, and has another number of them", lines)
    pairs = np.delete(numbers, begins).reshape(-1, 2)
    text = np.repeat(np.arange(len(lines)), terms)
    names = _tokens(path)
    width = int(pairs[:, 0].max(initial=-1)) + 1 if names is None else len(names)
    past = (pairs[:, 0] < 0) | (pairs[:, 0] >= width)
    _refuse(np.isin(np.arange(len(lines)), text[past]), f"has a word that is not among the {width} of the vocabulary", lines)
    counts = scipy.sparse.csr_matrix((pairs[:, 1], (text, pairs[:, 0])), (len(lines), width))
    return counts if names is None else pd.DataFrame.sparse.from_spmatrix(counts, columns=names)


def _refuse(wrong: np.ndarray, why: str, lines: list[str]) -> None:
    if wrong.any():
        first = int(wrong.argmax())
        raise ValueError(f"line {first + 1} {why}: {lines[first][:60]!r}")


def _tokens(path: Path) -> list[str] | None:
    beside = path.with_suffix(".tokens")
    return beside.read_text(encoding="utf-8").splitlines() if beside.is_file() else None
