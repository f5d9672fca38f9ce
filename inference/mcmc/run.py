"""The call `mcmc`: start, warm up, draw."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from ..graphs.compiling import Compile, check_compile
from ..graphs.graph import Graph, batched, traced
from ..graphs.unconstrained import Flat, check_jacobians, fixed
from ..interrupt import Interrupted, between_steps
from ..memory import at_once
from ..pair import Pair
from ..posterior import Posterior
from ..program import Program, Values
from ..progress import Tell, progress_line
from ..run import at_least, open_door, seeded
from ..saving.checkpoint import Checkpoint, fingerprint
from .draws import Draws, refuse_too_many
from .gibbs import draw_by_sweeps
from .kernels import KERNELS, check_kernel
from .noise import keys
from .sampler import Sampler
from .space import suits_dense, unit
from .starts import DRAWS, from_guide, from_posterior
from .targets import target_of
from .warmup import most_draws

STEPS = 8
# Draws at most, and seconds about, between two looks at the checkpoint, at Ctrl-C and at how it goes.
BLOCK, PATIENCE = 50, 0.5


def mcmc(
    pair: Pair,
    x: Any,
    *,
    kernel: str = "nuts",
    chains: int = 4,
    warmup: int = 500,
    draws: int = 1000,
    thin: int = 1,
    target_acceptance: float | None = None,
    start: Posterior | None = None,
    seed: int = 0,
    device: str = "auto",
    compile: Compile = "auto",
    progress: bool | None = None,
    checkpoint: str | Path | None = None,
) -> Posterior:
    """Draw from the posterior of `pair` given the rows `x`; the pair that is handed in stays as it is.

    Discrete latents of a row are summed out exactly; continuous ones, of a pair whose rows share others, are drawn along. All chains
    move at once; during `warmup` transitions, which are thrown away, they learn together one step size, one scale of the posterior
    and, for "chees", one trajectory length, and chains that sit in a mode of no weight are moved to where the others are. A draw
    takes 4 bytes a number (8 in double precision).

    Arguments:
        x: rows, as `as_table` reads them.
        kernel: "nuts"; "chees", the fastest where there are many chains; "hmc", with trajectories of a fixed length;
            "mams", with such at a constant speed; "gibbs", the pair's own sweeps, if it has any: their chains warm up by themselves,
            and take no `start`, `checkpoint` or acceptance.
        chains, warmup, draws: how many chains, and transitions of each. thin: keep every so many-th; `draws` are kept.
        target_acceptance: what the step size is made for, between 0 and 1; by default the kernel's own, 0.8. More means shorter steps
            and fewer divergences.
        start: a Posterior of either method whose draws the chains set out from; by default draws from the guide (`starts`).
        seed: fixes every random number. device: "auto", "cpu" or "cuda". progress: True, False, or None: on a terminal.
        compile: whether to compile the program: on a CPU to C, in a second or so, else by Inductor, in ten or more; "auto" does so for
            runs that are likely to earn it back.
        checkpoint: a folder to save to now and then; the same call made again goes on from there, to the same draws.

    Returns: a Posterior; stats, each (chain, draw): `lp`, `acceptance_rate`, `energy`, `diverging`, `n_steps`, `step_size`, and
        `tree_depth` for "nuts". A run interrupted (Ctrl-C) while it draws returns what it has.

    Raises:
        ValueError: bad rows, an argument out of range, an unknown kernel, a checkpoint of another run, or a start where the
            density is not finite. MemoryError: the draws will not fit.
        TypeError: the pair says that it is unsuited, has no sweeps for "gibbs", or rows have continuous latents and share none.
    """
    counts = {"chains": chains, "warmup": warmup, "draws": draws, "thin": thin}
    at_least(1, **counts)
    at_least(0, seed=seed)
    check_compile(compile)
    own = checkpoint is None and start is None and target_acceptance is None
    check_kernel(kernel, target_acceptance, own)
    settings = {"kernel": kernel, **counts, "target_acceptance": target_acceptance}
    pair, table, rows = open_door(pair, x, device)
    pair.refuse_unsuited("mcmc")
    begin = time.perf_counter()
    with seeded(seed, rows.device), progress_line(f"{kernel} {type(pair).__name__}", warmup + draws * thin, progress) as tell:
        program = Program(pair, rows)
        if not program.parameters:
            program.refuse_amortised("mcmc")
        if kernel == "gibbs":
            values, stats, course = draw_by_sweeps(program, settings, tell)
        else:
            named = {**settings, "seed": seed}
            saved = _checkpoint(checkpoint, pair, named, rows, start)
            values, stats, course = _by_gradients(program, rows, named, compile, tell, start, saved)
        known = fixed(program, rows)
    how = {
        "method": kernel,
        "settings": settings,
        "fixed": known,
        **course,
        "seed": seed,
        "device": str(rows.device),
        "seconds": time.perf_counter() - begin,
    }
    return Posterior.of(pair, values, stats, how, table)


def _by_gradients(
    program: Program,
    rows: Tensor,
    settings: dict[str, Any],
    compile: Compile,
    tell: Tell,
    start: Posterior | None,
    checkpoint: Checkpoint | None,
) -> tuple[Values, Values, dict[str, Any]]:
    """Draws (chain, draw, *site) of what rows share, their statistics, and how it went. Latents of rows are drawn along, and not kept."""
    chains, draws, thin = (settings[name] for name in ("chains", "draws", "thin"))
    flat = Flat(program.continuous)
    check_jacobians(flat, program.continuous)
    refuse_too_many(draws, chains, flat.size, rows)
    sampler = _sampler(program, flat, rows, settings, settings["seed"], compile)
    kept = Draws(sampler, draws, thin, checkpoint)
    if not kept.resume():
        begin_at = from_guide(program, flat, chains, rows) if start is None else from_posterior(program, flat, chains, start)
        _set_out(sampler, flat, begin_at)
    stopped = _through(sampler, kept, settings, tell)
    values, derived = _constrain(program, flat, kept.positions)
    return values | derived, kept.stats, {"restarted": sampler.restarted, "stopped": stopped}


def draw_each(
    program: Program, rows: Tensor, settings: dict[str, Any], seed: int, compile: Compile, tell: Tell
) -> tuple[Values, dict[str, Tensor]]:
    """Draws (chain, draw, *site) of one chain for each data set of `rows` (chain, rows, ...), and their statistics.

    The draws are of all that is moved: of latents of rows too.

    settings: as `mcmc` names them, but for how many chains. The chains move together, but each learns a scale and a step size of its
    own; for "chees" they share how many steps a trajectory takes, which leaves a chain's posterior what it is.

    Raises:
        ValueError: the density is not finite where a chain starts. KeyboardInterrupt: draws cut short are too few for the use.
    """
    flat, settings = Flat(program.continuous), {**settings, "chains": len(rows)}
    check_jacobians(flat, program.continuous)
    refuse_too_many(settings["draws"], len(rows), flat.size, rows)
    sampler = _sampler(program, flat, rows, settings, seed, compile)
    kept = Draws(sampler, settings["draws"], settings["thin"], None)
    _set_out(sampler, flat, from_guide(program, flat, len(rows), rows))
    if _through(sampler, kept, settings, tell).startswith("interrupted"):
        raise KeyboardInterrupt
    return _over_draws(program, flat.constrain, kept.positions), kept.stats


def _sampler(program: Program, flat: Flat, rows: Tensor, settings: dict[str, Any], seed: int, compile: Compile) -> Sampler:
    chains, alike = settings["chains"], program.batch_axis(rows) is None
    calls = (settings["warmup"] + settings["draws"] * settings["thin"]) * STEPS

    def trace(function: Callable, *example: Any) -> Graph:
        return traced(function, *example, missing=program.missing, compile=compile, calls=calls)

    dense = alike and suits_dense(flat.size, max(DRAWS, most_draws(settings["warmup"])) * chains)
    target = target_of(program, flat, rows, chains, unit(flat.size, dense, rows), compile, calls)
    streams = keys(seed, chains, rows.device)
    kernel = KERNELS[settings["kernel"]](target, trace, streams)
    kernel.target_acceptance = settings.get("target_acceptance") or kernel.target_acceptance
    return Sampler(kernel, target, streams, settings["warmup"], dense, alike)


def _checkpoint(folder: str | Path | None, pair: Pair, settings: dict[str, Any], x: Tensor, start: Posterior | None) -> Checkpoint | None:
    if folder is None:
        return None
    cls = type(pair)
    named = {"pair": f"{cls.__module__}:{cls.__qualname__}", "hyperparameters": pair.hyperparameters, "rows": fingerprint(x)}
    begun = None if start is None else {name: fingerprint(draws) for name, draws in start.draws.items()}
    return Checkpoint(folder, {"method": "mcmc", **named, **settings, "start": begun})


def _set_out(sampler: Sampler, flat: Flat, starts: Tensor) -> None:
    sampler.set_out(starts)
    bad = (~(sampler.state.log_density.isfinite() & sampler.state.grad.isfinite().all(-1))).nonzero()
    if len(bad):
        chain = int(bad[0])
        values = {n: v.tolist() for n, v in flat.constrain(starts[0, chain]).items()}
        raise ValueError(f"the log density or its gradient is not finite where chain {chain} starts: {values}")


def _through(sampler: Sampler, kept: Draws, settings: dict[str, Any], tell: Tell) -> str:
    """Warm up, then draw; why it stopped."""
    warmup, draws, thin = (settings[name] for name in ("warmup", "draws", "thin"))
    try:
        with between_steps() as look:
            while sampler.done < warmup:
                acceptance = sampler.warm_up()
                tell(sampler.done, f"warm-up, acceptance {acceptance:.2f}")
                kept.save()
                look()
            block = BLOCK
            while kept.count < draws:
                count, begin = min(max(1, block // thin), draws - kept.count) * thin, time.perf_counter()
                kept.add(*sampler.draw(count))
                block = min(BLOCK, int(count * PATIENCE / (time.perf_counter() - begin)))
                seen = kept.stats
                tell(sampler.done, f"acceptance {float(seen['acceptance_rate'].mean()):.2f}, divergences {int(seen['diverging'].sum())}")
                kept.save()
                look()
    except Interrupted:
        kept.save(now=True)
        if not kept.count:
            raise
        return f"interrupted after {kept.count} of {draws} draws"
    except torch.OutOfMemoryError as error:
        raise MemoryError(f"the GPU's memory does not hold {settings['chains']} chains at once; run fewer, or on device='cpu'") from error
    kept.save(now=True)
    return f"drew all {draws}"


def _constrain(program: Program, flat: Flat, positions: Tensor) -> tuple[Values, Values]:
    def one(position: Tensor) -> tuple[Values, Values]:
        values = flat.constrain(position)
        shared = {name: values[name] for name in program.parameters}
        return shared, program.derive(shared, program.x)

    return _over_draws(program, one, positions)


def _over_draws(program: Program, function: Callable[[Tensor], Any], positions: Tensor) -> Any:
    """`function` of a position (dim,) for all positions (chain, draw, dim)."""
    results = batched(function, program.missing, at_once(program.x.numel()))(positions.flatten(0, 1))
    return tree_map(lambda v: v.unflatten(0, positions.shape[:2]), results)
