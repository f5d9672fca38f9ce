"""The contract between a pair and the inference that runs it, one check a function.

A check takes a `Subject`, a pair with rows, and yields a `Fault` for whatever it finds wrong, in plain words. `examine` runs them
all in stages: where one finds a fault, those after it are not looked at, because they would only say the same less clearly.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pyro
import torch

from ..covariates import rows_for
from ..pair import Pair
from . import fits, graphs, parameters, reading, recovery, rows, running, symmetries
from .fault import Fault, Place
from .subject import Subject

Check = Callable[[Subject], Iterator[Fault]]

STAGES: dict[str, tuple[Check, ...]] = {
    "its code": (reading.hyperparameters, reading.signatures, reading.one_path, reading.named_devices, parameters.no_plain_tensors),
    "its model": (running.rows_in_a_plate,),
    "its guide": (running.guide_draws_the_latents,),
    "its runs": (
        rows.any_number_of_rows,
        graphs.batched_over_draws,
        running.guide_stays_in_the_support,
        parameters.parameters_belong_to_the_pair,
    ),
    "its rows": (rows.rows_stand_alone,),
    "its densities": (
        rows.minibatches_are_unbiased,
        graphs.one_dtype,
        graphs.traced_is_interpreted,
        symmetries.declared_symmetries_change_nothing,
        parameters.other_parameters_are_the_models,
        parameters.every_parameter_of_the_guide_moves,
    ),
    "a fit": (
        fits.a_posterior_answers,
        fits.holes_are_integrated_out,
        fits.saved_and_loaded_is_the_same,
        fits.a_fit_is_repeated_by_its_seed,
    ),
    "recovery": (recovery.simulated_rows_are_recovered, recovery.ranks_are_uniform),
}
# Those that take no more than a moment or a short fit.
QUICK = tuple(check for stage, checks in STAGES.items() if stage != "recovery" for check in checks)


@dataclass(frozen=True)
class Examined:
    """name: of the pair's class. faults: what was found. passed: the checks that found no failure. skipped: those not looked at."""

    name: str
    faults: list[Fault]
    passed: list[str]
    skipped: list[str]

    @property
    def ok(self) -> bool:
        return not any(fault.severity == "failure" for fault in self.faults)

    @property
    def verdict(self) -> str:
        """The answer, in a line."""
        if self.ok:
            return f"{self.name} keeps the contract: {len(self.passed)} checks passed."
        failures = sum(fault.severity == "failure" for fault in self.faults)
        left = f" {len(self.skipped)} checks wait until {'it is' if failures == 1 else 'they are'} mended." if self.skipped else ""
        return f"{self.name} breaks the contract: {failures} fault{'s' * (failures > 1)}.{left}"

    def __str__(self) -> str:
        return "\n".join([self.verdict, *map(str, self.faults)])


def examine(pair: Pair, x: Any, *, quick: bool = False, tell: Callable[[str], None] = lambda _: None) -> Examined:
    """Check all that inference asks of a pair, in double precision on the CPU.

    Arguments:
        pair: it stays as it is. x: rows that suit it, as `inference.as_table` reads them; some ten are enough, without `NaN`.
        quick: whether to leave out the fits to simulated rows, which take most of the time.
        tell: is told the name of each check when it begins.

    Raises: what `as_table` raises.
    """
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.double)
    try:
        # Made anew: a buffer that was single precision would be a single precision's worth of digits off.
        made = type(pair)(**pair.hyperparameters)
        with pyro.get_param_store().scope():
            return _examined(Subject(made.double(), rows_for(made, x).x.double()), quick, tell)
    finally:
        torch.set_default_dtype(default)


def run(check: Check, subject: Subject) -> list[Fault]:
    """What a check finds; an exception that it does not foresee is a fault too."""
    name = check.__name__.replace("_", " ")
    try:
        return [replace(fault, check=name) for fault in check(subject)]
    except Exception as error:  # a stranger's code may raise what it likes
        says = f"{type(error).__name__}: {str(error).strip() or 'no message'}"
        return [Fault(says, subject.source.raised(error), check=name)]


def _examined(subject: Subject, quick: bool, tell: Callable[[str], None]) -> Examined:
    faults, passed, names = [], [], [c.__name__.replace("_", " ") for checks in STAGES.values() for c in checks]
    for stage, checks in STAGES.items():
        if (quick and stage == "recovery") or _failed(faults):
            break
        for check in checks:
            tell(check.__name__.replace("_", " "))
            found = run(check, subject)
            faults += found
            if not _failed(found):
                passed.append(check.__name__.replace("_", " "))
    looked_at = {*passed, *(fault.check for fault in faults)}
    return Examined(subject.name, faults, passed, [name for name in names if name not in looked_at])


def _failed(faults: Iterable[Fault]) -> bool:
    return any(fault.severity == "failure" for fault in faults)


__all__ = ["QUICK", "STAGES", "Check", "Examined", "Fault", "Place", "Subject", "examine", "run"]
