"""The mixtures of topics of texts as compiled loops, for the CPU: words that a text does not have cost nothing."""

import numpy as np
from numba import njit

FAST = {"reassoc", "contract", "arcp", "nsz"}
# Keeps the share of a word that no topic has from being nothing by nothing.
LITTLE = 1e-30

compiled = njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)


@compiled
def fold_in(
    x: np.ndarray, topics: np.ndarray, concentration: np.ndarray, most: int, near: float, shapes: np.ndarray, counts: np.ndarray
) -> None:
    """See `fold_in.py`. x: (N, V). topics: (V, K). concentration: (K,). Fills shapes (N, K), and counts (V, K) with their sum."""
    rows, words = x.shape
    number = len(concentration)
    weights, new = np.empty(number, topics.dtype), np.empty(number, topics.dtype)
    places = np.empty(words, np.int64)
    for n in range(rows):
        found, total = _seen(x[n], places)
        shape = shapes[n]
        for k in range(number):
            shape[k] = concentration[k] + total / number
        for _ in range(most):
            _weigh(shape, weights)
            new[:] = 0
            for i in range(found):
                v = places[i]
                share = x[n, v] / _likelihood(topics[v], weights)
                for k in range(number):
                    new[k] += share * topics[v, k]
            moved = 0.0
            for k in range(number):
                value = concentration[k] + weights[k] * new[k]
                moved += abs(value - shape[k])
                shape[k] = value
            if moved < near * number:
                break
        _weigh(shape, weights)
        for i in range(found):
            v = places[i]
            share = x[n, v] / _likelihood(topics[v], weights)
            for k in range(number):
                counts[v, k] += share * weights[k] * topics[v, k]


@compiled
def _seen(x, places):  # noqa: ANN001, ANN202
    """How many words the text has, to be found in `places`, and the sum of their counts; neither zero nor `NaN` is above zero."""
    found, total = 0, 0.0
    for v in range(len(x)):
        if x[v] > 0:
            places[found] = v
            found += 1
            total += x[v]
    return found, total


@compiled
def _likelihood(topics, weights):  # noqa: ANN001, ANN202
    total = topics.dtype.type(LITTLE)
    for k in range(len(weights)):
        total += topics[k] * weights[k]
    return total


@compiled
def _weigh(shape, weights):  # noqa: ANN001, ANN202
    """exp E[log theta] under Dirichlet(shape), but for a factor."""
    for k in range(len(shape)):
        weights[k] = np.exp(_digamma(shape[k]))


@compiled
def _digamma(x):  # noqa: ANN001, ANN202
    """By recurrence to 6 and above, then Stirling's series (Abramowitz & Stegun 6.3.18)."""
    y, total = np.float64(x), 0.0
    while y < 6.0:
        total -= 1.0 / y
        y += 1.0
    f = 1.0 / (y * y)
    return total + np.log(y) - 0.5 / y - f * (1 / 12 - f * (1 / 120 - f * (1 / 252 - f * (1 / 240 - f / 132))))
