"""What kernels ask for at every step: the gradient and the log density of every chain."""

from torch import Tensor
from torch.func import grad_and_value, vmap

from ..graphs.compiling import Compile
from ..graphs.graph import traced
from ..graphs.unconstrained import Flat
from ..program import Program
from .by_chain import Gradients
from .leapfrog import Target
from .space import Space


def target_of(program: Program, flat: Flat, rows: Tensor, chains: int, space: Space, compile: Compile, calls: int) -> Target:
    """The target of `chains` chains in spaces like `space`, to be called about `calls` times.

    On a CPU it is C, a chain at a time, where that is allowed, possible and earns itself back; else a graph for all chains.
    """
    axis = program.batch_axis(rows)

    def log_density(position: Tensor, x: Tensor) -> Tensor:
        values, log_jacobian = flat.constrain_with_jacobian(position)
        return program.log_joint(values, x) + log_jacobian

    if compile is not False and rows.device.type == "cpu":
        by_chain = Gradients(log_density, rows, axis is not None, program.missing)
        if by_chain.prepare(space, chains, compile, calls):
            return by_chain

    def gradients(positions: Tensor) -> tuple[Tensor, Tensor]:
        return vmap(grad_and_value(log_density), (0, axis))(positions, rows)

    density = traced(gradients, rows.new_zeros(chains, flat.size), missing=program.missing)

    def target(white: Tensor, space: Space) -> tuple[Tensor, Tensor]:
        grad, log_density = density(space.position(white))
        return space.gradient(grad), log_density

    return target
