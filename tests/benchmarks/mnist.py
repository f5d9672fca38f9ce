"""A variational autoencoder of MNIST in nats a test image, by what minutes on a CPU reach.

As in Burda, Grosse & Salakhutdinov 2016 ("Importance weighted autoencoders", ICLR): one layer of 50 latents, two hidden layers of 200
tanh units, pixels drawn by their shades anew at every step, and 5000 importance samples of each test image, whose pixels are drawn once.
They give 86.76 nats, and 84.78 by 50 samples a step in training, after 3280 passes; the longest here makes 208. ZOO_DATA
names a folder that holds `mnist`.
"""

import gzip
import time

import numpy as np
import torch
from sklearn.neighbors import KNeighborsClassifier

import inference
import zoo
from inference import Posterior

from .rbm import FOLDER, images
from .side import apart

SIZES = {"latents": 50, "dim": 784, "hidden": [200, 200], "activation": "tanh", "binarise": True}
RECIPE = {"batch": 250, "lr": 0.005, "schedule": "cosine"}
# Samples a test image: of all of them, and of those few by which the rest are corrected.
FEW, MANY = 50, 5000
STEPS, PARTICLES = (2700, 11_000, 50_000), 5
CODES = {"bigan": 4000, "autoencoder": 4000}


def fit(steps: int, objective: str = "mean_field", particles: int = 1, **given: object) -> tuple[Posterior, float]:
    """A fit to the 60,000 images, and its minutes, compiling included."""
    train, begin = torch.from_numpy(images("train").astype(np.float32)), time.perf_counter()
    pair = zoo.create("vae", center=train.mean(0).tolist(), **SIZES)
    settings = {**RECIPE, "steps": steps, "objective": objective, "particles": particles, **given}
    return inference.svi(pair, train, device="cpu", **settings), (time.perf_counter() - begin) / 60


def nats(posterior: Posterior, rows: int) -> tuple[float, float]:
    """Minus the log density of a test image by `MANY` samples, and the standard error of that.

    Of all images by few samples, plus what `MANY` gain on some `rows` of them: images differ by far more than gains do.
    """
    test = images("t10k")
    seen = torch.from_numpy((np.random.default_rng(1).random(test.shape) < test).astype(np.float32))
    few = posterior.score(seen, samples=FEW)
    gain = posterior.score(seen[:rows], samples=MANY) - few[:rows]
    return float(-few.mean() - gain.mean()), float(gain.std() / rows**0.5)


def neighbours(posterior: Posterior, fitted: int) -> tuple[float, float]:
    """Share of the first 2000 test images whose nearest neighbour of so many fitted has their label: by codes, and by pixels."""
    train, test = images("train")[:fitted].astype(np.float32), images("t10k")[:2000].astype(np.float32)
    known, asked = labels("train")[:fitted], labels("t10k")[:2000]
    codes = [posterior.encode(torch.from_numpy(part)).mean.numpy() for part in (train, test)]
    shares = [KNeighborsClassifier(1).fit(near, known).score(far, asked) for near, far in (codes, (train, test))]
    return float(shares[0]), float(shares[1])


def labels(part: str) -> np.ndarray:
    """(rows,) the digit of each image."""
    return np.frombuffer(gzip.decompress((FOLDER / "mnist" / f"{part}-labels-idx1-ubyte.gz").read_bytes()), np.uint8, offset=8)


def codes(name: str, steps: int) -> dict[str, float]:
    """What neighbours by the codes of a pair tell, and by pixels, after so many steps; and minutes."""
    train, begin = torch.from_numpy(images("train").astype(np.float32)), time.perf_counter()
    given = {"latents": 50, "hidden": [256, 256]}
    given |= {"likelihood": "shades", "critic_hidden": [256, 256]} if name == "bigan" else {}
    posterior = inference.svi(zoo.create(name, train, **given), train, batch=100, steps=steps, schedule="cosine", device="cpu")
    minutes = (time.perf_counter() - begin) / 60
    return dict(zip(("codes", "pixels"), neighbours(posterior, len(train)), strict=True)) | {"minutes": minutes}


def main(quick: bool) -> None:
    """Print nats by steps and by objective, and neighbours."""
    if not FOLDER.joinpath("mnist").is_dir():
        print("MNIST: ZOO_DATA names no folder that holds `mnist`")
        return
    print("\nMNIST, 50 latents, two layers of 200 tanh units; published: 86.76 nats, and 84.78 by objective='iwae'")
    cut, rows = (20, 50) if quick else (1, 300)
    for steps in STEPS:
        posterior, minutes = fit(steps // cut)
        _tell(f"{steps // cut} steps", posterior, minutes, rows)
    posterior, minutes = fit(STEPS[0] // cut, "iwae", PARTICLES)
    _tell(f"{STEPS[0] // cut} steps of 'iwae', {PARTICLES} samples", posterior, minutes, rows)
    for name, steps in CODES.items():
        found = apart(codes, name=name, steps=steps // cut)
        said = f"{found['codes']:.1%} right by codes, {found['pixels']:.1%} by pixels, {found['minutes']:.1f} minutes"
        print(f"{name}, {steps // cut} steps: 1 nearest neighbour {said}", flush=True)


def _tell(how: str, posterior: Posterior, minutes: float, rows: int) -> None:
    mean, error = nats(posterior, rows)
    print(f"  {how}, {minutes:.1f} minutes: {mean:.2f} nats an image (+- {error:.2f})", flush=True)
