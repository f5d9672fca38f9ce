"""Factor analysis: rows are Gaussian with covariance W W' + noise^2."""

import numpy as np
import scipy.stats as st

from . import Case

ROWS = np.random.default_rng(4).normal(size=(8, 4)) @ np.diag([1.0, 2.0, 0.5, 1.5]) + np.array([0.0, 1.0, -1.0, 3.0])
HOLES = ROWS.copy()
HOLES[0, 1] = HOLES[2, :3] = HOLES[5, 0] = np.nan
SIZES = {"dim": 4, "center": [0.1, 0.9, -1.0, 2.8], "spread": [1.0, 2.0, 0.5, 1.5]}


def cases() -> list[Case]:
    return [
        Case("two", {**SIZES, "factors": 2}, ROWS),
        Case("relevance-holes", {**SIZES, "factors": 3, "ard": True, "ard_shape": 0.7, "loading_scale": 2.0, "noise_scale": 0.5}, HOLES),
    ]


def log_joint(pair, values: dict[str, np.ndarray], x: np.ndarray) -> float:
    return log_prior(pair, values, given(pair)["spread"]) + log_rows(values, x).sum()


def log_prior(pair, values: dict[str, np.ndarray], noise_unit: np.ndarray) -> float:
    """The density of the shared sites; noise_unit: scale of the data, shaped as the noise."""
    known = given(pair)
    scale = known["loading_scale"] * known["spread"][:, None] * np.ones(known["factors"])
    total = st.norm(known["center"], known["loc_scale"] * known["spread"]).logpdf(values["loc"]).sum()
    total += st.halfcauchy(scale=known["noise_scale"] * noise_unit).logpdf(values["noise"]).sum()
    if known["ard"]:
        total += st.gamma(known["ard_shape"], scale=1 / known["ard_shape"]).logpdf(values["relevance"]).sum()
        scale = scale / np.sqrt(values["relevance"])
    return total + st.norm(0, scale).logpdf(values["loadings"]).sum()


def log_rows(values: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    """(rows,) the density of what is seen of each row, by its dense covariance."""
    covariance = values["loadings"] @ values["loadings"].T + np.diag(np.broadcast_to(values["noise"] ** 2, values["loc"].shape))
    logs = []
    for row in x:
        seen = ~np.isnan(row)
        logs.append(st.multivariate_normal(values["loc"][seen], covariance[np.ix_(seen, seen)]).logpdf(row[seen]) if seen.any() else 0.0)
    return np.array(logs)


def given(pair) -> dict:
    """The pair's hyperparameters, numbers for each column as arrays."""
    known = dict(pair.hyperparameters)
    for name in ("center", "spread"):
        known[name] = np.broadcast_to(np.asarray(known[name], dtype=float), (known["dim"],))
    return known


def log_evidence(pair, x: np.ndarray) -> float | None:
    return None
