"""Probabilistic PCA: factor analysis with one noise."""

import numpy as np

from . import Case, fa

log_evidence = fa.log_evidence


def cases() -> list[Case]:
    return fa.cases()


def log_joint(pair, values: dict[str, np.ndarray], x: np.ndarray) -> float:
    unit = np.sqrt(np.mean(fa.given(pair)["spread"] ** 2))
    return fa.log_prior(pair, values, unit) + fa.log_rows(values, x).sum()
