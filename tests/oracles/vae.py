"""The variational autoencoder by hand: the joint density of rows and codes, and the linear one's evidence."""

import numpy as np
from scipy.special import expit, log_softmax, logsumexp
from scipy.stats import multivariate_normal, norm

from . import Case, networks

NOISE = 0.4
# With two covariates.
LINEAR = {"latents": 1, "dim": 4, "hidden": [], "likelihood": "gaussian"}
LINEAR |= {"center": [1.0, 0.8, 1.2, 1.0, 0.3, -0.2], "spread": [1.2, 0.7, 1.0, 0.9, 2.0, 0.5]}


def cases() -> list[Case]:
    """Every likelihood, with hidden layers and without, with and without holes."""
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(8, 2)) @ rng.normal(size=(2, 4)) + 0.3 * rng.normal(size=(8, 4)) + 1.0
    shades, codes = expit(numbers), rng.integers(0, 3, size=(8, 3)).astype(float)
    gaussian = {"likelihood": "gaussian", "center": [1.0, 0.8, 1.2, 1.0], "spread": [1.2, 0.7, 1.0, 0.9]}
    image = {"network": "convolution", "image": [4, 4, 2], "mask": True, "activation": "tanh"}
    categorical = {"likelihood": "categorical", "categories": 3}
    return [
        Case("linear", {"latents": 2, "dim": 4, "hidden": [], **gaussian, "noise": NOISE}, numbers),
        Case("linear-mixture", {"latents": 2, "dim": 4, "hidden": [], **gaussian, "prior": "mixture", "components": 3}, numbers),
        Case("linear-full", {"latents": 2, "dim": 4, "hidden": [], **gaussian, "mask": True, "covariance": "full"}, _with_holes(numbers)),
        Case("gaussian-holes", {"latents": 2, "dim": 4, "hidden": [5], **gaussian, "mask": True}, _with_holes(numbers)),
        Case("bernoulli", {"latents": 1, "dim": 4, "hidden": [4, 3], "activation": "tanh"}, (shades > 0.6).astype(float)),
        Case("bernoulli-holes", {"latents": 2, "dim": 4, "hidden": [4], "center": [0.2, 0.5, 0.4, 1.0]}, _with_holes(shades)),
        Case("shades", {"latents": 2, "dim": 4, "hidden": [3], "likelihood": "continuous_bernoulli"}, shades),
        Case("categorical-holes", {"latents": 2, "dim": 3, "hidden": [4], **categorical}, _with_holes(codes)),
        Case("convolution", {"latents": 2, "dim": 32, "hidden": [3, 2], **image}, _with_holes(rng.random((8, 32)))),
        Case("flow", {"latents": 2, "dim": 4, "hidden": [], **gaussian, "prior": "flow", "covariance": "flow"}, numbers),
        Case("covariates", {**LINEAR, "covariates": 2, "mask": True}, np.column_stack([_with_holes(numbers), rng.normal(size=(8, 2))])),
        Case("vampprior", {"latents": 3, "dim": 4, "hidden": [4], "prior": "vampprior", "components": 2}, shades),
    ]


def log_joint(pair, values, x) -> float:
    """log p(x, z): the codes in `values`, NaN left out."""
    z, (own, told) = np.asarray(values["z"]), parted(pair, x)
    terms = log_columns(pair, decode(pair, np.column_stack([z, told])), own)
    return float(log_prior(pair, z).sum() + np.where(np.isnan(own), 0.0, terms).sum())


def parted(pair, x) -> tuple[np.ndarray, np.ndarray]:
    """Rows (N, D), and their covariates (N, C) in units of their spread from their means."""
    own, given = np.split(np.asarray(x), [pair.dim], axis=-1)
    if not pair.covariates:
        return own, given
    center, spread = (np.array(pair.hyperparameters[name])[pair.dim :] for name in ("center", "spread"))
    return own, (given - center) / spread


def log_prior(pair, z) -> np.ndarray:
    """(rows,) log density of codes."""
    kind = pair.hyperparameters.get("prior", "normal")
    if kind == "flow":
        return np.array([_log_bent(pair.prior.flow, code, np.zeros(0)) for code in z])
    if kind == "vampprior":
        weights, inputs = (value.detach().numpy() for value in (pair.prior.weights, pair.prior.inputs))
        return logsumexp([np.log(weight) + log_guide(pair, seen, z) for weight, seen in zip(weights, inputs, strict=True)], axis=0)
    return logsumexp([np.log(weight) + norm.logpdf(z, loc, scale).sum(-1) for weight, loc, scale in components(pair)], axis=0)


def log_guide(pair, seen, z) -> np.ndarray:
    """(rows,) log density of codes in the guide of a row of which the encoder sees `seen`, diagonal or a flow."""
    encoder, law = (getattr(pair, name) for name in pair.names)
    bent = networks.ACTIVATIONS[pair.hyperparameters["activation"]]
    loc, log_scale, *context = networks.dense(encoder, seen, bent).reshape(-1, pair.latents)
    if not context:
        return norm.logpdf(z, loc, np.exp(log_scale)).sum(-1)
    return np.array([_log_bent(law.flow, (code - loc) / np.exp(log_scale), context[0]) - log_scale.sum() for code in z])


def _log_bent(flow, code, context) -> float:
    numbers, stretched = networks.straightened(flow, code, context)
    return float(norm.logpdf(numbers).sum() + stretched)


def components(pair) -> list[tuple[float, np.ndarray, np.ndarray]]:
    """Weight, location (Q,) and scales (Q,) of each Normal distribution that the prior of the codes is mixed of."""
    if pair.hyperparameters.get("prior", "normal") == "normal":
        return [(1.0, np.zeros(pair.latents), np.ones(pair.latents))]
    learnt = (pair.prior.weights, pair.prior.locs, pair.prior.scales)
    return list(zip(*(value.detach().numpy() for value in learnt), strict=True))


def log_evidence(pair, x) -> float | None:
    """log p(x) given the weights, of the linear Gaussian one; None for every other."""
    given = pair.hyperparameters
    if given["hidden"] or given["likelihood"] != "gaussian" or given["prior"] == "flow":
        return None
    return float(sum(_log_row(pair, row) for row in np.asarray(x)))


def _log_row(pair, row) -> float:
    """The log density of what is seen of a row of a linear Gaussian one: a mixture of as many Normal distributions as the prior."""
    (mean, loadings, noise), (row, told) = linear(pair), parted(pair, row)
    seen, terms = ~np.isnan(row), []
    mean, loadings = mean + loadings[:, pair.latents :] @ told, loadings[:, : pair.latents]
    for weight, loc, scale in components(pair):
        at, turned = (mean + loadings @ loc)[seen], (loadings * scale)[seen]
        terms.append(np.log(weight) + multivariate_normal.logpdf(row[seen], at, turned @ turned.T + noise**2 * np.eye(seen.sum())))
    return logsumexp(terms)


def linear(pair) -> tuple[np.ndarray, np.ndarray, float]:
    """Mean (D,), loadings (D, Q + C), the last of covariates, and noise of a linear Gaussian one, in the units of the rows."""
    (weight, bias), spread = networks.layers(pair.decoder)[0], np.asarray(pair.likelihood.spread)
    return np.asarray(pair.likelihood.center) + spread * bias, spread[:, None] * weight, float(pair.likelihood.noise.detach())


def decode(pair, z) -> np.ndarray:
    """(rows, outputs) what the decoder makes of codes."""
    given = pair.hyperparameters
    bent = networks.ACTIVATIONS[given["activation"]]
    if given["network"] == "convolution":
        return networks.enlarged(pair.decoder, z, given["image"], bent)
    return networks.dense(pair.decoder, z, bent)


def log_columns(pair, output, x) -> np.ndarray:
    """(rows, D) log density of every column that was seen, anything at holes."""
    given = pair.hyperparameters
    x = np.where(np.isnan(x), 0.0, x)
    whole = (len(x), pair.dim + pair.covariates)
    center, spread = (np.broadcast_to(np.array(given[name], float), whole)[:, : pair.dim] for name in ("center", "spread"))
    if given["likelihood"] == "gaussian":
        return norm.logpdf(x, center + spread * output, float(pair.likelihood.noise.detach()))
    if given["likelihood"] == "categorical":
        logs = log_softmax(output.reshape(*x.shape, given["categories"]), -1)
        return np.take_along_axis(logs, x[..., None].astype(int), -1)[..., 0]
    mean = np.clip(center, 0.01, 0.99)
    probability = expit(np.log(mean / (1 - mean)) + output)
    entropy = x * np.log(probability) + (1 - x) * np.log(1 - probability)
    if given["likelihood"] == "bernoulli":
        return entropy
    return entropy + np.log(2 * np.arctanh(1 - 2 * probability) / (1 - 2 * probability))


def _with_holes(x: np.ndarray) -> np.ndarray:
    x = x.copy()
    x[1, 0] = x[4, 2] = x[6, 0] = x[6, 1] = np.nan
    return x
