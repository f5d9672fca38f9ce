"""Contrastive divergence: a model that is known up to its normaliser is fitted by what it would draw in place of the data."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call

from ..amortised import log_weight
from ..graphs.elimination import is_sample, local
from ..missing import known_missing
from ..objective import Objective
from ..program import Program, Values
from .gibbs import sweep
from .tempering import tempered


class ContrastiveDivergence(Objective):
    """The mean log density of the rows of Markov chains, less that of the rows at hand; nats a row.

    Chains of block Gibbs are carried from step to step (persistent contrastive divergence), so that they follow the model as it
    moves; the gradient is that of minus the log likelihood of a row, as far as they do. The guide being exact, p(row, latents) /
    q(latents | row) is the density of the row, whatever the latents: they are summed out, in the gradient too. Holes are drawn given
    the latents, and those given what is seen of the row. What the model says of its parameters (a factor outside the plate) counts
    once for all rows.

    The loss itself tells little: it is near zero while chains keep up, and of two fits the lower is not the better.

    Arguments:
        particles: how many chains. sweeps: of each, a step. temperatures: how many couplings the chains are run at by parallel
            tempering (`tempering.py`), evenly spaced up to the model's own; 1 is none.

    Raises:
        ValueError: the pair does not say that it is undirected.

    Sources: Hinton 2002, "Training products of experts by minimizing contrastive divergence", Neural Computation 14; Tieleman 2008,
    "Training restricted Boltzmann machines using approximations to the likelihood gradient", ICML.
    """

    ranks = False

    def __init__(self, program: Program, guide: Callable, particles: int = 100, sweeps: int = 1, temperatures: int = 1) -> None:
        super().__init__(program, guide)
        if not self.pair.undirected:
            raise ValueError(
                f"objective='contrastive' is for models known up to a normaliser, which {type(self.pair).__name__} does not say "
                "its own to be (`Pair.undirected`); leave it out, or use 'elbo'"
            )
        rows = program.x.new_zeros((particles, *program.x.shape[1:]))
        self._chains, self._sweeps = Program(self.pair, rows), sweeps
        self._places = torch.linspace(0, 1, temperatures + 1, dtype=rows.dtype, device=rows.device)[1:]

    def begin(self, x: Tensor) -> Values:
        """Chains at rows chosen at random, their holes filled."""
        some = x[torch.randint(len(x), (len(self._chains.x),), device=x.device)]
        return {"chains": torch.stack([sweep(self.program, some, some.isnan())] * len(self._places))}

    def step(self, parameters: Values, x: Tensor, carried: Values) -> tuple[Tensor, Values]:
        """See `Objective`."""
        fixed = {name: value.detach() for name, value in parameters.items()}
        if self.program.missing:
            x = functional_call(self, fixed, (sweep, self.program, x, x.isnan()))

        def at(place: Tensor, run: Callable, *args: Any) -> Any:
            return functional_call(self, fixed | {"pair.coupling": place}, (run, *args))

        with known_missing(False):
            chains = carried["chains"]
            for _ in range(self._sweeps):
                chains = tempered(at, self._chains, chains, self._places)
            given = ((self.program, x), (self._chains, chains[-1]))
            seen, drawn = (functional_call(self, parameters, (log_weight, program, {}, rows))[1] for program, rows in given)
            said = functional_call(self, parameters, (_log_shared, self.program, x))
        return drawn.mean(dtype=torch.double) - seen.mean(dtype=torch.double) - said / self.program.size, {"chains": chains}


def _log_shared(program: Program, x: Tensor) -> Tensor | float:
    """What the model says of all rows together."""
    nodes = program.trace({}, x).nodes
    return sum(site["log_prob_sum"] for site in nodes.values() if is_sample(site) and not local(site))
