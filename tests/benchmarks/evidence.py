"""Variational autoencoders on digits: nats a test image, holes filled beside scikit-learn's IterativeImputer, neighbours by codes.

MNIST (ZOO_DATA names a folder that holds `mnist`) as in Burda, Grosse & Salakhutdinov 2016 ("Importance weighted autoencoders", ICLR):
50 latents, two hidden layers of 200, pixels drawn anew from their shades each time a row is read, 5000 importance samples. They
give 86.76 nats, after days; theirs are tanh units, and ours SiLU. The curve is of the ELBO on test images as steps go by.
"""

import gzip
import time

import numpy as np
import torch
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor
from torch.utils.data import Dataset

import inference
import zoo
from inference.rows.stream import SAMPLE

from .rbm import FOLDER, images

POINTS = 8


class Drawn(Dataset):
    """Images whose pixels are black or white with the probability of their shade, drawn anew whenever a row is read."""

    def __init__(self, shades: np.ndarray) -> None:
        self._shades, self._rng = shades.astype(np.float32), np.random.default_rng(0)

    def __len__(self) -> int:
        return len(self._shades)

    def __getitem__(self, row: int) -> Tensor:
        shades = self._shades[row]
        return torch.from_numpy((self._rng.random(shades.shape, dtype=np.float32) < shades).astype(np.float32))


def evidence(steps: int, rows: int) -> None:
    """Print nats a test image, and the way there."""
    train, test = images("train"), images("t10k")
    seen = torch.from_numpy((np.random.default_rng(1).random(test.shape) < test).astype(np.float32))
    pair = zoo.create("vae", latents=50, dim=784, hidden=[200, 200], center=train.mean(0).tolist())
    begin, settings = time.perf_counter(), {"batch": 100, "steps": steps, "lr": 0.002, "patience": steps}
    posterior = inference.svi(pair, Drawn(train), **settings, validation=seen[:1000], device="cpu")
    minutes = (time.perf_counter() - begin) / 60
    # The loss stands for as many rows as the model was tried on.
    held = posterior.stats["validation"] / min(SAMPLE, len(train))
    known = held.isfinite().nonzero().flatten()
    some = known[np.linspace(0, len(known) - 1, min(POINTS, len(known))).round().astype(int)]
    print(f"\nMNIST, {steps} steps of 100 images in {minutes:.1f} minutes on the CPU")
    print("  minus ELBO: " + ", ".join(f"{step + 1}: {held[step]:.1f}" for step in some.tolist()))
    score = posterior.score(seen[:rows], samples=5000)
    print(f"  {-score.mean():.2f} nats an image (sd {score.std() / rows**0.5:.2f}) by 5000 samples, {rows} images; published 86.76")
    few = 5000 if rows < 1000 else len(train)
    codes = [posterior.encode(torch.from_numpy(part.astype(np.float32))).mean.numpy() for part in (train[:few], test[:2000])]
    found = [neighbours(*pair, few) for pair in (codes, (train[:few], test[:2000]))]
    print(f"  1 nearest neighbour of {few}: {found[0]:.1%} right by codes, {found[1]:.1%} by pixels", flush=True)


def neighbours(known: np.ndarray, asked: np.ndarray, few: int) -> float:
    """Share of test images whose nearest neighbour has their label."""
    labels = [_labels(name)[: len(part)] for name, part in (("train", known), ("t10k", asked))]
    return float(KNeighborsClassifier(1).fit(known, labels[0]).score(asked, labels[1]))


def _labels(name: str) -> np.ndarray:
    return np.frombuffer(gzip.decompress((FOLDER / "mnist" / f"{name}-labels-idx1-ubyte.gz").read_bytes()), np.uint8, offset=8)


def holes(steps: int, rows: int) -> None:
    """Print the error of filled pixels of scikit-learn's digits, a quarter of them missing at random."""
    x = zoo.data.load("digits").x
    fitted, asked = x[:1200], x[1200 : 1200 + rows]
    missing = torch.rand(asked.shape, generator=torch.Generator().manual_seed(0)) < 0.25
    covered = asked.masked_fill(missing, torch.nan)
    posterior = inference.svi(zoo.create("vae", fitted, latents=8, hidden=[64]), fitted, batch=100, steps=steps, device="cpu")
    theirs = IterativeImputer(random_state=0, keep_empty_features=True).fit(fitted.numpy()).transform(covered.numpy())
    guesses = {
        "ours": posterior.impute(covered).mean,
        "IterativeImputer": torch.as_tensor(theirs),
        "means": fitted.mean(0).expand_as(asked),
    }
    errors = {name: float((guess - asked)[missing].square().mean().sqrt()) for name, guess in guesses.items()}
    print(f"\nDigits, a quarter of the pixels missing, {rows} images: root mean squared error")
    print("  " + ", ".join(f"{name} {error:.4f}" for name, error in errors.items()), flush=True)


def main(quick: bool) -> None:
    """Both."""
    holes(1000 if quick else 10_000, 200 if quick else 597)
    evidence(1500 if quick else 60_000, 100 if quick else 1000)
