"""What is examined: a pair, and rows for it."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyro
import torch
from pyro import poutine
from torch import Tensor

from ..amortised import given_rows
from ..covariates import hollow
from ..graphs.functorch import traceable
from ..graphs.unconstrained import Flat
from ..missing import known_missing
from ..objective import Objective
from ..pair import Pair
from ..posterior import Posterior
from ..program import Program, Values
from ..run import seeded
from .fault import Place
from .source import Sites, Source


@dataclass(frozen=True, eq=False)
class Subject:
    """x: (rows, ...) of torch's default dtype, which should be double, so that small differences can be told."""

    pair: Pair
    x: Tensor

    @property
    def name(self) -> str:
        return type(self.pair).__name__

    @cached_property
    def source(self) -> Source:
        return Source(type(self.pair))

    @cached_property
    def program(self) -> Program:
        return Program(self.pair, self.x)

    @cached_property
    def flat(self) -> Flat:
        """The unconstrained space of all continuous latents."""
        return Flat({name: site for name, site in self.program.sites.items() if not site.support.is_discrete})

    @cached_property
    def positions(self) -> Tensor:
        """(3, size) places in that space."""
        # Drawn now, as the density is first asked for inside a transform of torch's, out of which no tensor may be kept.
        _ = self.drawn
        with seeded(0, self.x.device):
            return 0.5 * torch.randn(3, self.flat.size, dtype=self.x.dtype, device=self.x.device)

    @cached_property
    def drawn(self) -> Values:
        """A draw of the latents of rows that are neither continuous nor summed out."""
        if not self.point:
            return {}
        with torch.no_grad(), self.unchecked(), seeded(0, self.x.device):
            latents, _ = given_rows(self.program, {}, self.x)
        return {name: value for name, value in latents.items() if self.program.sites[name].support.is_discrete}

    @cached_property
    def values(self) -> Values:
        """The values of the latents at the first of them."""
        return self.flat.constrain(self.positions[0]) | self.drawn

    def of_rows(self, rows: Tensor, values: Values | None = None) -> Values:
        """The values of the latents when only some rows are at hand."""
        values = self.values if values is None else values
        return {name: value[rows] if self.program.sites[name].local else value for name, value in values.items()}

    def density(self, position: Tensor) -> Tensor:
        """The log joint density of the rows and a place in the unconstrained space."""
        values, log_jacobian = self.flat.constrain_with_jacobian(position)
        return self.program.log_joint(values | self.drawn, self.x) + log_jacobian

    @cached_property
    def shaken(self) -> "Subject":
        """The same with its parameters moved a little, so that no two entries of a table are alike."""
        pair = copy.deepcopy(self.pair)
        with seeded(1, self.x.device), torch.no_grad():
            for parameter in pair.parameters():
                parameter += 0.1 * torch.randn_like(parameter)
        return Subject(pair, self.x)

    def blank(self, count: int) -> Tensor:
        """(count, ...) rows of zeros but for the covariates, which are those of the rows over and over."""
        return hollow(self.pair, self.x[torch.arange(count, device=self.x.device) % len(self.x)], 0.0)

    @contextmanager
    def unchecked(self) -> Iterator[None]:
        """Inside the block programs run as inference runs them, arguments not validated."""
        with traceable(), known_missing(self.program.missing):
            yield

    @cached_property
    def objective(self) -> Objective:
        """What a fit of the pair would minimise."""
        from ..svi import maker

        return maker(getattr(self.pair, "objective", "elbo"), 2)(self.program, self.pair.guide)

    def lines(self, method: str) -> dict[str, Place]:
        """Where each site of the model or guide is sampled, as far as it runs."""
        with torch.no_grad(), pyro.settings.context(module_local_params=True), Sites(self.source) as seen:
            try:
                poutine.trace(getattr(self.pair, method)).get_trace(self.x, len(self.x))
            except Exception:  # whatever it is, another check tells it; here only the lines are asked for
                return seen.lines
        return seen.lines

    def posterior(self, method: str) -> Posterior:
        """A short fit by "svi" or "hmc", made once."""
        if method not in self._fits:
            self._fits[method] = self.fit(method)
        return self._fits[method]

    @cached_property
    def _fits(self) -> dict[str, Posterior]:
        return {}

    def fit(self, method: str) -> Posterior:
        """A short fit, made anew with the same seed."""
        from ..mcmc import mcmc
        from ..svi import svi

        quick: dict[str, Any] = {"seed": 3, "device": "cpu", "progress": False}
        if method == "svi":
            return svi(self.pair, self.x, steps=150, draws=200, **quick)
        return mcmc(self.pair, self.x, kernel=method, chains=2, warmup=5, draws=5, **quick)

    @property
    def point(self) -> bool:
        """Whether rows share no latent, so that what they share is a point."""
        return bool(self.program.amortised) and not self.program.parameters

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods that suit the pair; of the kernels the one whose few transitions cost least."""
        return ("svi", "hmc") if self.suits("mcmc") and not self.program.amortised else ("svi",)

    def suits(self, use: str) -> bool:
        """Whether the pair lets itself be used so ("mcmc", "log_likelihood", "generate", "encode", "impute")."""
        return use not in self.pair.unsuited
