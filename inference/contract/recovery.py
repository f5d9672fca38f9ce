"""Whether fits find what the model made."""

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from ..diagnostics.calibration.calibration import calibrate
from ..diagnostics.calibration.simulate import simulate
from ..run import seeded
from ..svi import svi
from .fault import Fault
from .subject import Subject

ROWS, HELD, TRIES, SIMULATIONS = 100, 200, 5, 40
# A guide that is only too narrow or too wide keeps within these (posterior standard deviations); one that misses the truth does not.
OFF, WIDE = 1.5, 6.0


def simulated_rows_are_recovered(subject: Subject) -> Iterator[Fault]:
    """Fitted to rows that the model makes, the pair foretells new rows of theirs nearly as well as the truth does.

    A fit of d parameters to n rows loses about d / 2n a row against the truth; five times that, and the chance of a median, are let pass.
    """
    if not subject.suits("log_likelihood"):
        return  # rows have no density to judge by
    like = subject.blank(ROWS + HELD)
    made = _made(subject, like)
    if isinstance(made, Fault):
        yield made
        return
    rows, new, truth = made
    fitted = svi(subject.pair, rows, steps=2000, restarts=2, draws=200, seed=1, device="cpu", compile=False, progress=False)
    lost = (truth - fitted.score(new)).nan_to_num(torch.inf)
    middle = float(lost.median())  # a few far rows, of which an encoder has seen no like, are let pass
    size = sum(site.shape.numel() for site in subject.program.parameters.values()) or sum(p.numel() for p in subject.pair.parameters())
    allowed = 5 * size / (2 * ROWS) + 5 * float(lost.quantile(0.84) - lost.quantile(0.16)) / HELD**0.5
    if not middle < allowed:
        says = f"fitted by svi to {ROWS} rows that its model made, the pair foretells new ones {middle:.3g} nats a row worse than the "
        says += (
            f"truth (up to {allowed:.3g} is chance); it {fitted.how['stopped']}. Is the learning rate too high (`recipe`), the guide too "
        )
        yield Fault(f"{says}poor, or `start` far off?", subject.source.attribute("recipe") or subject.source.start("guide"))


def ranks_are_uniform(subject: Subject) -> Iterator[Fault]:
    """Simulation-based calibration, a short one: over data sets that the model makes, the truth is as often in the posterior's
    tails as it should be."""
    if subject.program.amortised:
        return  # what rows share is a point, or not known by itself: `calibrate` has nothing to rank
    like = subject.blank(20)
    found = calibrate(subject.pair, rows=like, simulations=SIMULATIONS, steps=800, particles=2, compile=False, device="cpu", progress=False)
    missed = found.table.index[(found.table["z_mean"].abs() > OFF) | (found.table["z_sd"] > WIDE)]
    for name in missed:
        mean, sd = found.table.loc[name, ["z_mean", "z_sd"]]
        says = (
            f"over {SIMULATIONS} data sets that its model made, the posterior of {name} by svi misses the truth by {mean:.2g} +- {sd:.2g} "
        )
        yield Fault(f"{says}of its standard deviations (0 +- 1 is right); is the guide's site the model's?", subject.source.start("guide"))
    for finding in found.findings if not len(missed) else ():
        if finding.severity in ("failure", "warning"):
            yield Fault(f"calibration of svi: {finding.name}: {finding.evidence} {finding.advice}".strip(), severity="note")


def _made(subject: Subject, like: Tensor) -> tuple[Tensor, Tensor, Tensor] | Fault:
    """Rows to fit, new rows of the same parameters, and the log density of each of these given the parameters."""
    error: Exception | None = None
    for seed in range(TRIES):
        with seeded(seed, like.device):
            simulated = simulate(subject.pair, like, 1)
        rows, new = simulated.rows[0].split((ROWS, HELD))
        values = {name: value[0][None, None] for name, value in simulated.truth.items() if name in subject.program.parameters}
        try:
            known = svi(subject.pair, rows, steps=1, draws=1, device="cpu", compile=False, progress=False)
        except (ValueError, RuntimeError) as refused:
            error = refused
            continue
        point = replace(known, pair=subject.pair, draws=values or known.draws)
        return rows, new, point.score(new)
    return Fault(f"the pair cannot be fitted to rows that its model makes, {TRIES} times over: {error}", subject.source.start("model"))
