"""Leave-one-out: how well each row is predicted by all the others, from draws given them all."""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import arviz_stats
import numpy as np
import pandas as pd
from scipy.special import logsumexp

from ..answers.predictive import log_likelihood_by_rows, rows_of
from .ahead import ahead, one_series
from .elpd import elpd_data, relative_efficiency
from .findings import CHEAP, Finding, unlooked
from .khat import has_ratios, khat, log_ratios, smoothed
from .rows import LEAST, refuse_draws

if TYPE_CHECKING:
    from ..posterior import Posterior

# Rows named, draws that a row is judged by at least, and draws that more than these would not judge better.
SHOWN, FEW, ENOUGH = 5, 1000, 4000


def loo(posterior: "Posterior") -> arviz_stats.ELPDData:
    """See `Posterior.loo`."""
    posterior.pair.refuse_unsuited("log_likelihood")
    table = rows_of(posterior)
    if len(table) == 1:
        way = "posterior.ahead() leaves its last steps out" if one_series(posterior) else "fit more rows"
        raise ValueError(f"{posterior.name} was given one row, without which nothing is left to learn from; {way}")
    refuse_draws(posterior, "leave a row out")
    # What the guide is off by is made good together with the row that is left out.
    ratios = log_ratios(posterior)[:, None] if has_ratios(posterior) else 0.0
    efficiency = relative_efficiency(posterior)
    parts = [_left_out(logs, ratios, efficiency) for logs in log_likelihood_by_rows(posterior, table)]
    elpd_i, p_i, k = (np.concatenate(part) for part in zip(*parts, strict=True))
    return elpd_data(posterior, elpd_i, p_i, k, "row", table.index if table.index.nlevels == 1 else table.index.map(str))


def _left_out(logs: np.ndarray, ratios: np.ndarray | float, efficiency: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(row,) log density given the other rows, effective parameters and k-hat, from log p(row | draw) (draw, row)."""
    weights, k = smoothed(ratios - logs, efficiency)
    elpd = logsumexp(weights + logs, axis=0)
    return elpd, logsumexp(logs, axis=0) - np.log(len(logs)) - elpd, k


def left_out(posterior: "Posterior", table: pd.DataFrame) -> Iterator[Finding]:
    """Whether some rows are so telling that the posterior would be another without them."""
    if np.prod(posterior.shape) == 1 or not np.isfinite(table["mean"]).all():
        return
    if lacking := unlooked("left out", posterior, LEAST):
        yield lacking
        return
    many, draws = posterior.table.x.shape[1] if len(posterior.table) == 1 else len(posterior.table), np.prod(posterior.shape)
    if min(draws, FEW) * many > CHEAP:
        yield Finding("left out", "note", "not looked at: there are many rows.", "Call posterior.loo().")
        return
    # Neighbours in a chain say nearly the same of a row.
    posterior = posterior.thinned(math.ceil(draws / min(ENOUGH, CHEAP // many)) if draws > FEW else 1)
    if len(posterior.table) == 1:
        yield _steps_left_out(posterior)
        return
    found = loo(posterior)
    limit, count = found.good_k, len(posterior.table)
    bad = np.flatnonzero(~(found.pareto_k.values <= limit))
    if not len(bad):
        elpd = f"elpd {found.elpd:.1f} +- {found.se:.1f} by leaving rows out"
        yield Finding("left out", "good", f"{elpd}, every k-hat at most {limit:.2f}.")
        return
    worst = bad[np.argsort(-found.pareto_k.values[bad])][:SHOWN]
    rows = ", ".join(posterior.table.row(int(i)).removeprefix("row ") for i in worst) + ", ..." * (len(bad) > SHOWN)
    text = f"k-hat is above {limit:.2f} for {len(bad)} of {count} rows ({rows})"
    k = khat(posterior) if found.approx_posterior else 0.0
    if k > 0.5:
        advice = "Judge rows by mcmc" + (", or posterior.resampled()." if k <= limit else ".")
        yield Finding("left out", "note", f"{text}, to which the tails of the guide add theirs.", advice)
    else:
        advice = "Look at these rows; a distribution with heavier tails is moved less by single rows."
        yield Finding("left out", "warning", f"{text}: without them the posterior is another.", advice)


def _steps_left_out(posterior: "Posterior") -> Finding:
    """How far back a series is foretold by its own past, where it is the only row."""
    if not one_series(posterior):
        return Finding("left out", "note", "not looked at: there is one row, without which nothing is left to learn from.")
    found = ahead(posterior)
    count, steps = found.n_data_points, posterior.table.x.shape[1]
    elpd = f"elpd {found.elpd:.1f} +- {found.se:.1f} of the last {count} of {steps} steps, each foretold by those before it"
    if found.warning:
        return Finding("left out", "warning", "k-hat is too large for even the last step to be left out.", "Look at that step.")
    return Finding("left out", "good", f"{elpd}; there is one row, so that none can be left out.")
