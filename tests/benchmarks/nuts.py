"""Our NUTS beside Pyro's, on one enumerated mixture: effective draws a second, warm-up and tracing counted in."""

import time
import warnings
from collections.abc import Callable

import arviz_stats
import numpy as np
import pyro
import torch
from pyro.infer import MCMC, NUTS, config_enumerate

import inference
import zoo

WARMUP, DRAWS = 200, 300


def ours(pair: inference.Pair, x: torch.Tensor) -> np.ndarray:
    """(chain, draw, number): four chains at once."""
    return inference.mcmc(pair, x, warmup=WARMUP, draws=DRAWS, progress=False).draws["locs"].flatten(2).numpy()


def theirs(pair: inference.Pair, x: torch.Tensor) -> np.ndarray:
    """(chain, draw, number): one chain of Pyro's own, from the same start; more chains would take as much longer."""
    torch.manual_seed(0)
    pair.start(x)
    trace = pyro.poutine.trace(pair.guide).get_trace(x)
    start = {name: site["value"].detach() for name, site in trace.nodes.items() if site["type"] == "sample"}
    kernel = NUTS(config_enumerate(pair.model), max_plate_nesting=1, init_strategy=pyro.infer.autoguide.init_to_value(values=start))
    sampler = MCMC(kernel, num_samples=DRAWS, warmup_steps=WARMUP, disable_progbar=True)
    sampler.run(x)
    return sampler.get_samples(group_by_chain=True)["locs"].flatten(2).numpy()


def measured(sample: Callable[[inference.Pair, torch.Tensor], np.ndarray], pair: inference.Pair, x: torch.Tensor) -> float:
    """Effective draws a second of the worst location."""
    begin = time.perf_counter()
    draws = sample(pair, x)
    seconds = time.perf_counter() - begin
    least = float(arviz_stats.ess(draws, method="bulk", chain_axis=0, draw_axis=1).min())
    size = f"{draws.shape[0]} chains x {draws.shape[1]}"
    print(f"  {sample.__name__:<7}{size}: least ESS {least:.0f} in {seconds:.1f} s, {least / seconds:.1f} a second")
    return least / seconds


def main() -> None:
    """Print both sides and the ratio."""
    warnings.simplefilter("ignore")
    x = zoo.data.load("faithful").x
    pair = zoo.create("gmm", x, components=2, covariance="diag")
    print(f"NUTS, mixture of two Gaussians with diagonal covariance, {len(x)} x {x.shape[1]}, {WARMUP} warm-up transitions")
    first, second = measured(ours, pair, x), measured(theirs, pair, x)
    print(f"  ratio {first / second:.1f}")
