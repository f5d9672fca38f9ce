"""Probabilistic PCA: factor analysis with one noise."""

import numpy as np

from . import Case, fa

log_evidence = fa.log_evidence


def cases() -> list[Case]:
    # Relevance is the same code in both; factor analysis has it.
    few = {**fa.SIZES, "factors": 1, "loading_scale": 2.0, "noise_scale": 0.5}
    return [fa.cases()[0], Case("one-holes", few, fa.HOLES)]


def log_joint(pair, values: dict[str, np.ndarray], x: np.ndarray) -> float:
    unit = np.sqrt(np.mean(fa.given(pair)["spread"] ** 2))
    return fa.log_prior(pair, values, unit) + fa.log_rows(values, x).sum()
