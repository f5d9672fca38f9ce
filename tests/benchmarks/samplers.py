"""Samplers of three libraries on one posterior: each function is one side, run apart, cold and then warm.

Cold is from the end of the imports to draws in hand: tracing, compiling, warm-up and sampling. Warm is the same call once
more in the same process, with another seed.
"""

import functools
import time
from collections.abc import Callable
from typing import Any

import arviz_stats
import numpy as np

Numbers = dict[str, np.ndarray]
Measured = list[dict[str, float]]
HEADS = (("cold", 9), ("ratio", 7), ("warm", 9), ("ratio", 7), ("ESS", 8), ("R-hat", 8), ("diverging", 10))


def ours(posterior: str, kernel: str, chains: int, warmup: int, draws: int, compile: Any = "auto") -> Measured:
    """`inference.mcmc`."""
    import inference

    from .posteriors import OURS, STATES

    pair, x = OURS[posterior]()

    def sample(seed: int) -> tuple[Numbers, int]:
        run = dict(kernel=kernel, chains=chains, warmup=warmup, draws=draws, seed=seed, compile=compile, progress=False)
        fit = inference.mcmc(pair, x, **run)
        found = {name: values.numpy() for name, values in fit.draws.items()}
        return _in_order(found, STATES.get(posterior)), int(fit.stats["diverging"].sum())

    return _cold_and_warm(sample)


def of_each(*kernels: str, chains: int, warmup: int, draws: int, posterior: str) -> dict[str, Callable[[], Measured]]:
    """Ours by each of the kernels, as sides of a table."""
    sizes = {"posterior": posterior, "chains": chains, "warmup": warmup, "draws": draws}
    return {f"ours {kernel}, {chains} x {warmup, draws}": named(ours, kernel=kernel, **sizes) for kernel in kernels}


def numpyro(posterior: str, chains: int, warmup: int, draws: int, dense: bool = False) -> Measured:
    """NumPyro's NUTS with its chains vectorised."""
    import jax
    from numpyro.infer import MCMC, NUTS, init_to_median, init_to_value

    from .numpyro_models import MODELS, STARTS
    from .posteriors import OURS, STATES

    x = jax.numpy.asarray(OURS[posterior]()[1].numpy())
    begin = init_to_value(values=STARTS[posterior]) if posterior in STARTS else init_to_median
    kernel = NUTS(MODELS[posterior], dense_mass=dense, init_strategy=begin)
    run = MCMC(kernel, num_warmup=warmup, num_samples=draws, num_chains=chains, chain_method="vectorized", progress_bar=False)

    def sample(seed: int) -> tuple[Numbers, int]:
        run.run(jax.random.PRNGKey(seed), x)
        found = {name: np.asarray(values) for name, values in run.get_samples(group_by_chain=True).items()}
        return _in_order(found, STATES.get(posterior)), int(run.get_extra_fields()["diverging"].sum())

    return _cold_and_warm(sample)


def pyro(posterior: str, warmup: int, draws: int) -> Measured:
    """Pyro's NUTS, one chain: more would take as much longer, or as many processes. It keeps nothing between runs: cold is warm."""
    import torch
    from pyro import poutine
    from pyro.infer import MCMC, NUTS, config_enumerate
    from pyro.infer.autoguide import init_to_value

    from .posteriors import OURS

    pair, x = OURS[posterior]()

    def sample(seed: int) -> tuple[Numbers, int]:
        torch.manual_seed(seed)
        pair.start(x)
        guide = poutine.trace(pair.guide).get_trace(x)
        start = {name: site["value"].detach() for name, site in guide.nodes.items() if site["type"] == "sample"}
        kernel = NUTS(config_enumerate(pair.model), max_plate_nesting=1, init_strategy=init_to_value(values=start))
        run = MCMC(kernel, num_samples=draws, warmup_steps=warmup, disable_progbar=True)
        run.run(x)
        found = {name: values.numpy() for name, values in run.get_samples(group_by_chain=True).items()}
        return found, sum(map(len, run.diagnostics()["divergences"].values()))

    return _cold_and_warm(sample, (0,))


def _in_order(found: Numbers, states: dict[str, int] | None) -> Numbers:
    """The sites that have `states`, which are told in one order in every draw; all sites where none have."""
    if states is None:
        return found
    first = found[next(iter(states))]
    order, told = first.reshape(*first.shape[:3], -1)[..., 0].argsort(-1), {}
    for name, axes in states.items():
        told[name] = found[name]
        for axis in range(2, 2 + axes):
            index = order.reshape(*order.shape[:2], *[1] * (axis - 2), order.shape[2], *[1] * (told[name].ndim - axis - 1))
            told[name] = np.take_along_axis(told[name], index, axis)
    return told


def _cold_and_warm(sample: Callable[[int], tuple[Numbers, int]], seeds: tuple[int, ...] = (0, 1)) -> Measured:
    results = []
    for seed in seeds:
        begin = time.perf_counter()
        found, divergences = sample(seed)
        seconds = time.perf_counter() - begin
        numbers = np.concatenate([values.reshape(*values.shape[:2], -1) for values in found.values()], -1).astype(np.float64)
        axes = {"chain_axis": 0, "draw_axis": 1}
        least = float(np.min(arviz_stats.ess(numbers, method="bulk", **axes)))
        # Of one chain, R-hat has nothing to compare.
        most = float(np.max(arviz_stats.rhat(numbers, **axes))) if len(numbers) > 1 else float("nan")
        results.append({"seconds": seconds, "ess": least, "rate": least / seconds, "rhat": most, "divergences": divergences})
    return results


def table(title: str, sides: dict[str, Callable[[], Measured]], against: str) -> None:
    """Run the sides one after the other and print their effective draws a second, and as multiples of side `against`."""
    print(
        f"\n{title}\n  {'least bulk ESS a second':<42}{'cold':>9}{'ratio':>7}{'warm':>9}{'ratio':>7}{'ESS':>8}{'R-hat':>8}{'diverging':>10}"
    )
    results: dict[str, Measured] = {}
    for name in sorted(sides, key=lambda name: name != against):
        results[name] = sides[name]()
        (cold, warm), (cold0, warm0) = ((results[n][0], results[n][-1]) for n in (name, against))
        ratios = [f"{a['rate']:>9.1f}{a['rate'] / b['rate']:>7.2f}" for a, b in ((cold, cold0), (warm, warm0))]
        rest = f"{warm['ess']:>8.0f}{max(cold['rhat'], warm['rhat']):>8.3f}{sum(run['divergences'] for run in results[name]):>10}"
        print(f"  {name:<42}{ratios[0]}{ratios[1]}{rest}", flush=True)


def named(side: Callable[..., Measured], **settings: Any) -> Callable[[], Measured]:
    """A side with its settings, to be run apart."""
    from .side import apart

    return functools.partial(apart, side, **settings)
