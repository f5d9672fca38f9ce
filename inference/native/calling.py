"""A C function called from compiled loops, by its address."""

from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic


class Calls(NamedTuple):
    """What a function is called with, chain by chain.

    address: of the function. inputs, outputs (chain, argument): the addresses of the tensors that it reads and writes. work
    (thread, byte): what it works in.
    """

    address: int
    inputs: np.ndarray
    outputs: np.ndarray
    work: np.ndarray


@intrinsic
def call(context: Any, address: Any, inputs: Any, outputs: Any, work: Any) -> Any:
    """Call the function at `address` with the addresses of its inputs, of its outputs, and of what it works in."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = ir.IntType(8).as_pointer()
        function = ir.FunctionType(ir.VoidType(), [pointer] * 3).as_pointer()
        builder.call(builder.inttoptr(args[0], function), [builder.inttoptr(a, pointer) for a in args[1:]])
        return context.get_dummy_value()

    return types.void(types.intp, types.uintp, types.uintp, types.uintp), generate
