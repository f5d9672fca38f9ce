"""Rows to stream, from every kind of source."""

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, TensorDataset

from inference.rows.parquet import ParquetSource
from inference.rows.stream import Rows, as_stream


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
