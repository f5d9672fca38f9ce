"""A hidden Markov model's log evidence and its gradient in the transition, the locations and the scales: ours and dynamax's.

Series of Gaussian columns, float32, one set of parameters. A call is everything from the parameters to the value and gradients,
compiled, in the median of many. Of longer and longer series also the peak memory of the process.
"""

import resource
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from .side import apart

# Series, steps, states, columns; the part of dynamax's time that is aimed at.
SIZES = {(1, 10_000, 8, 4): 0.08, (64, 500, 5, 3): 0.4, (1, 1000, 3, 1): 1.0}
LENGTHS = (10_000, 100_000, 1_000_000)


def ours(size: tuple[int, int, int, int], calls: int) -> tuple[float, float, float]:
    """Seconds a call, the value, and the peak memory of the process, in MB."""
    import torch
    from torch import Tensor
    from torch.func import grad_and_value

    from inference.graphs.graph import traced
    from zoo.distributions.gaussian import DiagonalGaussian
    from zoo.series.hidden_markov import HiddenMarkov

    x, *parameters = (torch.tensor(a) for a in _numbers(size))
    start = torch.zeros(size[2]).log_softmax(-1)

    def evidence(logits: Tensor, locs: Tensor, log_scales: Tensor) -> Tensor:
        return HiddenMarkov(start, logits.log_softmax(-1), DiagonalGaussian(locs, log_scales.exp()), size[1]).log_prob(x).sum()

    graph = traced(grad_and_value(evidence, argnums=(0, 1, 2)), *parameters, missing=False, compile=True)
    seconds, value = _timed(lambda: graph(*parameters), calls), graph(*parameters)[1].item()
    return seconds, value, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def dynamax(size: tuple[int, int, int, int], calls: int) -> tuple[float, float]:
    """Seconds a call, and the value."""
    import jax
    import jax.numpy as jnp
    from dynamax.hidden_markov_model import hmm_filter
    from jax import Array
    from jax.scipy.stats import norm

    x, *parameters = (jnp.asarray(a) for a in _numbers(size))
    start = jnp.full(size[2], 1 / size[2])

    def evidence(logits: Array, locs: Array, log_scales: Array) -> Array:
        terms = norm.logpdf(x[:, :, None], locs, jnp.exp(log_scales)).sum(-1)
        transition = jax.nn.softmax(logits)
        return jax.vmap(lambda t: hmm_filter(start, transition, t).marginal_loglik)(terms).sum()

    both = jax.jit(jax.value_and_grad(evidence, argnums=(0, 1, 2)))
    return _timed(lambda: jax.block_until_ready(both(*parameters)), calls), float(both(*parameters)[0])


def _numbers(size: tuple[int, int, int, int]) -> list[np.ndarray]:
    """Series (N, T, D), logits of the transition (K, K), locations (K, D), log scales (K, D)."""
    series, steps, states, columns = size
    rng = np.random.default_rng(0)
    shapes = (series, steps, columns), (states, states), (states, columns), (states, columns)
    return [rng.normal(size=shape, scale=0.3 if i == 3 else 1).astype(np.float32) for i, shape in enumerate(shapes)]


def _timed(call: Callable[[], Any], calls: int) -> float:
    call()
    seconds = []
    for _ in range(calls):
        begin = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds)


def main(quick: bool) -> None:
    """Print milliseconds a call of both, their ratio and the ratio aimed at."""
    calls = 20 if quick else 300
    print("\nhidden Markov model, value and gradient, float32: milliseconds a call (part of dynamax's; aimed at)")
    for size, aim in SIZES.items():
        (own, value, _), (theirs, other) = (apart(side, size=size, calls=calls) for side in (ours, dynamax))
        if abs(value - other) > 1e-4 * abs(other):
            raise ValueError(f"the two disagree about the evidence: {value} and {other}")
        series, steps, states, columns = size
        print(
            f"  {series:>2} x {steps:>5}, K={states}, D={columns}: ours {own * 1e3:.2f}, dynamax {theirs * 1e3:.2f} "
            f"({own / theirs:.2f}; {aim})",
            flush=True,
        )
    for steps in LENGTHS[: 2 if quick else 3]:
        seconds, _, peak = apart(ours, size=(1, steps, 3, 1), calls=20)
        print(
            f"  ours, 1 x {steps}, K=3, D=1: {seconds * 1e3:.2f} ms, {seconds / steps * 1e9:.0f} ns a step, {peak:.0f} MB at the peak",
            flush=True,
        )
