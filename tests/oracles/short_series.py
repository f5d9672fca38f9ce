"""Short series of every kind, for the oracles of switching series."""

import numpy as np


def counts() -> np.ndarray:
    return np.random.default_rng(0).poisson(np.array([[1, 1, 6], [7, 6, 2], [1, 5, 5], [6, 7, 8]])).astype(float)


def codes() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 3, (4, 3, 2)).astype(float)


def numbers(dim: int) -> np.ndarray:
    rng = np.random.default_rng(dim)
    return rng.normal(size=(4, 3, dim)) + np.array([[-1, -1, 1.5], [1.5, 1.5, -1], [-1, -1, -1], [1.5, 1.5, 1.5]])[..., None]


def several() -> np.ndarray:
    """Columns that suit four families."""
    return np.stack([numbers(1)[..., 0], counts(), np.exp(numbers(1)[..., 0]), codes()[..., 0] > 1], -1).astype(float)


def angles() -> np.ndarray:
    """A number, an angle and another number."""
    whole = numbers(3)
    whole[..., 1] = np.mod(whole[..., 1] + 3.0, 2 * np.pi) - np.pi
    return whole


def holes(x: np.ndarray) -> np.ndarray:
    """A gap, a value missing by itself if there are columns, and a series cut short."""
    x = x.copy()
    x[0, 1], x[2, -1] = np.nan, np.nan
    x.reshape(*x.shape[:2], -1)[3, 0, -1] = np.nan
    return x
