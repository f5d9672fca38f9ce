"""A guide's draws, drawn again by their importance: closer to the posterior than the guide is, where k-hat allows it."""

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from ..run import at_least
from .khat import in_words, log_ratios, smoothed, trusted_up_to

if TYPE_CHECKING:
    from ..posterior import Posterior


def resampled(posterior: "Posterior", draws: int | None = None, seed: int = 0) -> "Posterior":
    """See `Posterior.resampled`."""
    at_least(1, draws=draws)
    at_least(0, seed=seed)
    logs, k = (part[..., 0] for part in smoothed(log_ratios(posterior)[:, None]))
    limit = trusted_up_to(len(logs))
    if not k <= limit:
        raise ValueError(
            f"{posterior.name}, k-hat {in_words(float(k), limit)}: its draws cannot be reweighed into the posterior; use "
            "mcmc(start=...) with this posterior, or a richer guide"
        )
    weights = np.exp(logs)
    chosen = torch.as_tensor(systematic(weights, draws or len(weights), seed), device=posterior.device)
    by_draw = {name: value for name, value in posterior.by_draw.items() if name != "log_q"}
    by_step = {name: value for name, value in posterior.stats.items() if value.dim() == 1}
    how = {**posterior.how, "resampled": {"draws": len(weights), "effective": float(1 / np.square(weights).sum())}}
    return replace(
        posterior,
        draws={name: value.flatten(0, 1)[None, chosen] for name, value in posterior.draws.items()},
        stats=by_step | {name: value.flatten()[None, chosen] for name, value in by_draw.items()},
        how=how,
    )


def worth(posterior: "Posterior") -> float:
    """How many independent draws of what it stands for a guide's draws are worth; fewer than there are if they were reweighed."""
    return min(math.prod(posterior.shape), posterior.how.get("resampled", {}).get("effective", math.inf))


def systematic(weights: np.ndarray, count: int, seed: int) -> np.ndarray:
    """(count,) indices in random order: index i is there `count * weights[i]` times, rounded up or down at random.

    So it is there once at most where its weight is below one in `count`. weights: of sum one.

    Source: Kitagawa 1996, "Monte Carlo filter and smoother for non-Gaussian nonlinear state space models", JCGS 5, appendix.
    """
    generator = np.random.default_rng(seed)
    # Shuffled first, so that neighbours in the run do not exclude each other.
    order = generator.permutation(len(weights))
    edges = np.cumsum(weights[order])
    points = (np.arange(count) + generator.random()) / count * edges[-1]
    return generator.permutation(order[np.searchsorted(edges, points, side="right").clip(max=len(weights) - 1)])
