"""The rows of a torch Dataset, or of a DataLoader of one."""

from collections.abc import Callable, Iterator
from itertools import tee
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, Dataset, IterableDataset, RandomSampler, SequentialSampler, default_collate

from .shuffle import orders, spread


class DatasetSource:
    """The items of a torch Dataset, put together by `collate` in `workers` processes (0: in this one)."""

    frame = False

    def __init__(self, dataset: Dataset, collate: Callable[[list[Any]], Any] = default_collate, workers: int = 0) -> None:
        if isinstance(dataset, IterableDataset) or not hasattr(dataset, "__len__") or not hasattr(dataset, "__getitem__"):
            raise TypeError(
                f"{type(dataset).__name__} has no numbered items, so that a run could neither shuffle nor resume; "
                "hand in a Dataset with __len__ and __getitem__"
            )
        self._dataset, self._collate, self._workers, self.count = dataset, collate, workers, len(dataset)
        if not self.count:
            raise ValueError(f"{type(dataset).__name__} is empty: it has no rows")
        if collate is default_collate:
            _refuse_numbers_in_a_row(dataset[0])
        _, first = next(self._together(iter([np.array([0])])))
        self.row_shape = first.shape[1:]
        self.columns = [str(i) for i in range(self.row_shape[0])]

    def read(self, size: int, seed: int, start: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """See `stream.Source`."""
        return self._together(orders(self.count, size, seed, start))

    def sample(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """See `stream.Source`."""
        return next(self._together(iter([spread(self.count, count)])))

    def _together(self, batches: Iterator[np.ndarray]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        ours, theirs = tee(batches)
        # With a generator of its own it leaves torch's random numbers alone.
        items = iter(
            DataLoader(
                self._dataset,
                batch_sampler=map(np.ndarray.tolist, theirs),
                collate_fn=self._collate,
                num_workers=self._workers,
                generator=torch.Generator(),
            )
        )
        for rows in ours:
            yield rows, self._values(items, rows)

    def _values(self, items: Iterator[Any], rows: np.ndarray) -> np.ndarray:
        what = f"rows {rows[0]} to {rows[-1]} of {type(self._dataset).__name__}"
        try:
            batch = next(items)
        except (RuntimeError, TypeError) as error:
            raise ValueError(f"{what} cannot be read or put together: {error}; rows must be tensors of one shape") from error
        batch = batch[0] if isinstance(batch, list | tuple) and batch else batch
        if not isinstance(batch, Tensor) or batch.is_complex() or batch.dim() == 0:
            raise TypeError(
                f"{what} are no tensor of numbers but {type(batch).__name__}; an item must be a row, or a tuple that begins with one"
            )
        values = batch.detach().cpu().to_dense().double().numpy()
        return values if values.ndim > 1 else values[:, None]


def _refuse_numbers_in_a_row(item: Any) -> None:
    """[1.0, 2.0] is not read as a row 1.0 and a label 2.0, which it may not be. Raises TypeError."""
    if isinstance(item, list | tuple) and not (item and isinstance(item[0], Tensor | np.ndarray)):
        raise TypeError(
            f"item 0 is the {type(item).__name__} {item!r:.60}; an item must be a row (a tensor), or a tuple that begins with one"
        )


def plain(loader: DataLoader) -> DataLoader:
    """Refuse a loader that leaves rows out or repeats them: it would fit other data. Raises ValueError."""
    sampler, known = loader.sampler, type(loader.batch_sampler) is BatchSampler
    if isinstance(loader.dataset, IterableDataset):
        return loader
    if isinstance(sampler, RandomSampler):
        known = known and not sampler.replacement and len(sampler) == len(loader.dataset)
    if not known or not isinstance(sampler, SequentialSampler | RandomSampler):
        raise ValueError(
            f"the DataLoader draws its rows in a way of its own ({type(sampler).__name__}); "
            "hand in its dataset, each row of which then counts once"
        )
    return loader
