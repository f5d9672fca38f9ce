"""What is known exactly of each pair: one module a pair, of the pair's name, in slow and obvious numpy and scipy.

A module offers

- `cases() -> list[Case]`: hyperparameters and a few rows of data, in every shape that the pair has;
- `log_joint(pair, values, x) -> float`: the log density of the rows and the values of the shared sites, local latents summed
  or integrated out, NaN marginalised;
- `log_evidence(pair, x) -> float | None`: the log density of the rows alone, or None where nobody knows it.
"""

from typing import Any, NamedTuple

import numpy as np


class Case(NamedTuple):
    """One way to set a pair up. x: (rows, ...) with holes where the pair's data may have them."""

    id: str
    hyperparameters: dict[str, Any]
    x: np.ndarray
