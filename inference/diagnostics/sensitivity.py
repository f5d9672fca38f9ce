"""Prior sensitivity: how much the posterior would move if the prior, or the rows, counted a little more or less."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from arviz_stats.base import array_stats

from ..answers.predictive import log_likelihood_by_rows, log_prior, rows_of
from .convert import labelled
from .rows import refuse_draws

if TYPE_CHECKING:
    from ..posterior import Posterior

ALPHAS, SENSITIVE = (0.99, 1.01), 0.05


def sensitivity(posterior: "Posterior") -> pd.DataFrame:
    """See `Posterior.sensitivity`."""
    table = rows_of(posterior)
    refuse_draws(posterior, "tell how sensitive it is")
    prior = sum(log_prior(posterior).values()).flatten().cpu().numpy()
    rows = sum(logs.sum(1) for logs in log_likelihood_by_rows(posterior, table))
    labels, draws = labelled(posterior)
    flat = draws.flatten(0, 1).double().numpy()
    found = pd.DataFrame({"prior": _moved(flat, prior), "likelihood": _moved(flat, rows)}, pd.Index(labels, name="parameter"))
    weak = found["likelihood"] < SENSITIVE
    names = np.where(weak, "strong prior or weak likelihood", "prior-data conflict")
    return found.assign(diagnosis=np.where(found["prior"] >= SENSITIVE, names, ""))


def _moved(draws: np.ndarray, logs: np.ndarray) -> np.ndarray:
    """(number,) the sensitivity of numbers (draw, number) to a power of the density whose logarithm is `logs` (draw,)."""
    if np.ptp(logs) == 0:  # a flat prior: no power of it moves anything
        return np.zeros(draws.shape[1])
    weights = [np.exp(array_stats.power_scale_lw(logs[None], alpha=alpha, axis=(0, 1))) for alpha in ALPHAS]
    lower, upper = (np.broadcast_to(w / w.sum(), (draws.shape[1], 1, len(logs))) for w in weights)
    with np.errstate(invalid="ignore"):  # a number that has one value in every draw cannot move: it stays without one
        return array_stats.power_scale_sense(draws.T[:, None], lower, upper, *ALPHAS)
