"""R-hat, effective draws and quantiles of many parameters at once: ArviZ's numbers, to rounding.

ArviZ's own take a parameter at a time, and nearly all of their time goes in ranking its draws three times and transforming each chain
forward and back four times. Here draws are sorted once, their normal scores looked up by rank, and the chains' spectra summed before
they are transformed back.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from scipy.fft import irfft, next_fast_len, rfft

from .normal_scores import Ranked

CELLS, FEWEST = 1_000_000, 4
TAIL = (0.05, 0.95)
COLUMNS = ("mean", "sd", "q5", "q95", "mcse_mean", "ess_bulk", "ess_tail", "rhat")


def convergence(draws: np.ndarray) -> dict[str, np.ndarray]:
    """`COLUMNS` of every parameter of `draws` (chain, draw, parameter): each (parameter,), `NaN` where it cannot be computed.

    R-hat is the larger of the rank-normalised split ones of the draws and of their folded values; it needs two chains, and all that
    follows `q95` needs four draws. Memory is bounded however many parameters there are.

    Source: Vehtari, Gelman, Simpson, Carpenter & Buerkner 2021, "Rank-normalization, folding, and localization: an improved
    R-hat for assessing convergence of MCMC", Bayesian Analysis 16.
    """
    found = _by_parts(_columns, draws, len(COLUMNS))
    return dict(zip(COLUMNS, found, strict=True))


def ess_mean(draws: np.ndarray) -> np.ndarray:
    """(parameter,) effective draws for the mean of each parameter of `draws` (chain, draw, parameter); `NaN` as in `convergence`."""
    return _by_parts(lambda part: _judged(part, lambda split: [_ess(split)], 1), draws, 1)[0]


def ess_bulk(draws: np.ndarray) -> np.ndarray:
    """(parameter,) the `ess_bulk` of `convergence` alone, in a quarter of the time."""
    return _by_parts(lambda part: _judged(part, lambda split: [_ess(_ranked(split).bulk.reshape(split.shape))], 1), draws, 1)[0]


def _by_parts(function: Callable[[np.ndarray], np.ndarray], draws: np.ndarray, columns: int) -> np.ndarray:
    """(column, parameter) `function` of draws (parameter, chain, draw), some parameters at a time."""
    chains, length, count = draws.shape
    size = max(1, CELLS // (chains * length))
    parts = [slice(first, first + size) for first in range(0, count, size)]

    def one(part: slice) -> np.ndarray:
        # Constant and infinite draws divide nothing by nothing: the NaN that they leave is the answer.
        with np.errstate(all="ignore"):
            return function(np.ascontiguousarray(np.moveaxis(draws[:, :, part], 2, 0), dtype=float))

    # NumPy and SciPy let go of Python's lock while they sort and transform.
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        return np.concatenate([np.empty((columns, 0)), *pool.map(one, parts)], 1)


def normal_scores(draws: np.ndarray) -> np.ndarray:
    """`draws` (chain, draw, parameter), each replaced by the quantile of a normal distribution at its rank among all of its parameter."""
    flat = np.ascontiguousarray(np.moveaxis(draws, 2, 0).reshape(draws.shape[2], -1))
    return np.moveaxis(Ranked(flat).bulk.reshape(-1, *draws.shape[:2]), 0, 2)


def _columns(draws: np.ndarray) -> np.ndarray:
    """(column, parameter), of draws (parameter, chain, draw)."""
    count, chains, length = draws.shape
    flat = draws.reshape(count, -1)
    by_rank = _ranked(_split(draws)) if length >= FEWEST else None
    # An odd number's middle draws are in no half.
    low, high = np.quantile(flat, TAIL, axis=1) if by_rank is None or length % 2 else _quantiles(by_rank.ordered)
    # Of equal numbers the rounded mean can be another number.
    sd = np.where((flat == flat[:, :1]).all(1), 0.0, flat.std(1, ddof=1)) if flat.shape[1] > 1 else np.full(count, np.nan)
    spread = [flat.mean(1), sd, low, high]

    def agreement(split: np.ndarray) -> list[np.ndarray]:
        ranked, folded = (scores.reshape(split.shape) for scores in (by_rank.bulk, by_rank.folded()))
        bulk, tails = _rhat(ranked), _rhat(folded)
        rhat = np.where(tails > bulk, tails, bulk) if chains > 1 else np.full(count, np.nan)
        tail = np.minimum(*(_ess(_split(draws <= q[:, None, None]).astype(float)) for q in (low, high)))
        return [sd / np.sqrt(_ess(split)), _ess(ranked), tail, rhat]

    return np.concatenate([spread, _judged(draws, agreement, 4)])


def _quantiles(ordered: np.ndarray) -> list[np.ndarray]:
    """`TAIL` of each row of numbers in order, by linear interpolation."""
    places = np.array(TAIL) * (ordered.shape[1] - 1)
    below = places.astype(int)
    low, high = ordered[:, below], ordered[:, np.minimum(below + 1, ordered.shape[1] - 1)]
    return list(np.where(np.isnan(ordered[:, -1:]), np.nan, low + (high - low) * (places - below)).T)


def _judged(draws: np.ndarray, judge: Callable[[np.ndarray], list[np.ndarray]], columns: int) -> np.ndarray:
    """(column, parameter) what `judge` says of split chains; `NaN` where draws (parameter, chain, draw) are too few, or not finite."""
    count, _, length = draws.shape
    if length < FEWEST:
        return np.full((columns, count), np.nan)
    return np.where(np.isfinite(draws).all((1, 2)), judge(_split(draws)), np.nan)


def _split(draws: np.ndarray) -> np.ndarray:
    """Each chain as two, without the middle draw of an odd number: (parameter, 2 chains, half the draws)."""
    half = draws.shape[2] // 2
    return np.concatenate([draws[:, :, :half], draws[:, :, -half:]], 1)


def _ranked(split: np.ndarray) -> Ranked:
    return Ranked(split.reshape(len(split), -1))


def _rhat(split: np.ndarray) -> np.ndarray:
    """The square root of the pooled over the within-chain variance."""
    length = split.shape[2]
    between, within = length * split.mean(2).var(1, ddof=1), split.var(2, ddof=1).mean(1)
    return np.sqrt((between / within + length - 1) / length)


def _ess(split: np.ndarray) -> np.ndarray:
    """Effective draws (Geyer 1992's initial monotone sequence, over all chains), as ArviZ counts them."""
    _, chains, length = split.shape
    mean = split.mean(2)
    size = next_fast_len(2 * length, real=True)
    waves = rfft(split - mean[:, :, None], size, axis=2).view(float)
    power = np.einsum("pcw,pcw->pw", waves, waves).reshape(len(waves), -1, 2).sum(2)
    covariance = irfft(power, size, axis=1)[:, :length] / (chains * length)
    within = covariance[:, :1] * (length / (length - 1))
    pooled = covariance[:, :1] + (mean.var(1, ddof=1)[:, None] if chains > 1 else 0.0)
    rho = 1 - (within - covariance) / pooled
    rho[:, 0] = 1.0
    pairs = rho[:, : length // 2 * 2].reshape(len(rho), -1, 2).sum(2)
    # The sequence ends at the first pair that is not positive, or where lags run out; that pair's even lag counts half.
    most = max(0, (length - 3) // 2)
    stops = pairs[:, : most + 1] <= 0
    stops[:, most] = True
    end = stops.argmax(1)
    within_sequence = np.arange(most + 1) < end[:, None]
    total = np.where(within_sequence, np.minimum.accumulate(pairs[:, : most + 1], 1), 0.0).sum(1)
    even, pair = rho[np.arange(len(rho)), 2 * end], pairs[np.arange(len(rho)), end]
    tau = 2 * total - 1 + np.where((pair >= 0) | (even > 0), even, 0.0)
    count = chains * length
    constant = split.max((1, 2)) - split.min((1, 2)) < np.finfo(float).resolution
    return np.where(constant, count, count / np.maximum(tau, 1 / np.log10(count)))
