"""Parameters of a guide that its pair solves for, and that then follow no gradient."""

import torch
from torch import Tensor
from torch.distributions import transform_to
from torch.func import functional_call

from ..objective import Objective
from ..program import Values


class Solved:
    """The parameters that `Pair.solve` gives; a step of length `rate` goes that far towards what they should be.

    For conjugate models and guides in the same exponential family that is a natural gradient step.
    Source: Hoffman, Blei, Wang & Paisley 2013, "Stochastic variational inference", JMLR 14.

    Raises:
        LookupError: the pair solves for what is no parameter of its guide.
        ValueError: a solution has another shape than its parameter, or lies outside its constraint.
    """

    def __init__(self, objective: Objective) -> None:
        self._objective = objective
        program, pair = objective.program, objective.pair
        with torch.no_grad():
            found = pair.solve(program.x, program.size) if pair.solve and objective.guide == pair.guide else {}
        self._transforms = {_parameter(pair, name): _checked(pair, name, value) for name, value in found.items()}

    @property
    def names(self) -> list[str]:
        """As the objective names its parameters."""
        return list(self._transforms)

    def solutions(self, parameters: Values, x: Tensor) -> list[Tensor]:
        """What the parameters solved for should be, the objective's parameters being `parameters` and the rows `x`."""
        if not self._transforms:
            return []
        found = functional_call(self._objective, parameters, (self._objective.pair.solve, x, self._objective.program.size))
        return list(found.values())

    def move(self, leaves: Values, solutions: list[Tensor], rate: float) -> None:
        """Take a step in place, in the space in which the guide uses the parameters."""
        for (name, transform), solution in zip(self._transforms.items(), solutions, strict=True):
            leaves[name].copy_(transform.inv(transform(leaves[name]).lerp(solution, rate)))


def _parameter(pair: torch.nn.Module, name: str) -> str:
    return f"pair.{name}_unconstrained"


def _checked(pair: torch.nn.Module, name: str, value: Tensor) -> torch.distributions.Transform:
    """The transform to the values of a guide's parameter, whose solution is `value`."""
    owner, _, attribute = name.rpartition(".")
    module = pair.get_submodule(owner)
    if attribute not in getattr(module, "_pyro_params", {}):
        raise LookupError(f"{type(pair).__name__}.solve gives {name!r}, which is no PyroParam of the guide")
    constraint = module._pyro_params[attribute][0]
    shape = getattr(module, attribute).shape
    if value.shape != shape:
        raise ValueError(f"{type(pair).__name__}.solve gives {name!r} of shape {tuple(value.shape)}; the parameter has {tuple(shape)}")
    if not constraint.check(value).all():
        raise ValueError(f"{type(pair).__name__}.solve gives {name!r} outside its constraint, {constraint}")
    return transform_to(constraint)
