"""What the importance p(draw, data) / q(draw) of a guide's draws says of it: Pareto k-hat, its gap, bounds on the evidence."""

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from arviz_stats.base import array_stats
from scipy.special import log_softmax, logsumexp

if TYPE_CHECKING:
    from ..posterior import Posterior

GROUP, FLAT, SAME = 10, 1e-3, 1e-9


def has_ratios(posterior: "Posterior") -> bool:
    """Whether the densities of the draws are known, that of the posterior and that of the guide."""
    return {"lp", "log_q"} <= set(posterior.by_draw)


def log_ratios(posterior: "Posterior") -> np.ndarray:
    """(draw,) log p(draw, data) - log q(draw), in double precision.

    Raises ValueError where they are not known: the draws are not a guide's, were reweighed, or the rows were streamed.
    """
    if not has_ratios(posterior):
        raise ValueError(f"{posterior.name}: the densities of its draws, the posterior's and the guide's, are not known (`lp`, `log_q`)")
    return (posterior.stats["lp"].double() - posterior.stats["log_q"].double()).flatten().cpu().numpy()


def smoothed(ratios: np.ndarray, efficiency: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Pareto smoothed log weights (draw, ...), which sum to one, and k-hat (...), from the logarithms of importance ratios.

    k-hat is the shape of their tail: `NaN` where a ratio is not finite, minus infinity where all are equal, so that there is no
    tail, and infinity where the largest is that of so many draws that they are all of the tail (a chain that stands still).

    Arguments:
        ratios: (draw, ...), one set of draws for each row, say. efficiency: how many independent draws a draw is worth.

    Source: Vehtari, Simpson, Gelman, Yao & Gabry 2024, "Pareto smoothed importance sampling", JMLR 25.
    """
    count = len(ratios)
    finite = np.isfinite(ratios).all(0)
    known = np.where(finite, ratios, 0.0)
    largest = known.max(0)
    tail = int(min(count / 5, 3 * (count / efficiency) ** 0.5))
    flat, clumped = largest - known.min(0) < FLAT, (largest - known < SAME).sum(0) >= tail
    k = np.where(finite, np.where(flat, -np.inf, np.where(clumped, np.inf, 0.0)), np.nan)
    weights, usable = np.where(finite, log_softmax(known, axis=0), np.nan), finite & ~flat & ~clumped
    if usable.any():
        # ArviZ takes what importance sampling divides by, as leave-one-out does, and turns its sign.
        with np.errstate(all="ignore"):
            found, k[usable] = array_stats.psislw(-ratios[:, usable], r_eff=efficiency, axis=0)
        # A tail in which many draws are the same may have no fit: then it stays as it is.
        weights[:, usable] = np.where(np.isfinite(found).all(-1), np.moveaxis(found, -1, 0), weights[:, usable])
    return weights, k


def khat(posterior: "Posterior") -> float:
    """The shape of the tail of p(draw, data) / q(draw): below 0.5 the guide is close, above 0.7 it cannot be trusted.

    `NaN` where a ratio is not finite, minus infinity where the guide is exact. Raises ValueError as `log_ratios` does.

    Source: Yao, Vehtari, Simpson & Gelman 2018, "Yes, but did it work?: Evaluating variational inference", ICML.
    """
    return float(smoothed(log_ratios(posterior)[:, None])[1][0])


def in_words(k: float, limit: float | None = None) -> str:
    """A k-hat as a message says it, and the largest that can be relied on; where it is no number, why."""
    if math.isnan(k):
        return "unknown, since the importance of some draws is not finite"
    if math.isinf(k):
        return "infinite, since many draws share the largest importance" if k > 0 else "none, since every draw has the same importance"
    return f"{k:.2f}" if limit is None else f"{k:.2f} (at most {limit:.2f})"


def gap(posterior: "Posterior") -> float:
    """How much the guide diverges from the posterior, KL(q || p) in nats, as its own draws see it: 0 where it is exact.

    It tells of a guide that is too wide, which k-hat cannot. Like k-hat it knows nothing of modes that no draw came near.
    """
    ratios = log_ratios(posterior)
    return float(logsumexp(ratios) - math.log(len(ratios)) - ratios.mean())


class Bound(NamedTuple):
    """A lower bound on the log evidence, from groups of so many draws, and its Monte Carlo standard error."""

    group: int
    value: float
    error: float


def bound(posterior: "Posterior", group: int = 1) -> Bound:
    """The importance weighted bound: the mean over groups of draws of log(mean of p(draw, data) / q(draw) in the group).

    Groups of one give the ELBO. Larger groups come closer to the log evidence, whatever the guide, but for modes that it misses.
    Raises ValueError as `log_ratios` does, or for fewer than two groups.

    Source: Burda, Grosse & Salakhutdinov 2016, "Importance weighted autoencoders", ICLR.
    """
    ratios = log_ratios(posterior)
    count = len(ratios) // group
    if count < 2:
        raise ValueError(f"{len(ratios)} draws do not make two groups of {group}; take more draws, or smaller groups")
    each = logsumexp(ratios[: count * group].reshape(count, group), axis=1) - math.log(group)
    return Bound(group, float(each.mean()), float(each.std(ddof=1) / count**0.5))


def trusted_up_to(draws: int) -> float:
    """The largest k-hat at which importance sampling with so many draws can be relied on (Vehtari et al. 2024, JMLR 25)."""
    return min(0.7, 1 - 1 / math.log10(max(draws, 11)))
