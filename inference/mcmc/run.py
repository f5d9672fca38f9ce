"""The call `mcmc`: start, warm up, draw."""

import time
from typing import Any

import torch
from torch import Tensor
from torch.func import grad_and_value, vmap

from ..graph import batched, traced
from ..objectives import run_guide
from ..pair import Pair
from ..posterior import Posterior
from ..program import Program, Values
from ..progress import Tell, progress_line
from ..run import at_least, open_door, seeded
from ..suggest import unknown
from ..unconstrained import Flat, check_jacobians, fixed
from . import nuts
from .metric import Metric, estimate
from .warmup import DENSE_UP_TO, StepSize, as_steps, first_step_size, windows

KERNELS = {"nuts": nuts}
GUIDE_DRAWS = 50


def mcmc(
    pair: Pair,
    x: Any,
    *,
    kernel: str = "nuts",
    chains: int = 4,
    warmup: int = 500,
    draws: int = 1000,
    start: Posterior | None = None,
    seed: int = 0,
    device: str = "auto",
    progress: bool | None = None,
) -> Posterior:
    """Draw from the posterior of `pair` given the rows `x`; the pair that is handed in stays as it is.

    Discrete latents of a row are summed out exactly. All chains move at once; they learn one step size and one mass matrix
    together during `warmup` transitions, which are thrown away.

    Arguments:
        x: rows, as `as_table` reads them.
        kernel: "nuts". chains, warmup, draws: how many chains, and transitions of each.
        start: a Posterior of either method whose draws the chains set out from; by default each chain makes the pair's own
            start from the data (its own random choices) and one draw from the guide there.
        seed: fixes every random number. device: "auto", "cpu" or "cuda". progress: True, False, or None: on a terminal.

    Returns: a Posterior; stats, each (chain, draw): `lp`, `acceptance_rate`, `energy`, `diverging`, `tree_depth`, `n_steps`,
        `step_size`.

    Raises:
        ValueError: bad rows, an argument out of range, an unknown kernel, or a start where the density is not finite.
    """
    at_least(1, chains=chains, warmup=warmup, draws=draws)
    at_least(0, seed=seed)
    if kernel not in KERNELS:
        raise ValueError(unknown("kernel", kernel, KERNELS))
    pair, table, rows = open_door(pair, x, device)
    begin = time.perf_counter()
    with seeded(seed, rows.device), progress_line(f"{kernel} {type(pair).__name__}", warmup + draws, progress) as tell:
        program = Program(pair, rows)
        program.refuse_continuous_locals()
        flat = Flat(program.parameters)
        check_jacobians(flat, program.parameters)
        starts = _starts(program, flat, rows, chains, start)
        density = _density(program, flat, rows, starts[0])
        state = nuts.init(starts[0], density)
        _check_start(state, flat)
        state, size, metric = _warm_up(state, density, _metric(starts), warmup, tell)
        positions, stats = _sample(state, density, size, metric, draws, warmup, tell)
        values, derived = _constrain(program, flat, rows, positions)
        known = fixed(program, rows)
    how = {
        "method": kernel,
        "settings": {"kernel": kernel, "chains": chains, "warmup": warmup, "draws": draws},
        "fixed": known,
        "seed": seed,
        "device": str(rows.device),
        "seconds": time.perf_counter() - begin,
    }
    return Posterior.of(pair, {**values, **derived}, stats, how, table)


def _starts(program: Program, flat: Flat, x: Tensor, chains: int, start: Posterior | None) -> Tensor:
    """(draw, chain, dim) unconstrained: where each chain may set out from, whose spread is the first mass matrix."""
    if start is not None:
        missing = [name for name in program.parameters if name not in start.draws]
        if missing:
            raise ValueError(f"start has no draws of {missing[0]!r}; it must be a posterior of the same pair, and is of {start.name}")
        values = {n: start.draws[n].flatten(0, 1).to(x) for n in program.parameters}
        chosen = torch.randint(len(next(iter(values.values()))), (GUIDE_DRAWS * chains,), device=x.device)
        drawn = batched(flat.flatten, program.missing)({n: v[chosen] for n, v in values.items()})
        return drawn.unflatten(0, (GUIDE_DRAWS, chains))

    def one(_: Tensor) -> Tensor:
        return flat.flatten(run_guide(program, program.pair.guide, x)[0])

    drawn = []
    for _ in range(chains):
        with torch.no_grad():
            program.pair.start(x)
        drawn.append(batched(one, program.missing)(x.new_zeros(GUIDE_DRAWS)))
    return torch.stack(drawn, 1)


def _density(program: Program, flat: Flat, x: Tensor, positions: Tensor) -> nuts.Density:
    def log_density(position: Tensor) -> Tensor:
        values, log_jacobian = flat.constrain_with_jacobian(position)
        return program.log_joint(values, x) + log_jacobian

    return traced(vmap(grad_and_value(log_density)), positions, missing=program.missing)


def _check_start(state: nuts.State, flat: Flat) -> None:
    bad = (~(state.log_density.isfinite() & state.grad.isfinite().all(-1))).nonzero()
    if len(bad):
        chain = int(bad[0])
        values = {n: v.tolist() for n, v in flat.constrain(state.position[chain]).items()}
        raise ValueError(f"the log density or its gradient is not finite where chain {chain} starts: {values}")


def _metric(draws: Tensor) -> Metric:
    """Dense where there are draws (draw, chain, dim) enough for it."""
    dim = draws.shape[-1]
    return estimate(draws, dense=dim <= DENSE_UP_TO and draws[..., 0].numel() > 5 * dim)


def _warm_up(state: nuts.State, density: nuts.Density, metric: Metric, warmup: int, tell: Tell) -> tuple[nuts.State, float, Metric]:
    size = StepSize(first_step_size(state, density, metric))
    stretches, history = dict((end, begin) for begin, end in windows(warmup)), []
    for i in range(warmup):
        state, info = nuts.kernel(state, density, as_steps(size.now, state.log_density), metric)
        acceptance = float(info.acceptance_rate.mean())
        size.learn(acceptance)
        history.append(state.position)
        if i + 1 in stretches:
            metric = _metric(torch.stack(history[stretches[i + 1] - i - 1 :]))
            size.restart(first_step_size(state, density, metric))
            history = []
        tell(i + 1, f"warm-up, acceptance {acceptance:.2f}")
    return state, size.settled, metric


def _sample(
    state: nuts.State, density: nuts.Density, size: float, metric: Metric, draws: int, done: int, tell: Tell
) -> tuple[Tensor, dict[str, Tensor]]:
    """Positions (chain, draw, dim) and statistics (chain, draw)."""
    positions = state.position.new_empty((draws, *state.position.shape))
    steps = as_steps(size, state.log_density)
    kept: dict[str, Tensor] = {}
    for i in range(draws):
        state, info = nuts.kernel(state, density, steps, metric)
        positions[i] = state.position
        for name, value in {"lp": state.log_density, **info._asdict(), "step_size": steps}.items():
            kept.setdefault(name, value.new_empty((draws, *value.shape)))[i] = value
        if i % 50 == 49 or i + 1 == draws:
            divergences = int(kept["diverging"][: i + 1].sum())
            tell(done + i + 1, f"acceptance {float(kept['acceptance_rate'][: i + 1].mean()):.2f}, divergences {divergences}")
    return positions.transpose(0, 1), {name: value.transpose(0, 1) for name, value in kept.items()}


def _constrain(program: Program, flat: Flat, x: Tensor, positions: Tensor) -> tuple[Values, Values]:
    def one(position: Tensor) -> tuple[Values, Values]:
        values = flat.constrain(position)
        return values, program.derive(values, x)

    chunk = max(1, 20_000_000 // max(1, x.numel()))
    results = batched(one, program.missing, chunk)(positions.flatten(0, 1))
    return tuple({n: v.unflatten(0, positions.shape[:2]) for n, v in part.items()} for part in results)
