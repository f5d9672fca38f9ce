"""A guide's draws, drawn again by their importance: closer to the posterior than the guide is, where k-hat allows it."""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from ..run import at_least
from .khat import log_ratios, smoothed, trusted_up_to

if TYPE_CHECKING:
    from ..posterior import Posterior


def resampled(posterior: "Posterior", draws: int | None = None, seed: int = 0) -> "Posterior":
    """See `Posterior.resampled`."""
    at_least(1, draws=draws)
    at_least(0, seed=seed)
    logs, k = (part[..., 0] for part in smoothed(log_ratios(posterior)[:, None]))
    limit = trusted_up_to(posterior.shape[1])
    if not k <= limit:
        raise ValueError(
            f"{posterior.name}: k-hat is {k:.2f} (at most {limit:.2f}), so its draws cannot be reweighed into the posterior; "
            "use mcmc(start=...) with this posterior, or a richer guide"
        )
    weights = np.exp(logs)
    chosen = torch.as_tensor(systematic(weights, draws or len(weights), seed), device=posterior.device)
    by_draw = {name: value for name, value in posterior.stats.items() if tuple(value.shape) == posterior.shape and name != "log_q"}
    by_step = {name: value for name, value in posterior.stats.items() if value.dim() == 1}
    how = {**posterior.how, "resampled": {"draws": len(weights), "effective": float(1 / np.square(weights).sum())}}
    return replace(
        posterior,
        draws={name: value[:, chosen] for name, value in posterior.draws.items()},
        stats=by_step | {name: value[:, chosen] for name, value in by_draw.items()},
        how=how,
    )


def systematic(weights: np.ndarray, count: int, seed: int) -> np.ndarray:
    """(count,) indices, each there `count` times its weight, rounded up or down at random, in random order.

    So none is there twice where there are many to choose from. Source: Kitagawa 1996, JCGS 5, "Monte Carlo filter and smoother
    for non-Gaussian nonlinear state space models", appendix.
    """
    generator = np.random.default_rng(seed)
    # Shuffled first, so that neighbours in the run do not exclude each other.
    order = generator.permutation(len(weights))
    edges = np.cumsum(weights[order])
    points = (np.arange(count) + generator.random()) / count * edges[-1]
    return generator.permutation(order[np.searchsorted(edges, points, side="right").clip(max=len(weights) - 1)])
