"""Rows in a random order, without a list of it."""

import itertools
import math
from collections.abc import Iterator

import numpy as np

ROUNDS = 8
AT_ONCE = 8192


def orders(count: int, size: int, seed: int, start: int = 0) -> Iterator[np.ndarray]:
    """The numbers of the rows of each batch, (size,) ascending, without end; the first is batch `start` of the run.

    Every epoch takes each of `count` rows at most once, in an order that follows from (seed, epoch) alone; the count % size
    rows that fill no batch sit it out, others in each epoch.
    """
    each, together = count // size, max(1, AT_ONCE // size)
    for epoch in itertools.count(start // each):
        for first in range(start % each, each, together):
            positions = np.arange(first * size, min(first + together, each) * size)
            yield from np.sort(shuffled(positions, count, seed, epoch).reshape(-1, size), axis=1)
        start = 0


def shuffled(positions: np.ndarray, count: int, seed: int, epoch: int) -> np.ndarray:
    """The rows that stand at `positions` of a random order of `count` rows: a one-to-one map, fixed by (seed, epoch).

    A Feistel network on a grid that has just room for all rows; a row beyond the last is sent round again. It needs no memory,
    where a list of 10^8 rows takes a gigabyte, and can be entered anywhere, and unlike shuffling within blocks it can bring any
    row next to any other. Over seeds and epochs a row, and a pair of rows, is as likely at one place as at another; not all
    count! orders can occur.
    """
    high = math.isqrt(count - 1) + 1
    sides = np.array([high, -(-count // high)], np.uint64)
    keys = np.random.SeedSequence((seed, epoch)).generate_state(ROUNDS, np.uint64)
    rows = _permute(positions.astype(np.uint64), sides, keys)
    while (beyond := rows >= count).any():
        rows[beyond] = _permute(rows[beyond], sides, keys)
    return rows.astype(np.int64)


def _permute(rows: np.ndarray, sides: np.ndarray, keys: np.ndarray) -> np.ndarray:
    pair = list(np.divmod(rows, sides[1]))
    for i, key in enumerate(keys):
        turned, side = i % 2, sides[i % 2]
        pair[turned] += _hash(pair[1 - turned], key, side)
        pair[turned] -= side * (pair[turned] >= side)
    return pair[0] * sides[1] + pair[1]


def _hash(values: np.ndarray, key: np.uint64, side: np.uint64) -> np.ndarray:
    """Numbers below `side` that look random. Both factors are odd and have bits everywhere; the first is 2^64 / golden ratio."""
    mixed = (values ^ key) * np.uint64(0x9E3779B97F4A7C15)
    mixed ^= mixed >> np.uint64(32)
    mixed *= np.uint64(0xD6E8FEB86659FD93)
    return ((mixed >> np.uint64(32)) * side) >> np.uint64(32)


def spread(count: int, wanted: int) -> np.ndarray:
    """At most `wanted` of `count` row numbers, evenly spread, ascending."""
    wanted = min(wanted, count)
    return np.arange(wanted) * count // wanted
