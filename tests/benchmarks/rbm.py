"""Restricted Boltzmann machines: the normaliser of published weights, beside a plain NumPy AIS; digits, beside scikit-learn's machine.

The weights are those of CD25(500) of Salakhutdinov & Murray 2008 ("On the quantitative analysis of deep belief networks", ICML), who
give log Z = 451.28 and -86.34 nats for a test digit; ZOO_DATA names a folder that holds `rbm` and `mnist`.
"""

import gzip
import math
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.special import expit, logsumexp
from sklearn.neural_network import BernoulliRBM

import inference
import zoo
from inference import Posterior, as_table

from .side import apart

FOLDER = Path(os.environ.get("ZOO_DATA", ""))
CHAINS = 100


def machine(weights: np.ndarray, visible: np.ndarray, hidden: np.ndarray, center: np.ndarray) -> tuple[Posterior, float]:
    """The machine of energy -a'x - b'h - x'Wh as a pair that is centred, and what is to be added to its log Z for that energy's."""
    pair = zoo.create("rbm", hidden=len(hidden), dim=len(visible), center=center.tolist())
    bias = hidden + center @ weights
    given = {"weights": weights, "visible_bias": visible + weights @ expit(bias), "hidden_bias": bias}
    with torch.no_grad():
        for name, value in given.items():
            getattr(pair, name).copy_(torch.as_tensor(value))
    return Posterior.of(pair, {}, {}, {"method": "hand"}, as_table(np.zeros((1, len(visible))))), -float(center @ weights @ expit(bias))


def ours(places: int) -> dict[str, Any]:
    """log Z of CD25(500), what holds it, nats for a test digit, and seconds.

    A pixel of a test digit is drawn, to be on as often as it is bright: at the published log Z such digits come to the published nats
    (-86.27 to -86.42 by three draws), and those with pixels on above a half to -69.90.
    """
    found, test = np.load(FOLDER / "rbm" / "mnistvh_CD25.npz"), images("t10k")
    posterior, shift = machine(found["W"], found["a"], found["b"], images("train").mean(0).clip(0.001, 0.999))
    begin = time.perf_counter()
    posterior = posterior.normalised(chains=CHAINS, places=places)
    seconds = time.perf_counter() - begin
    known = posterior.how["normaliser"]
    seen = (np.random.default_rng(0).random(test.shape) < test).astype(float)
    return {name: known[name] + shift for name in ("log_z", "low", "high")} | {
        "test": float(posterior.score(seen).mean()),
        "effective": known["effective"],
        "seconds": seconds,
    }


def by_numpy(places: int) -> dict[str, Any]:
    """log Z of CD25(500) as the paper has it: from the columns' base rates over `places` places, one way; and seconds."""
    found, base = np.load(FOLDER / "rbm" / "mnistvh_CD25.npz"), images("train").mean(0).clip(0.001, 0.999)
    weights, visible, hidden = (found[name].astype(np.float32) for name in ("W", "a", "b"))
    first = np.log(base / (1 - base)).astype(np.float32)
    rng, betas = np.random.default_rng(0), paper_places(places).astype(np.float32)
    begin = time.perf_counter()

    def log_density(v: np.ndarray, lean: np.ndarray, beta: float) -> np.ndarray:
        return (1 - beta) * (v @ first) + beta * (v @ visible) + np.logaddexp(0, beta * lean).sum(1)

    v = (rng.random((CHAINS, len(visible)), dtype=np.float32) < base).astype(np.float32)
    lean, logs = v @ weights + hidden, np.zeros(CHAINS)
    for before, beta in zip(betas[:-1], betas[1:], strict=True):
        logs += log_density(v, lean, beta) - log_density(v, lean, before)
        h = (rng.random(lean.shape, dtype=np.float32) < expit(beta * lean)).astype(np.float32)
        v = (rng.random(v.shape, dtype=np.float32) < expit((1 - beta) * first + beta * (h @ weights.T + visible))).astype(np.float32)
        lean = v @ weights + hidden
    log_z = np.logaddexp(0, first).sum() + len(hidden) * math.log(2) + logsumexp(logs) - math.log(CHAINS)
    share = np.exp(logs - logs.max())
    return {"log_z": float(log_z), "error": float(share.std() / share.mean() / CHAINS**0.5), "seconds": time.perf_counter() - begin}


def paper_places(places: int) -> np.ndarray:
    """Places spaced as in the paper: 500 to 0.5, 4000 to 0.9 and 10,000 to 1 of every 14,500."""
    parts = [(0, 0.5, 500), (0.5, 0.9, 4000), (0.9, 1, 10_000)]
    return np.concatenate([np.linspace(a, b, max(2, round(n * places / 14_500)), endpoint=b == 1) for a, b, n in parts])


def images(part: str) -> np.ndarray:
    """(rows, 784) digits, in shades from 0 to 1."""
    with gzip.open(FOLDER / "mnist" / f"{part}-images-idx3-ubyte.gz") as file:
        return np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 784) / 255


def digits(hidden: int, steps: int) -> dict[str, float]:
    """Nats for a digit that was not fitted: ours, and scikit-learn's of the best of three learning rates; by the same AIS."""
    x = (zoo.data.load("digits").x > 0.5).float()
    train, test = x[:1200], x[1200:]
    begin = time.perf_counter()
    fitted = inference.svi(zoo.create("rbm", train, hidden=hidden), train, batch=100, steps=steps)
    found = {"ours": float(fitted.normalised(exact=False).score(test).mean()), "our seconds": time.perf_counter() - begin}
    begin, center = time.perf_counter(), train.mean(0).double().numpy()
    theirs = []
    for rate in (0.1, 0.03, 0.01):
        rbm = BernoulliRBM(hidden, learning_rate=rate, batch_size=100, n_iter=steps // 12, random_state=0).fit(train.numpy())
        posterior, _ = machine(rbm.components_.T, rbm.intercept_visible_, rbm.intercept_hidden_, center)
        theirs.append(float(posterior.normalised(exact=False).score(test).mean()))
    return found | {"scikit-learn": max(theirs), "their seconds": (time.perf_counter() - begin) / 3}


def main(quick: bool) -> None:
    """Print both."""
    steps = 1200 if quick else 6000
    for hidden in (16, 64):
        found = apart(digits, hidden=hidden, steps=steps)
        print(
            f"\nRBM of 8 x 8 digits, {hidden} hidden units, {steps} steps: " + ", ".join(f"{n} {v:.2f}" for n, v in found.items()),
            flush=True,
        )
    if not FOLDER.joinpath("rbm").is_dir():
        print("CD25(500): ZOO_DATA names no folder that holds `rbm`")
        return
    places = 1000 if quick else 14_500
    for name, side in (("ours, there and back", ours), ("NumPy, one way", by_numpy)):
        found = apart(side, places=places)
        print(f"CD25(500), {places} places, {name}: {_said(found)}", flush=True)


def _said(found: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.2f}" for name, value in found.items())
