"""What one loop can minimise: a loss of the parameters of a pair and its guide, and what it carries from step to step."""

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor

from .graphs.unconstrained import Flat
from .program import Program, Values


class Objective(torch.nn.Module):
    """A loss of the named parameters of this module: those of `pair`, and of `guide`.

    A subclass writes `loss(parameters, x)`, a scalar of the rows `x`, standing for all rows of the program, at the given values of
    `named_parameters`; or `begin` and `step`, where something is carried from one step to the next, such as Markov chains.

    ranks: whether of two fits the one with the lower loss is the better, so that starts and rows held out can be compared by it.
    """

    ranks: ClassVar[bool] = True
    loss: Callable[[Values, Tensor], Tensor]

    def __init__(self, program: Program, guide: Callable) -> None:
        super().__init__()
        self.program, self.pair, self.guide = program, program.pair, guide

    @property
    def inferred(self) -> int:
        """How many numbers are inferred: those that shared latents have free. What is learnt as a point has no scale to move by."""
        return Flat(self.program.parameters).size

    def rate(self, name: str) -> float:
        """By how many times the learning rate the parameter of that name is moved."""
        return 1.0

    def begin(self, x: Tensor) -> Values:
        """What the first step is handed, given some rows; nothing, unless the objective carries something."""
        return {}

    def step(self, parameters: Values, x: Tensor, carried: Values) -> tuple[Tensor, Values]:
        """The loss whose gradient is followed, a scalar, and what the next step is handed."""
        return self.loss(parameters, x), carried

    def forward(self, run: Callable, *args: Any) -> Any:
        """What `run` gives while `functional_call` has this module's parameters replaced."""
        return run(*args)
