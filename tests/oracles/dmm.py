"""The deep Markov model by hand: the joint density of series and states, step by step, and the linear one's evidence."""

import numpy as np
from scipy.special import expit
from scipy.stats import multivariate_normal, norm

from . import Case, networks


def cases() -> list[Case]:
    """A linear one of numbers, with gaps and ragged ends; and a gated one of black and white."""
    rng = np.random.default_rng(3)
    numbers = rng.normal(size=(4, 5, 2)).cumsum(1) * [0.5, 0.3] + [0.4, -1.0]
    numbers[0, 1], numbers[1, 0, 1], numbers[2, 3:] = np.nan, np.nan, np.nan
    bits = (rng.random((4, 5, 3)) > 0.4).astype(float)
    given = {"dim": 2, "center": [0.3, -0.8], "spread": [1.5, 0.7], "mask": True}
    return [
        Case("linear-gaps", {"states": 2, "hidden": [], "memory": 3, "noise": 0.3, **given}, numbers),
        Case("bits", {"states": 2, "dim": 3, "hidden": [4], "memory": 3, "likelihood": "bernoulli", "center": 0.4}, bits),
    ]


def log_joint(pair, values, x) -> float:
    """log p(x, z): the states in `values`, NaN left out, and states after the end of a series standard normal."""
    x = np.asarray(x).reshape(*np.shape(x)[:2], -1)
    return sum(_log_row(pair, *row) for row in zip(np.asarray(values["z"]), x, strict=True))


def _log_row(pair, z, x) -> float:
    seen = np.flatnonzero((~np.isnan(x)).any(1))
    length = seen[-1] + 1 if len(seen) else 0
    total = norm.logpdf(z[length:]).sum()
    for t in range(length):
        total += norm.logpdf(z[t], *(first(pair) if t == 0 else step(pair, z[t - 1]))).sum()
        total += np.nansum(log_columns(pair, z[t], x[t]))
    return float(total)


def first(pair) -> tuple[np.ndarray, np.ndarray]:
    """Mean and scales of the first state."""
    return pair.first_loc.detach().numpy(), pair.first_scale.detach().numpy()


def step(pair, z) -> tuple[np.ndarray, np.ndarray]:
    """Mean and scales of the state that follows another."""
    weight, bias = networks.layers(pair.step.linear)[0]
    kept = weight @ z + bias
    if not pair.hyperparameters["hidden"]:
        return kept, drift(pair)
    gate, proposal, scale = np.split(networks.dense(pair.step.net, z), 3)
    return (1 - expit(gate)) * kept + expit(gate) * proposal, np.logaddexp(0, scale)


def drift(pair) -> np.ndarray:
    """(K,) scales of what a step changes in states of the linear one."""
    return np.exp(pair.step.log_scale.detach().numpy())


def log_columns(pair, z, x) -> np.ndarray:
    """(D,) log density of what a step shows."""
    output, given = networks.dense(pair.decoder, z), pair.hyperparameters
    center = np.broadcast_to(np.array(given["center"], float), x.shape)
    if given["likelihood"] == "gaussian":
        return norm.logpdf(x, center + np.array(given["spread"]) * output, float(pair.likelihood.noise.detach()))
    mean = np.clip(center, 0.01, 0.99)
    probability = expit(np.log(mean / (1 - mean)) + output)
    return x * np.log(probability) + (1 - x) * np.log(1 - probability)


def log_evidence(pair, x) -> float | None:
    """log p(x) given the weights, of the linear Gaussian one; None for every other."""
    if pair.hyperparameters["hidden"] or pair.hyperparameters["likelihood"] != "gaussian":
        return None
    return float(sum(log_series(pair, row) for row in np.asarray(x).reshape(*np.shape(x)[:2], -1)))


def log_series(pair, x) -> float:
    """The density of what is seen of a series (T, D) of the linear Gaussian one: all its numbers are one Gaussian vector."""
    mean, _, numbers = moments(pair, len(x))
    seen = ~np.isnan(x.ravel())
    return multivariate_normal.logpdf(x.ravel()[seen], mean[1][seen], numbers[np.ix_(seen, seen)]) if seen.any() else 0.0


def moments(pair, steps: int) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray, np.ndarray]:
    """Of the linear one: the means of all states (T K,) and numbers (T D,) of a series, their covariance, and that of the numbers."""
    means, covariance = states(pair, steps)
    (weight, bias), given = networks.layers(pair.decoder)[0], pair.hyperparameters
    spread = np.broadcast_to(np.array(given["spread"], float), len(bias))
    shows = np.kron(np.eye(steps), spread[:, None] * weight)
    shown = np.tile(np.array(given["center"], float) + spread * bias, steps) + shows @ means
    noise = float(pair.likelihood.noise.detach()) ** 2 * np.eye(len(shown))
    return (means, shown), covariance @ shows.T, shows @ covariance @ shows.T + noise


def conditional(pair, x, of: str) -> tuple[np.ndarray, np.ndarray]:
    """Means and sds of the "states" (T, K), or of the "numbers" (T, D), of a series (T, D) of the linear one given what is seen of it."""
    (means, shown), across, numbers = moments(pair, len(x))
    seen = ~np.isnan(x.ravel())
    prior, with_seen = (states(pair, len(x))[1], across[:, seen]) if of == "states" else (numbers, numbers[:, seen])
    weights = np.linalg.solve(numbers[np.ix_(seen, seen)], with_seen.T).T
    mean = (means if of == "states" else shown) + weights @ (x.ravel() - shown)[seen]
    variance = np.diag(prior - weights @ with_seen.T)
    return mean.reshape(len(x), -1), np.sqrt(variance.clip(min=0)).reshape(len(x), -1)


def states(pair, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Means (T K,) of all states of a series of the linear one, and their covariance (T K, T K)."""
    (loc, scale), (weight, bias) = first(pair), networks.layers(pair.step.linear)[0]
    means, covariance = [loc], np.zeros((steps, steps, *weight.shape))
    covariance[0, 0] = np.diag(scale**2)
    for t in range(1, steps):
        means.append(weight @ means[-1] + bias)
        for s in range(t):
            covariance[t, s] = weight @ covariance[t - 1, s]
            covariance[s, t] = covariance[t, s].T
        covariance[t, t] = weight @ covariance[t - 1, t - 1] @ weight.T + np.diag(drift(pair) ** 2)
    return np.concatenate(means), covariance.transpose(0, 2, 1, 3).reshape(steps * len(loc), -1)
