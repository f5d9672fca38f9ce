"""What every family of emissions offers."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from pyro.distributions import TorchDistribution
from pyro.nn import PyroModule
from torch import Tensor


class Emission(PyroModule):
    """What a hidden state shows at a step, in D columns: a family, its prior, its guide, its start from the data.

    - `model()` draws the family's sites and returns the distribution of a step, batch shape (K,), event shape (D,), which knows `NaN`.
    - `guide()` draws the sites from the guide.
    - `start(x, member)` sets the guide to about the posterior given steps (n, D) and the probabilities (n, K) of their states.
    - `lags`: how many steps before one count for what it shows. Where some do, the distribution is one of series given the states they
      go through, and has `log_steps` and `follow` (`zoo/series/autoregressive.py`).
    - `moved(law, by)`: what `model()` returned with each column moved by so much (*batch, K, D), on the scale on which covariates act:
      that of numbers, of the logarithms of means, or of logits. `unit_of(spread)` of a column there; for a start, `response(x)` and
      `undone(x, by)`: steps on that scale, about, and steps as they would be unmoved. What covariates cannot move has no `moved`.
    - `sites`: those that have the states along their first axis; the first of them numbers the states.
    - `members`: site -> the axis that counts, within each state, parts that may be numbered in any order.
    - `parts`: of how many kinds the steps of one state may be.
    - `dims`: the names of all sites' axes. `restated`: sites that others say again in better terms.
    """

    model: Callable[[], TorchDistribution]
    guide: Callable[[], None]
    start: Callable[[Tensor, Tensor], None]
    sites: tuple[str, ...]
    dims: Mapping[str, tuple[str, ...]]
    members: Mapping[str, int] = {}
    parts: int = 1
    restated: tuple[str, ...] = ()
    lags: int = 0

    def refit(self, series: Tensor, member: Tensor) -> None:
        """The guide as about the posterior given series (N, T, D) and the probabilities (N, T, K) of their states at each step."""
        seen = (~series.isnan()).any(-1)
        self.start(series[seen], member[seen])

    moved: Callable[[TorchDistribution, Tensor], TorchDistribution] | None = None

    def unit_of(self, spread: Tensor) -> Tensor:
        return spread

    def response(self, x: Tensor) -> Tensor:
        return x

    def undone(self, x: Tensor, by: Tensor) -> Tensor:
        return x - by

    def labels(self, columns: list[str] | list[int]) -> dict[str, list[Any]]:
        """Labels along the axes named in `dims`, given which columns of the step these are."""
        return {"variable": columns}

    def features(self, x: Tensor) -> Tensor:
        """(n, F) numbers by which steps (n, D) are clustered before anything is known of their states."""
        centered = x - x.nanmean(0)
        return (centered / centered.square().nanmean(0).sqrt().clamp(min=1e-12)).nan_to_num()

    def wrong(self, x: Tensor) -> tuple[Tensor, str]:
        """Which values (..., D) the family cannot show, and why not; what it says of `NaN` does not count."""
        return torch.zeros_like(x, dtype=torch.bool), ""


def moments(x: Tensor, member: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of each state and column (K, D): how many steps were seen, their mean and their variance, from steps (n, D) and (n, K)."""
    seen = ~x.isnan()
    filled = torch.where(seen, x, 0.0)
    counts = (member.T @ seen.to(x.dtype)).clamp(min=1e-6)
    mean = member.T @ filled / counts
    return counts, mean, (member.T @ filled.square() / counts - mean.square()).clamp(min=1e-12)
