"""Pareto k-hat: how far the guide is from the posterior, as importance sampling sees it."""

import math
from typing import TYPE_CHECKING

import numpy as np
from arviz_stats.base import array_stats

if TYPE_CHECKING:
    from ..posterior import Posterior


def khat(posterior: "Posterior") -> float:
    """The shape of the tail of p(draw, data) / q(draw): below 0.5 the guide is close, above 0.7 it cannot be trusted.

    `NaN` where a ratio is not finite.

    Source: Yao, Vehtari, Simpson & Gelman 2018, "Yes, but did it work?: Evaluating variational inference", ICML.
    """
    ratios = (posterior.stats["lp"] - posterior.stats["log_q"]).double().flatten().cpu().numpy()
    if not np.isfinite(ratios).all():
        return math.nan
    # An exact guide has constant ratios, whose tail has no shape to estimate.
    if ratios.std() < 1e-4:
        return -math.inf
    # ArviZ takes what importance sampling divides by, as leave-one-out does, and turns its sign.
    _, k = array_stats.psislw(-ratios)
    return float(k)


def gap(posterior: "Posterior") -> float:
    """How much the guide diverges from the posterior, KL(q || p) in nats, as its own draws see it: 0 where it is exact.

    It tells of a guide that is too wide, which k-hat cannot. Like k-hat it knows nothing of modes that no draw came near.
    """
    ratios = (posterior.stats["lp"] - posterior.stats["log_q"]).double().flatten()
    return float(ratios.logsumexp(0) - math.log(len(ratios)) - ratios.mean())


def trusted_up_to(draws: int) -> float:
    """The largest k-hat at which importance sampling with so many draws can be relied on (Vehtari et al. 2024, JMLR 25)."""
    return min(0.7, 1 - 1 / math.log10(max(draws, 11)))
