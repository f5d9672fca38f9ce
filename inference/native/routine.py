"""A function of tensors as C."""

import ctypes
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, fx

from ..graphs.graph import graph_of
from .emitter import Source, decompositions
from .library import loaded

ALIGNED = 64


def as_graph(function: Callable[..., list[Tensor]], example: list[Tensor], missing: bool) -> fx.GraphModule | None:
    """`function` as a graph of the operations that C knows; None, said once, if it cannot be traced."""
    return graph_of(function, example, missing, decompositions())


class Routine:
    """A graph as compiled C, for arguments of the shapes that it was traced on.

    address: where the function is. outputs: shape and type of each result. constants: tensors that it reads after its arguments.
    foreign: calls of torch in it, whose addresses come last.

    Raises Unsupported where the graph, or this machine, does not allow it.
    """

    def __init__(self, graph: fx.GraphModule) -> None:
        source = Source(graph)
        # Held: a library that is let go of takes its functions with it.
        self._library = loaded(source.text)
        self.address = ctypes.cast(self._library.run, ctypes.c_void_p).value
        self.outputs, self.constants, self.foreign, self._bytes = source.outputs, source.constants, source.foreign, source.bytes

    def work(self, threads: int) -> np.ndarray:
        """(thread, byte) what the function works in, for each thread that calls it."""
        width = -(-max(self._bytes, 1) // ALIGNED) * ALIGNED
        room = np.empty(threads * width + ALIGNED, np.uint8)
        begin = -room.ctypes.data % ALIGNED
        return room[begin : begin + threads * width].reshape(threads, width)

    def __call__(self, *args: Tensor) -> list[Tensor]:
        """The function itself."""
        given = [a.contiguous() for a in args]
        results = [torch.empty(shape, dtype=dtype) for shape, dtype in self.outputs]
        inputs, outputs = self.addresses([(a, False) for a in given], 1), addresses([(r, False) for r in results], 1)
        work = self.work(1)
        self._library.run(*(ctypes.c_void_p(a.ctypes.data) for a in (inputs, outputs, work)))
        self.raise_what_failed()
        return results

    def addresses(self, arguments: list[tuple[Tensor, bool]], chains: int) -> np.ndarray:
        """(chain, input) of what the function reads: `addresses` of its arguments, and what comes after them."""
        fixed = [*(c.data_ptr() for c in self.constants), *(f.address for f in self.foreign)]
        return np.hstack([addresses(arguments, chains), np.tile(np.array(fixed, np.uintp), (chains, 1))])

    def raise_what_failed(self) -> None:
        """Raise the first of what calls of torch raised since this was asked last."""
        failed = [error for call in self.foreign for error in call.failed]
        for call in self.foreign:
            call.failed.clear()
        if failed:
            raise failed[0]


def addresses(tensors: list[tuple[Tensor, bool]], chains: int) -> np.ndarray:
    """(chain, tensor) where the part of each chain lies in contiguous tensors; told of each whether it has such parts, or is shared."""
    table = np.empty((chains, len(tensors)), np.uintp)
    for k, (tensor, own) in enumerate(tensors):
        stride = tensor.stride(0) * tensor.element_size() if own else 0
        table[:, k] = tensor.data_ptr() + stride * np.arange(chains, dtype=np.uintp)
    return table
