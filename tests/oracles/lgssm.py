"""The linear Gaussian state space model by hand: all numbers of a series are one Gaussian vector."""

import numpy as np
import scipy.stats as st

from . import Case, fa

given = fa.given


def cases() -> list[Case]:
    """One column and several, fewer states than columns and more, with and without gaps and padding; four short series."""
    rng = np.random.default_rng(2)
    numbers = rng.normal(size=(4, 6, 2)).cumsum(1) * [1.0, 0.5] + [0.4, -1.0]
    holes = numbers.copy()
    holes[0, 1], holes[2, 4:], holes[3, 0, 1] = np.nan, np.nan, np.nan
    sizes = {"dim": 2, "center": [0.3, -0.8], "spread": [1.5, 0.7], "loc_scale": 3.0}
    return [
        Case("one", {"center": 0.2, "spread": 1.4}, numbers[..., 0]),
        Case("gaps", {**sizes, "loading_scale": 1.5}, holes),
        Case("two-states", {"states": 2, "spread": 1.2, "noise_scale": 0.5}, holes[..., 0]),
    ]


def log_joint(pair, values: dict[str, np.ndarray], x: np.ndarray) -> float:
    known = given(pair)
    spread, scale = known["spread"], known["loading_scale"] * known["spread"][:, None]
    total = st.norm(known["center"], known["loc_scale"] * spread).logpdf(values["loc"]).sum()
    total += st.norm(0, scale).logpdf(values["loadings"]).sum() + st.uniform(-1, 2).logpdf(values["persistence"]).sum()
    total += st.halfcauchy(scale=known["noise_scale"] * spread).logpdf(values["noise"]).sum()
    return total + sum(log_row(values, row) for row in x.reshape(*x.shape[:2], known["dim"]))


def log_evidence(pair, x: np.ndarray) -> float | None:
    return None


def log_row(values: dict[str, np.ndarray], row: np.ndarray) -> float:
    """The density of what is seen of a series (T, D)."""
    seen = ~np.isnan(row.ravel())
    mean, covariance = np.tile(values["loc"], len(row)), moments(values, len(row))[2]
    return st.multivariate_normal(mean[seen], covariance[np.ix_(seen, seen)]).logpdf(row.ravel()[seen]) if seen.any() else 0.0


def moments(values: dict[str, np.ndarray], steps: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The covariances of all states (T K), of states with numbers (T K, T D), and of all numbers (T D), of a series."""
    apart = np.abs(np.subtract.outer(np.arange(steps), np.arange(steps)))
    lasting = values["persistence"][:, None, None] ** apart
    states = np.einsum("ktu,kl->tkul", lasting, np.eye(len(lasting)))
    across = np.einsum("tkul,dl->tkud", states, values["loadings"])
    numbers = np.einsum("dk,tkue->tdue", values["loadings"], across)
    numbers = numbers + np.einsum("tu,de->tdue", np.eye(steps), np.diag(values["noise"] ** 2))
    return tuple(c.reshape(c.shape[0] * c.shape[1], -1) for c in (states, across, numbers))


def conditional(values: dict[str, np.ndarray], row: np.ndarray, of: str) -> tuple[np.ndarray, np.ndarray]:
    """Means and sds of the "states" (T, K), or of the "numbers" (T, D), of a series given what is seen of it."""
    states, across, numbers = moments(values, len(row))
    seen, loc = ~np.isnan(row.ravel()), np.tile(values["loc"], len(row))
    prior, with_seen = (states, across[:, seen]) if of == "states" else (numbers, numbers[:, seen])
    weights = np.linalg.solve(numbers[np.ix_(seen, seen)], with_seen.T).T
    mean = weights @ (row.ravel() - loc)[seen] + (0.0 if of == "states" else loc)
    variance = np.diag(prior - weights @ with_seen.T)
    return mean.reshape(len(row), -1), np.sqrt(variance.clip(min=0)).reshape(len(row), -1)
