"""Restricted Boltzmann machine: energies written out, every state of the hidden units gone through."""

from itertools import product

import numpy as np
from scipy.special import expit, logsumexp
from scipy.stats import norm

from . import Case


def cases() -> list[Case]:
    """Binary and Gaussian units, with and without holes."""
    rng = np.random.default_rng(0)
    likely = np.array([[0.9, 0.8, 0.2, 0.1, 0.5], [0.1, 0.3, 0.9, 0.7, 0.5]])[rng.integers(0, 2, 12)]
    pixels = (rng.random((12, 5)) < likely).astype(float)
    numbers = rng.normal(size=(10, 1)) * np.array([1.0, -2.0, 0.5]) + 0.3 * rng.normal(size=(10, 3)) + 1.0
    gaussian = {"hidden": 3, "dim": 3, "units": "gaussian", "center": [1.0, 0.9, 1.1], "spread": [1.0, 2.0, 0.6]}
    return [
        Case("binary", {"hidden": 4, "dim": 5, "center": pixels.mean(0).tolist()}, pixels),
        Case("binary-holes", {"hidden": 3, "dim": 5, "weight_decay": 0.1}, _with_holes(pixels)),
        Case("gaussian", gaussian, numbers),
        Case("gaussian-holes", {**gaussian, "hidden": 2}, _with_holes(numbers)),
    ]


def log_joint(pair, values: dict[str, np.ndarray], x: np.ndarray) -> float:
    """log p(x, h), its normaliser as the pair has it, and the weights' decay."""
    decay = -0.5 * pair.hyperparameters["weight_decay"] * len(x) * (given(pair)["weights"] ** 2).sum()
    rows = [_log_row(pair, h, row) for h, row in zip(np.asarray(values["h"]), x, strict=True)]
    return float(decay + sum(rows) - len(x) * float(pair.log_z))


def log_evidence(pair, x: np.ndarray) -> float:
    """log p(x): the mass of the rows over that of all rows there are, and the weights' decay left out."""
    return float(sum(log_mass(pair, row) for row in x) - len(x) * log_mass(pair, np.full(x.shape[1], np.nan)))


def log_mass(pair, row: np.ndarray) -> float:
    """log of the sum of exp(-E) over hidden units and what is missing of the row; of all there is, for a row of nothing but holes."""
    return float(logsumexp([_log_row(pair, np.array(h), row) for h in states(len(given(pair)["hidden_bias"]))]))


def states(units: int) -> list[tuple[float, ...]]:
    return list(product((0.0, 1.0), repeat=units))


def given(pair) -> dict[str, np.ndarray]:
    named = {name: value.detach().numpy() for name, value in pair.named_parameters()}
    scales = {name: np.broadcast_to(np.array(pair.hyperparameters[name], float), (pair.dim,)) for name in ("center", "spread")}
    return named | scales


def _log_row(pair, h: np.ndarray, row: np.ndarray) -> float:
    """-E(row, h), summed or integrated over what is missing of the row."""
    p = given(pair)
    lean = p["weights"] @ (h - expit(p["hidden_bias"]))
    own = float(p["hidden_bias"] @ h)
    seen = ~np.isnan(row)
    if pair.hyperparameters["units"] == "binary":

        def of_pixel(i: int, value: float) -> float:
            return p["visible_bias"][i] * value + (value - p["center"][i]) * lean[i]

        return own + sum(of_pixel(i, row[i]) if seen[i] else np.logaddexp(of_pixel(i, 0.0), of_pixel(i, 1.0)) for i in range(len(row)))
    noise, field = np.exp(p["units.noise_unconstrained"]), p["visible_bias"] + lean
    mass = 0.5 * (field / noise) ** 2
    return own + float((mass + np.where(seen, norm.logpdf(row, p["center"] + p["spread"] * field, p["spread"] * noise), 0.0)).sum())


def _with_holes(x: np.ndarray) -> np.ndarray:
    x = x.copy()
    x[1, 0] = x[4, 2] = x[6, 0] = x[6, 1] = np.nan
    return x
