"""A step of a variational autoencoder, 784-400-20: ours, the same written by hand in PyTorch, and Pyro's.

All minimise the expected error and the closed form of the divergence, by one draw a row, with Adam. By hand it is as torch has it
by default, fused into one operation, and that with the loss compiled. A step is everything from a fresh batch to moved parameters, in
the median of blocks of 50; the first block, in which programs are traced and compiled, is left out.
"""

import statistics
import time
from collections.abc import Callable
from itertools import pairwise

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor, nn

import inference
from inference.fitting.restarts import fit_batch
from inference.objectives import MeanFieldELBO
from inference.program import Program
from inference.recipe import Recipe

from .side import apart

ROWS, PIXELS, HIDDEN, LATENT = 2048, 784, 400, 20


class VAE(inference.Pair):
    """Binary images.

    | symbol | distribution                | shape     | meaning          |
    |--------|-----------------------------|-----------|------------------|
    | z      | Normal(0, 1)                | (N, 20)   | code of an image |
    | x      | Bernoulli(logits decode(z)) | (N, 784)  | its pixels       |
    """

    def __init__(self) -> None:
        self.encode = nn.Sequential(nn.Linear(PIXELS, HIDDEN), nn.Softplus(), nn.Linear(HIDDEN, 2 * LATENT))
        self.decode = nn.Sequential(nn.Linear(LATENT, HIDDEN), nn.Softplus(), nn.Linear(HIDDEN, PIXELS))

    def model(self, x: Tensor, size: int | None = None) -> None:
        pyro.module("decode", self.decode)
        with self.rows(x, size):
            z = pyro.sample("z", dist.Normal(x.new_zeros(len(x), LATENT), 1.0).to_event(1))
            pyro.sample("x", dist.Bernoulli(logits=self.decode(z), validate_args=False).to_event(1), obs=x)

    def guide(self, x: Tensor, size: int | None = None) -> None:
        pyro.module("encode", self.encode)
        loc, log_scale = self.encode(x).chunk(2, -1)
        with self.rows(x, size):
            pyro.sample("z", dist.Normal(loc, log_scale.exp()).to_event(1))


def ours(batch: int, steps: int) -> float:
    """Seconds a step, by the project's own loop."""
    x, pair = _images(), VAE()
    objective = MeanFieldELBO(Program(pair, x), pair.guide)
    start = {name: value.detach()[None] for name, value in objective.named_parameters()}
    ticks: list[tuple[int, float]] = []
    recipe = Recipe(steps=steps, batch=batch, lr=1e-3, schedule="constant", compile=True)
    fit_batch(objective, start, x, recipe, tell=lambda done, _: ticks.append((done, time.perf_counter())))
    # The first tick closes the block that traced and compiled.
    return statistics.median((b - a) / (j - i) for (i, a), (j, b) in pairwise(ticks))


def by_hand(batch: int, steps: int, fused: bool = False, compiled: bool = False) -> float:
    """Seconds a step; `fused`: Adam's update in one operation, which torch does not do unless told; `compiled`: so is the loss."""
    x, vae = _images(), VAE()
    optimiser = torch.optim.Adam(vae.parameters(), 1e-3, fused=fused)

    def lost(rows: Tensor) -> Tensor:
        loc, log_scale = vae.encode(rows).chunk(2, -1)
        z = loc + log_scale.exp() * torch.randn_like(loc)
        error = nn.functional.binary_cross_entropy_with_logits(vae.decode(z), rows, reduction="sum")
        return error - 0.5 * (1 + 2 * log_scale - loc * loc - (2 * log_scale).exp()).sum()

    told = torch.compile(lost) if compiled else lost

    def step(rows: Tensor) -> None:
        optimiser.zero_grad()
        told(rows).backward()
        optimiser.step()

    return _timed(step, x, batch, steps)


def by_pyro(batch: int, steps: int) -> float:
    """Seconds a step of Pyro's SVI, its validation off."""
    pyro.enable_validation(False)
    x, pair = _images(), VAE()
    run = pyro.infer.SVI(pair.model, pair.guide, pyro.optim.Adam({"lr": 1e-3}), pyro.infer.TraceMeanField_ELBO())
    return _timed(run.step, x, batch, steps)


def _images() -> Tensor:
    return (torch.rand(ROWS, PIXELS) < 0.13).float()


def _timed(step: Callable[[Tensor], object], x: Tensor, batch: int, steps: int) -> float:
    """Seconds a step, each on rows drawn anew: the median block of 50, without the first."""
    blocks = []
    for _ in range(steps // 50):
        begin = time.perf_counter()
        for _ in range(50):
            step(x[torch.randint(len(x), (batch,))])
        blocks.append((time.perf_counter() - begin) / 50)
    return statistics.median(blocks[1:])


def main(quick: bool) -> None:
    """Print milliseconds a step and multiples of the step by hand."""
    steps = 400 if quick else 1500
    print(f"\nVAE {PIXELS}-{HIDDEN}-{LATENT}, float32: milliseconds a step, median of {steps} (multiples of by hand)")
    for batch in (32, 256):
        hand, own, theirs = (apart(side, batch=batch, steps=steps) for side in (by_hand, ours, by_pyro))
        fused, compiled = (apart(by_hand, batch=batch, steps=steps, fused=True, compiled=whole) for whole in (False, True))
        sides = {"fused": fused, "compiled": compiled, "ours": own, "Pyro": theirs}
        figures = ", ".join(f"{name} {s * 1e3:.2f} ({s / hand:.2f})" for name, s in sides.items())
        images = ", ".join(f"{name} {batch / s:.0f}" for name, s in (("compiled", compiled), ("ours", own)))
        print(f"  batch {batch:>3}: by hand {hand * 1e3:.2f}, {figures}; images a second: {images}", flush=True)
