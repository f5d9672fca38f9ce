"""Modes: places that chains settled in and do not leave, and the weight that each deserves. Chains that are stuck are no mode."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
import torch
from scipy.sparse.csgraph import connected_components

from .bridge import log_masses
from .convergence import convergence, normal_scores
from .convert import labelled

if TYPE_CHECKING:
    from ..posterior import Posterior

LOOKED_AT, STUCK = 50, 0.01


class Modes(NamedTuple):
    """chains: those in each mode, the modes of most weight first. apart: the parameter that tells most modes apart.

    log_weights: of the modes' posterior masses, which sum to one, errors, the standard error of each before they were made to sum
    to one, and draws, from how many of each mode they are; all empty where `unknown` says why.
    """

    chains: list[list[int]]
    apart: str
    log_weights: list[float]
    errors: list[float]
    draws: list[int]
    unknown: str = ""


def stuck_chains(posterior: "Posterior") -> list[int]:
    """The chains that stand still: in all numbers that move in some chain, or in one that moves in most; and those whose draws vary
    less than a hundredth as much as most chains' in every number."""
    if posterior.shape[0] == 1:
        return []
    flat = [values.reshape(*posterior.shape, -1) for values in posterior.aligned.values()]
    still = torch.cat([(values == values[:, :1]).all(1) for values in flat], 1)
    spread = torch.cat([values.to(posterior.like.dtype).std(1, correction=0) for values in flat], 1)
    spread = torch.where(still, 0.0, spread)
    usual = spread.sort(0).values[len(spread) // 2]
    moves, varies = ~still.all(0), usual > 0
    hardly = varies.any() & (spread < STUCK * usual)[:, varies].all(1)
    return (still[:, moves].all(1) | (still & varies).any(1) | hardly).nonzero().flatten().tolist()


def modes(posterior: "Posterior", table: pd.DataFrame, without: list[int]) -> Modes | None:
    """The modes that the chains of a posterior sit in, or None where they form one group; `table` is that of `summarise`.

    Two chains are apart where, in some parameter or its ranks among all draws, their means differ by more than the sum of their
    standard deviations (a mixture of two equal normals has two modes from there on) and four standard errors. A mode is a group of
    chains of which none is apart from all others; chains that go to and fro join groups to one. The parameters looked at are the
    50 of largest R-hat. without: chains to leave out, since they are stuck.
    """
    labels, numbers = labelled(posterior)
    chains = np.setdiff1d(np.arange(posterior.shape[0]), without)
    # R-hat is NaN where all chains stand still at one place, which tells none apart.
    worst = np.argsort(-table["rhat"].fillna(0.0).to_numpy(), kind="stable")[:LOOKED_AT]
    separate, where = _separate(numbers.numpy()[chains][:, :, worst].astype(float))
    count, group = connected_components(~separate, directed=False)
    if count == 1:
        return None
    found = [chains[group == g].tolist() for g in range(count)]
    across = group[:, None] != group[None, :]
    apart = labels[worst[np.bincount(where[across]).argmax()]]
    masses = log_masses(posterior, found)
    if isinstance(masses, str):
        return Modes(sorted(found, key=len, reverse=True), apart, [], [], [], masses)
    order = np.argsort([-mass.log for mass in masses], kind="stable")
    total = np.logaddexp.reduce([mass.log for mass in masses])
    found, masses = [found[i] for i in order], [masses[i] for i in order]
    return Modes(found, apart, [float(m.log - total) for m in masses], [m.error for m in masses], [m.draws for m in masses])


def _separate(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(chain, chain) whether two chains of `numbers` (chain, draw, parameter) are apart, and in which parameter most."""
    chains, draws, looked_at = numbers.shape
    # Ranks see what is apart in a parameter of long tails, and the numbers themselves how far apart.
    numbers = np.concatenate([numbers, normal_scores(numbers)], 2)
    count = 2 * looked_at
    each = convergence(np.moveaxis(numbers, 0, 1).reshape(1, draws, chains * count))
    mean, sd, error = (np.nan_to_num(each[name]).reshape(chains, count) for name in ("mean", "sd", "mcse_mean"))
    between = abs(mean[:, None] - mean[None, :])
    overlap = sd[:, None] + sd[None, :] + 4 * np.hypot(error[:, None], error[None, :])
    with np.errstate(all="ignore"):
        ratio = np.nan_to_num(between / overlap)
    return ratio.max(2) > 1, ratio.argmax(2) % looked_at
