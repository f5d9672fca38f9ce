"""One step of a batch of fits, as a graph."""

from torch import Tensor
from torch.func import grad_and_value, vmap

from ..graphs.compiling import Compile
from ..graphs.graph import Graph, traced
from ..objective import Objective
from ..program import Values
from .optimiser import clipped
from .solved import Solved

Found = tuple[list[Tensor], list[Tensor], list[Tensor], Tensor]


def traced_step(
    objective: Objective, solved: Solved, parameters: Values, carried: Values, x: Tensor, clip: float | None, compile: Compile, calls: int
) -> Graph:
    """(gradients of the free parameters, solutions of the others, what is carried on, losses (restart,)) from the parameters and what
    was carried, each (restart, ...), and rows like `x`.

    The gradient of the sum of all losses is each restart's own, and is batched where torch has no rule to batch a gradient.
    """
    # One fit is not batched: matrix products of a batch of one are slower than those of none.
    axis = objective.program.batch_axis(x)
    alone = axis is None and len(next(iter(parameters.values()))) == 1

    def advance(parameters: Values, x: Tensor, carried: Values) -> tuple[Tensor, Values]:
        return objective.step(parameters, objective.pair.augment(x), carried)

    solve = solved.solutions
    if not alone:
        advance, solve = (vmap(function, (0, axis, *rest), randomness="different") for function, rest in ((advance, (0,)), (solve, ())))

    def total(free: Values, fixed: Values, x: Tensor, carried: Values) -> tuple[Tensor, tuple[Values, Tensor]]:
        each, carried = advance(free | fixed, x, carried)
        return each.sum(), (carried, each.detach().reshape(-1))

    def step(parameters: Values, carried: Values, x: Tensor) -> Found:
        given, memory = ({name: value[0] for name, value in part.items()} if alone else part for part in (parameters, carried))
        fixed = {name: given[name] for name in solved.names}
        free = {name: value for name, value in given.items() if name not in fixed}
        grads, (_, (kept, each)) = grad_and_value(total, has_aux=True)(free, fixed, x, memory)
        found = [*grads.values()], solve(given, x), [kept[name].detach() for name in memory]
        grads, solutions, kept = ([value[None] for value in part] for part in found) if alone else found
        return clipped(grads, clip), solutions, kept, each

    return traced(step, parameters, carried, x, missing=objective.program.missing, compile=compile, calls=calls)
