"""Annealed importance sampling of rows: the density of each, its continuous latents integrated out by chains of Hamiltonian Monte Carlo.

Chains set out from the prior of the latents, and are moved at many places on the way to their law given the row: at place t they
move by p(latents) p(row | latents)^t. What the density gains at each place adds up to the logarithm of a weight, whose mean is the
density of the row: on average right, its logarithm on average too low. Chains that go back, from latents that did make the row, give
its inverse, and a logarithm that is on average too high. The guide has no part in it: this judges what is found by a guide.

Step sizes and places are learnt by a pilot run, and then held, so that weights stay right on average.

Sources: Neal 2001, "Annealed importance sampling", Statistics and Computing 11; Grosse, Ghahramani & Adams 2015, "Sandwiching the
marginal likelihood using bidirectional Monte Carlo", arXiv:1511.02543; Wu, Burda, Salakhutdinov & Grosse 2017, "On the quantitative
analysis of decoder-based generative models", ICLR.
"""

from itertools import pairwise

import torch
from pyro import poutine
from torch import Tensor
from torch.func import grad_and_value, vmap

from ..graphs.elimination import row_terms
from ..graphs.graph import batched, traced
from ..graphs.unconstrained import Flat, check_jacobians
from ..mcmc.leapfrog import Point, State, kinetic, leapfrog, pick
from ..pair import Pair
from ..places import spaced
from ..program import Program, Values

# Places of the pilot run; leapfrogs of a trajectory, and the share of its length that the shortest has; acceptance that step sizes are
# learnt for, how fast, and the first of them.
PILOT, LEAPS, SHORTEST, ACCEPTED, RATE, FIRST = 100, 5, 0.3, 0.8, 0.3, 0.5


class RowAnnealing:
    """Chains for each of the rows `x`: from the prior of their latents to their law given the row, and back.

    Arguments:
        shared: (chains, rows, *site) of what rows share, a draw for each chain of each row; none where that is a point.
        chains: of each row. places: between 0 and 1, both counted.
    """

    def __init__(self, pair: Pair, x: Tensor, shared: Values, chains: int, places: int) -> None:
        self._program, self._chains, self._rows = Program(pair, x[:1]), chains, len(x)
        self._flat = Flat(self._program.amortised)
        check_jacobians(self._flat, self._program.amortised)
        self._missing = Program(pair, x).missing
        self._given = {name: value.flatten(0, 1) for name, value in shared.items()}, x.repeat(chains, *[1] * (x.dim() - 1))
        here, place, step = x.new_zeros(chains * len(x), self._flat.size), x.new_zeros(()), x.new_ones(chains * len(x), 1)
        self._look = traced(self._density, here, place, *self._given, missing=self._missing)
        self._leap = traced(self._leapfrog, Point(here, here, here), step, place, *self._given, missing=self._missing)
        self._learn(places)

    def forth(self) -> Tensor:
        """(chains, rows) log weights of chains from the prior: of mean p(row)."""
        return self._along(self._prior(), self._way)[1]

    def back(self, latents: Values) -> Tensor:
        """(chains, rows) log weights of chains from `latents` (rows, 1, ...), drawn given the rows: of mean 1 / p(row)."""
        start = batched(self._flat.flatten, self._missing)(latents).repeat(self._chains, 1)
        return self._along(start, self._way.flip(0))[1]

    def _prior(self) -> Tensor:
        """(chains * rows, dim) latents drawn from their prior."""

        def one(given: tuple[Values, Tensor]) -> Tensor:
            nodes = poutine.trace(poutine.condition(self._program.pair.model, data=given[0])).get_trace(given[1][None], 1).nodes
            return self._flat.flatten({name: nodes[name]["value"] for name in self._program.amortised})

        return batched(one, self._missing)(self._given)

    def _along(self, position: Tensor, way: Tensor) -> tuple[Tensor, Tensor]:
        """Latents at the end of the way, and (chains, rows) what their densities gained."""
        total = position.new_zeros(self._chains, self._rows, dtype=torch.double)
        for before, after in pairwise(way):
            step = self._steps[torch.searchsorted(self._pilot, after).clamp(max=len(self._steps) - 1)]
            position, gained, _ = self._moved(position, before, after, step)
            total += gained
        return position, total

    def _moved(self, position: Tensor, before: Tensor, after: Tensor, step: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Latents after one trajectory at the place `after`; (chains, rows) what was gained on the way there, and acceptance.

        step: (rows,) the size of a leapfrog in the longest.
        """
        grad, log_density, likelihood = self._look(position, after, *self._given)
        # Of lengths that differ: a trajectory of one length may come back to where it set out.
        momentum, length = torch.randn_like(position), SHORTEST + (1 - SHORTEST) * torch.rand_like(position[:, :1])
        each = step.repeat(self._chains)[:, None] * length
        point, energy = Point(position, momentum, grad), kinetic(momentum) - log_density
        for _ in range(LEAPS):
            point, reached = self._leap(point, each, after, *self._given)
        acceptance = (energy + reached - kinetic(point.momentum)).nan_to_num(nan=-torch.inf).exp().clamp(max=1.0)
        taken = torch.rand_like(acceptance) < acceptance
        new = pick(taken, State(point.position, reached, point.grad), State(position, log_density, grad))
        gained = (after - before).double() * likelihood.double()
        return new.position, gained.reshape(self._chains, -1), acceptance.reshape(self._chains, -1)

    def _learn(self, places: int) -> None:
        """A pilot run, closer where the row begins to count: by it step sizes at its places, and where chains are to stop."""
        self._pilot = torch.linspace(0, 1, PILOT).to(self._given[1]) ** 4
        step, steps, spreads, position = self._pilot.new_full((self._rows,), FIRST), [], [], self._prior()
        for before, after in pairwise(self._pilot):
            position, gained, acceptance = self._moved(position, before, after, step)
            steps.append(step)
            spreads.append(gained.std(0).mean())
            step = step * (RATE * (acceptance.mean(0).to(step) - ACCEPTED)).exp()
        self._steps = torch.stack([steps[0], *steps])
        self._way = spaced(self._pilot, torch.stack(spreads), places)

    def _density(self, position: Tensor, place: Tensor, shared: Values, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Of each chain: the gradient of its log density at a place, that density, and log p(row | latents)."""
        grad, (value, likelihood) = vmap(grad_and_value(self._of_one, has_aux=True), (0, None, 0, 0))(position, place, shared, x)
        return grad, value, likelihood

    def _of_one(self, position: Tensor, place: Tensor, shared: Values, x: Tensor) -> tuple[Tensor, Tensor]:
        values, log_jacobian = self._flat.constrain_with_jacobian(position)
        trace = self._program.trace(shared | values, x[None])
        prior, both = row_terms(trace, 1.0, only=self._program.locals)[0], row_terms(trace, 1.0)[0]
        return (prior + place * (both - prior) + log_jacobian).double(), both - prior

    def _leapfrog(self, point: Point, step: Tensor, place: Tensor, shared: Values, x: Tensor) -> tuple[Point, Tensor]:
        return leapfrog(point, step, lambda position: self._density(position, place, shared, x)[:2])
