"""Leave-future-out: how well each step of a series is foretold by the steps before it, from draws given them all.

For a posterior of one series, of which no row can be left out.
"""

from typing import TYPE_CHECKING, NamedTuple

import arviz_stats
import numpy as np
from scipy.special import logsumexp

from ..answers.predictive import LOGS, rows_of, some_rows
from ..answers.sequences import step_densities
from ..covariates import split
from ..program import Program
from .elpd import elpd_data, relative_efficiency
from .khat import has_ratios, log_ratios, smoothed, trusted_up_to
from .rows import refuse_draws

if TYPE_CHECKING:
    from ..posterior import Posterior

BLOCK = 16


class Foretold(NamedTuple):
    """Of the last steps that were seen, in order (step,): log density given those before, effective parameters, k-hat, number."""

    elpd: np.ndarray
    p: np.ndarray
    k: np.ndarray
    steps: np.ndarray


def one_series(posterior: "Posterior") -> bool:
    """Whether the posterior is of a single row, which is a series."""
    x = some_rows(posterior)
    return len(x) == 1 and Program(posterior.pair, x).knows("increments")


def ahead(posterior: "Posterior", steps: int | None = None) -> arviz_stats.ELPDData:
    """See `Posterior.ahead`; of the last `steps`, if they can be judged."""
    if not one_series(posterior):
        raise ValueError(f"{posterior.name} is not of one series of which steps could be left out; see posterior.loo()")
    refuse_draws(posterior, "leave steps out")
    found = foretold(posterior)
    elpd, p, k, numbers = (values[-(steps or len(values)) :] for values in found)
    labels = [rows_of(posterior).columns[t] for t in numbers]
    return elpd_data(posterior, elpd, p, k, "step", labels)


def foretold(posterior: "Posterior") -> Foretold:
    """From the last step back, for as long as weights that undo all later steps can be relied on; the last step in any case."""
    draws = int(np.prod(posterior.shape))
    logs = step_densities(posterior, max(BLOCK, LOGS // draws))
    ratios = log_ratios(posterior)[:, None] if has_ratios(posterior) else 0.0
    efficiency, limit = relative_efficiency(posterior), trusted_up_to(draws)
    later = logs[:, ::-1].cumsum(1)[:, ::-1]
    own, _ = split(posterior.pair, rows_of(posterior).x[0])
    total = len(own)
    seen = np.flatnonzero((~own.isnan()).reshape(total, -1).any(-1).cpu().numpy()) - (total - logs.shape[1])
    seen, found = seen[seen >= 0], []
    for block in np.array_split(seen[::-1], -(-len(seen) // BLOCK)):
        weights, k = smoothed(ratios - later[:, block], efficiency)
        elpd = logsumexp(weights + logs[:, block], axis=0)
        found.append((elpd, logsumexp(logs[:, block], axis=0) - np.log(draws) - elpd, k, block + total - logs.shape[1]))
        if not (k <= limit).all():
            break
    elpd, p, k, numbers = (np.concatenate(part) for part in zip(*found, strict=True))
    judged = max(1, len(k) if (k <= limit).all() else int((~(k <= limit)).argmax()))
    return Foretold(*(values[:judged][::-1] for values in (elpd, p, k, numbers)))
