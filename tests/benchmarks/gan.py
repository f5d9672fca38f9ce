"""Generative adversarial networks: a ring of 8 and a grid of 25 Gaussians, and codes of digits beside an autoencoder's.

A mode is there if a row made lies within four standard deviations of it; a row is near a mode likewise. Of codes, the share of digits
never fitted whose nearest neighbour among those fitted, by code, is the same digit; with Donahue et al. 2017, 97.39% of MNIST.
"""

import math
import time
from typing import Any

import torch
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor

import inference
import zoo

from .side import apart

SPREADS = {"ring": 0.02, "grid": 0.05}
WIDE = {"hidden": [128, 128, 128], "critic_hidden": [128, 128, 128], "noise": 1e-3}


def ring(rows: int, seed: int) -> tuple[Tensor, Tensor]:
    """Rows about eight modes on a circle of radius 2, and the modes."""
    angles = torch.arange(8) * (math.pi / 4)
    return _about(2 * torch.stack([angles.cos(), angles.sin()], 1), SPREADS["ring"], rows, seed)


def grid(rows: int, seed: int) -> tuple[Tensor, Tensor]:
    """Rows about 25 modes, five by five and 2 apart, and the modes."""
    places = torch.arange(-4.0, 5.0, 2.0)
    return _about(torch.cartesian_prod(places, places), SPREADS["grid"], rows, seed)


def _about(modes: Tensor, spread: float, rows: int, seed: int) -> tuple[Tensor, Tensor]:
    chance = torch.Generator().manual_seed(seed)
    which = torch.randint(len(modes), (rows,), generator=chance)
    return modes[which] + spread * torch.randn(rows, 2, generator=chance, dtype=modes.dtype), modes


def near(new: Tensor, modes: Tensor, spread: float) -> tuple[int, float]:
    """How many modes have a row made within four standard deviations, and what share of rows made is so near to a mode."""
    distance, which = torch.cdist(new, modes.to(new)).min(1)
    close = distance < 4 * spread
    return len(which[close].unique()), float(close.double().mean())


def modes_found(name: str, data: str, seed: int, steps: int) -> dict[str, Any]:
    """Of a fit of the pair `name`: modes that are there, the share of rows near one, and seconds."""
    x, modes = {"ring": ring, "grid": grid}[data](10_000, seed)
    begin = time.perf_counter()
    posterior = inference.svi(zoo.create(name, x, **WIDE), x, batch=100, steps=steps, penalty=0.02, lr=0.002, seed=seed)
    seconds = time.perf_counter() - begin
    found, share = near(posterior.generate(5000), modes, SPREADS[data])
    return {"modes": found, "near": share, "seconds": seconds}


def neighbours(name: str, steps: int) -> dict[str, float]:
    """Of scikit-learn's digits, 1200 of them fitted: the share of the rest named by its nearest neighbour's code, and seconds."""
    digits = zoo.data.load("digits")
    x, labels = digits.x, torch.as_tensor(digits.labels)
    given = {"latents": 16, "hidden": [128, 128], "likelihood": "shades", "critic_hidden": [256, 256]}
    given = given if name == "bigan" else {"latents": 16, "hidden": [128, 128]}
    begin = time.perf_counter()
    posterior = inference.svi(zoo.create(name, x[:1200], **given), x[:1200], batch=100, steps=steps)
    seconds = time.perf_counter() - begin
    codes = posterior.encode(x).mean
    classifier = KNeighborsClassifier(1).fit(codes[:1200], labels[:1200])
    return {"1-NN": classifier.score(codes[1200:], labels[1200:]), "seconds": seconds}


def main(quick: bool) -> None:
    """Print both."""
    steps, seeds = (1000, 1) if quick else (16_000, 5)
    for data in ("ring", "grid"):
        for name in ("gan", "bigan"):
            for seed in range(seeds):
                found = apart(modes_found, name=name, data=data, seed=seed, steps=steps)
                said = f"{found['modes']} modes, {100 * found['near']:.1f}% near one, {found['seconds']:.0f} s"
                print(f"{name} of a {data}, seed {seed}, {steps} steps: {said}", flush=True)
    for name in ("bigan", "autoencoder"):
        found = apart(neighbours, name=name, steps=steps)
        print(f"{name}'s codes of digits: 1-NN {100 * found['1-NN']:.1f}%, {found['seconds']:.0f} s", flush=True)
