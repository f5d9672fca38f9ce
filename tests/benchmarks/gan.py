"""Generative adversarial networks: a ring of 8 and a grid of 25 Gaussians, and codes of digits beside an autoencoder's.

A mode is there if a row made lies within four standard deviations of it; a row is near a mode likewise. Several starts are one batch of
fits, which share the rows of each step. Of codes, the share of digits
never fitted whose nearest neighbour among those fitted, by code, is the same digit; with Donahue et al. 2017, 97.39% of MNIST.
"""

import math
import time
from functools import partial
from typing import Any

import torch
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor

import inference
import zoo
from inference import Posterior, as_table
from inference.adversarial import Adversarial
from inference.fitting import guides
from inference.fitting.restarts import fit_batch
from inference.program import Program
from inference.recipe import Recipe

from .side import apart

SPREADS = {"ring": 0.02, "grid": 0.05}
# Of pairs fitted to them: steps, and the critic's haste. An encoder that is to invert the generator is longer in the learning: after 4000
# steps of a ring `bigan` had 88 to 94% of ten starts' rows near a mode, after 6000 95 to 96% of five.
FITS = {
    ("gan", "ring"): (4000, 1.0),
    ("bigan", "ring"): (6000, 1.0),
    ("gan", "grid"): (12_000, 1.0),
    ("bigan", "grid"): (16_000, 2.0),
}
WIDE = {"hidden": [128, 128, 128], "critic_hidden": [128, 128, 128], "network": "residual", "noise": 1e-3}


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


def modes_found(name: str, data: str, starts: int, steps: int, haste: float = 1.0) -> dict[str, Any]:
    """Of fits of the pair `name`, of each start: modes that are there, and the share of rows near one; and seconds of all."""
    x, modes = {"ring": ring, "grid": grid}[data](10_000, 0)
    begin = time.perf_counter()
    torch.manual_seed(0)
    pair = zoo.create(name, x, **WIDE)
    make = partial(Adversarial, penalty=0.02, cooling=steps, haste=haste)
    objective, values = guides.starts(Program(pair, x), None, [x] * starts, make)
    fits = fit_batch(objective, values, x, Recipe(steps, 256, 0.003, "RMSprop", "cosine"))
    seconds, found = time.perf_counter() - begin, []
    for start in range(starts):
        objective.load_state_dict(fits.one(start), strict=False)
        new = Posterior.of(pair, {}, {}, {"method": "svi"}, as_table(x)).generate(5000, seed=start)
        found.append(near(new, modes, SPREADS[data]))
    return {"modes": [there for there, _ in found], "near": [share for _, share in found], "seconds": seconds}


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
    starts, cut = (2, 10) if quick else (5, 1)
    for (name, data), (whole, haste) in FITS.items():
        steps = whole // cut
        found = apart(modes_found, name=name, data=data, starts=starts, steps=steps, haste=haste)
        near = ", ".join(f"{100 * share:.1f}%" for share in found["near"])
        said = f"modes {found['modes']}, {near} near one, {found['seconds']:.0f} s of all"
        print(f"{name} of a {data}, {starts} starts, {steps} steps: {said}", flush=True)
    for name in ("bigan", "autoencoder"):
        found = apart(neighbours, name=name, steps=16_000 // cut)
        print(f"{name}'s codes of digits: 1-NN {100 * found['1-NN']:.1f}%, {found['seconds']:.0f} s", flush=True)
