"""Annealed importance sampling: the mass of an undirected model, on the way to it from one whose rows and latents are independent.

Chains of block Gibbs go from coupling 0, where the mass is known and draws are exact, to coupling 1 over many places between; what the
density of a row gains at each place adds up to the logarithm of its weight. The mean weight is the ratio of the masses: on average
right, its logarithm on average too low. Chains that go the same way back, from draws of the model, give the ratio's inverse, and a
logarithm that is too high; so the two hold the truth between them, as far as the chains that went back did set out from draws.

Sources: Neal 2001, "Annealed importance sampling", Statistics and Computing 11; Salakhutdinov & Murray 2008, "On the quantitative
analysis of deep belief networks", ICML; Burda, Grosse & Salakhutdinov 2015, "Accurate and conservative estimates of MRF log-likelihood
using reverse annealing", AISTATS.
"""

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from ..amortised import given_rows
from ..graphs.compiling import Compile
from ..graphs.elimination import row_terms
from ..graphs.graph import traced
from ..places import log_mean, relative_error, spaced
from ..program import Program
from .gibbs import Coupled, rows_given

# Places of the pilot run, by which the others are chosen; sweeps between the way there and the way back.
PILOT, RESTING = 100, 100


class Annealed(NamedTuple):
    """log_z: of the model. low, high: what holds it between. effective: how many chains' worth the weights are, of `chains`."""

    log_z: float
    low: float
    high: float
    effective: float
    chains: int


class Annealing:
    """Chains from independent rows to the model of `program` and back, the rows of which give their shape.

    Arguments: chains: how many. places: between 0 and 1, both counted.
    """

    def __init__(self, program: Program, chains: int, places: int, compile: Compile = False) -> None:
        rows = program.x.new_zeros((chains, *program.x.shape[1:]))
        self._program, self._coupled, self._chains, self._places = Program(program.pair, rows), Coupled(program.pair), chains, places
        zero, free = rows.new_zeros(()), torch.ones_like(rows, dtype=torch.bool)

        def move(rows: Tensor, before: Tensor, after: Tensor) -> tuple[Tensor, Tensor]:
            return self._coupled.moved(self._program, rows, free, before, after)

        self._move = traced(move, rows, zero, zero, missing=False, compile=compile, calls=2 * places)

    def run(self) -> Annealed:
        """There and back."""
        way = self._way()
        rows, start = self.independent()
        rows, there = self._along(rows, way)
        forth, error = start + float(log_mean(there)), float(relative_error(there))
        rows = rows[torch.multinomial((there - there.max()).exp(), self._chains, replacement=True)]
        for _ in range(RESTING):
            rows, _ = self._move(rows, way[-1], way[-1])
        _, back = self._along(rows, way.flip(0))
        returned = start - float(log_mean(back))
        low, high = forth - 3 * error, returned + 3 * float(relative_error(back))
        return Annealed(forth, min(low, high), max(low, high, forth), self._chains / (1 + self._chains * error**2), self._chains)

    def independent(self) -> tuple[Tensor, float]:
        """Rows at coupling 0, and the logarithm of the mass there: density over that of latents and rows as they are drawn."""
        program, zero = self._program, self._program.x.new_zeros(())

        def draw() -> tuple[Tensor, Tensor]:
            latents, log_q = given_rows(program, {}, program.x)
            rows = rows_given(program, latents, program.x)
            trace = program.trace(latents, rows)
            of_row = row_terms(trace, 1.0, only=program.observed)
            return rows, row_terms(trace, 1.0) - of_row - log_q

        with torch.no_grad():
            rows, log_mass = self._coupled.at(zero, draw)
        return rows, float(log_mass.double().mean())

    def _along(self, rows: Tensor, way: Tensor) -> tuple[Tensor, Tensor]:
        """Rows at the end of the way, and (chains,) what their densities gained."""
        total = rows.new_zeros(self._chains, dtype=torch.double)
        for before, after in pairwise(way):
            rows, gained = self._move(rows, before, after)
            total += gained
        return rows, total

    def _way(self) -> Tensor:
        """Places so spaced that at each the gains of a pilot run spread alike."""
        even = torch.linspace(0, 1, min(PILOT, self._places)).to(self._program.x)
        rows, spreads = self.independent()[0], []
        for before, after in pairwise(even):
            rows, gained = self._move(rows, before, after)
            spreads.append(gained.double().std(correction=0))
        return spaced(even, torch.stack(spreads), self._places)
