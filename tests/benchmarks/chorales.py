"""A deep Markov model of JSB chorales, as piano rolls of 88 notes at quarter notes: nats a step of those not fitted.

Published, of the same split: 6.93 (Krishnan, Shalit & Sontag 2017), 6.87 (Pyro's example), bounds by single draws. ZOO_DATA names a
folder that holds `jsb/jsb-chorales-quarter.json`.
"""

import json
import os
import time
from pathlib import Path

import torch
from torch import Tensor

import inference
import zoo

FOLDER = Path(os.environ.get("ZOO_DATA", "")) / "jsb"
LOWEST, NOTES = 21, 88
# The longest chorale that is fitted, at which those held out are cut; and that of all.
FITTED, LONGEST = 129, 160


def rolls(part: str, steps: int = LONGEST) -> Tensor:
    """(chorales, steps, 88) which notes sound, at most so long; `NaN` after the end."""
    chorales = json.loads((FOLDER / "jsb-chorales-quarter.json").read_text())[part]
    x = torch.full((len(chorales), steps, NOTES), torch.nan)
    for row, chorale in zip(x, chorales, strict=True):
        row[: len(chorale)] = 0.0
        for sounding, chord in zip(row, chorale[:steps], strict=False):
            sounding[[note - LOWEST for note in chord]] = 1.0
    return x


def nats_a_step(posterior: inference.Posterior, x: Tensor, samples: int, repeats: int = 1) -> float:
    """Minus the log density of `x`, by importance sampling with so many draws of each path, over its steps; one draw is the ELBO."""
    score = sum(posterior.score(x, samples=samples, seed=seed).sum() for seed in range(repeats)) / repeats
    return float(-score / (~x.isnan()).any(-1).sum())


def main(quick: bool) -> None:
    """Print both bounds, and how the one of the chorales held out fell."""
    if not FOLDER.is_dir():
        print("chorales: ZOO_DATA names no folder that holds `jsb`")
        return
    steps = 500 if quick else 3500
    train, valid, test = rolls("train", FITTED), rolls("valid", FITTED), rolls("test")
    pair = zoo.create("dmm", train, states=32, hidden=[100], memory=64, likelihood="bernoulli")
    begin = time.perf_counter()
    settings = {"lr": 0.004, "schedule": "cosine", "objective": "beta", "warmup": steps // 4}
    posterior = inference.svi(pair, train, batch=20, steps=steps, validation=valid, patience=steps, **settings)
    seconds, sounding = time.perf_counter() - begin, (~valid.isnan()).any(-1).sum() * len(train) / len(valid)
    looks = posterior.stats["validation"]
    seen = (~looks.isnan()).nonzero().flatten().tolist()[:: max(1, steps // 500)]
    curve = [f"{step} {float(looks[step] / sounding):.2f}" for step in seen]
    print(f"\nJSB chorales, {steps} steps of 20, {seconds:.0f} s. Validation, nats a step: {', '.join(curve)}")
    print(f"  test: {nats_a_step(posterior, test, 1, 5):.3f} by single draws, {nats_a_step(posterior, test, 100):.3f} by 100", flush=True)
