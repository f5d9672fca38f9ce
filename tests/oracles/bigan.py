"""Bidirectional ones by hand: the plain one's generator and densities, and the encoder in numpy."""

import numpy as np

from . import Case, gan


def cases() -> list[Case]:
    return gan.cases()


def log_joint(pair, values, x) -> float:
    """log p(x, z)."""
    return gan.log_joint(pair, values, x)


def log_evidence(pair, x) -> None:
    """Of no use: the noise is given, and the weights are not fitted by densities."""


def codes(pair, x: np.ndarray) -> np.ndarray:
    """(rows, Q) where the encoder puts rows."""
    seen = gan.features(pair, x)
    return gan.residual(pair.q_encoder, seen) if pair.hyperparameters["network"] == "residual" else gan.read(pair, pair.q_encoder, seen)
