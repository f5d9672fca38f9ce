"""Draws in place of which their ranks are looked at: compiled loops over one sort."""

from functools import lru_cache

import numpy as np
from numba import njit
from scipy.special import ndtri


class Ranked:
    """Draws (parameter, number) by rank.

    order, ordered (parameter, number): which draw comes where, and the draws in order. bulk (parameter, number): normal scores (Blom's)
    of the draws' ranks, equal draws sharing their mean rank.
    """

    def __init__(self, draws: np.ndarray) -> None:
        self.order = draws.argsort(1)
        self.ordered = np.take_along_axis(draws, self.order, 1)
        self.bulk = np.empty_like(draws)
        _score(self.ordered, self.order, _table(draws.shape[1]), self.bulk)

    def folded(self) -> np.ndarray:
        """(parameter, number) the same of the draws' distances from their median."""
        scores = np.empty_like(self.bulk)
        _fold(self.ordered, self.order, _table(scores.shape[1]), scores)
        return scores


@lru_cache(maxsize=1)
def _table(count: int) -> np.ndarray:
    """The normal scores of the ranks 1, 1.5, 2, ... among `count` numbers."""
    return ndtri((np.arange(2 * count - 1) / 2 + 1 - 3 / 8) / (count + 1 / 4))


@njit(cache=True, nogil=True)
def _score(ordered: np.ndarray, order: np.ndarray, table: np.ndarray, scores: np.ndarray) -> None:
    """Write the scores of each row of `ordered` to where `order` says that its numbers come from."""
    for row in range(len(ordered)):
        _share(ordered[row], order[row], table, scores[row])


@njit(cache=True, nogil=True)
def _fold(ordered: np.ndarray, order: np.ndarray, table: np.ndarray, scores: np.ndarray) -> None:
    """The same of distances from the median, which the draws below it and those above it have in order already."""
    count = ordered.shape[1]
    distances, places = np.empty(count, ordered.dtype), np.empty(count, order.dtype)
    for row in range(len(ordered)):
        values, right = ordered[row], count // 2
        left = right - 1
        median = (values[left] + values[right]) / 2 if count % 2 == 0 else values[right]
        for i in range(count):
            if right == count or (left >= 0 and abs(values[left] - median) <= abs(values[right] - median)):
                distances[i], places[i] = abs(values[left] - median), order[row, left]
                left -= 1
            else:
                distances[i], places[i] = abs(values[right] - median), order[row, right]
                right += 1
        _share(distances, places, table, scores[row])


@njit(cache=True, nogil=True)
def _share(ordered: np.ndarray, places: np.ndarray, table: np.ndarray, scores: np.ndarray) -> None:
    """Write the scores of numbers in order to their places, the same for equal ones."""
    first = 0
    while first < len(ordered):
        last = first
        while last + 1 < len(ordered) and ordered[last + 1] == ordered[first]:
            last += 1
        for i in range(first, last + 1):
            scores[places[i]] = table[first + last]
        first = last + 1
