"""A function of tensors as C."""

import ctypes
import logging
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, fx

from ..graphs.compiling import alike
from ..graphs.simplified import simplified
from ..graphs.tracing import written
from .emitter import Source, decompositions
from .foreign import Foreign
from .library import loaded
from .values import Unsupported
from .writer import ALIGNED

log = logging.getLogger("inference")


class Routine:
    """A graph as compiled C, for arguments of the shapes that it was traced on.

    address: where the function is. constants: tensors that it reads after its arguments. calls: what it calls, whose addresses come
    last; foreign: those of them that ask torch.

    Raises Unsupported where the graph, or this machine, does not allow it.
    """

    def __init__(self, graph: fx.GraphModule) -> None:
        source = Source(graph)
        # Held: a library that is let go of takes its functions with it.
        self._library = loaded(source.text)
        self.address = ctypes.cast(self._library.run, ctypes.c_void_p).value
        self.constants, self.calls, self._bytes = source.constants, source.calls, source.bytes
        self.foreign = [call for call in self.calls if isinstance(call, Foreign)]
        self._takes, self._gives = source.inputs, source.outputs
        self._own = self.work(1)

    def work(self, threads: int) -> np.ndarray:
        """(thread, byte) what the function works in, for each thread that calls it."""
        width = -(-max(self._bytes, 1) // ALIGNED) * ALIGNED
        room = np.empty(threads * width + ALIGNED, np.uint8)
        begin = -room.ctypes.data % ALIGNED
        return room[begin : begin + threads * width].reshape(threads, width)

    def __call__(self, *args: Tensor) -> list[Tensor]:
        """The function itself, of contiguous tensors."""
        if [(a.shape, a.dtype) for a in args] != self._takes:
            raise ValueError(f"this function takes {self._takes}, not {[(tuple(a.shape), a.dtype) for a in args]}")
        results = [torch.empty(shape, dtype=dtype) for shape, dtype in self._gives]
        inputs, outputs = self.addresses([(a, False) for a in args], 1), addresses([(r, False) for r in results], 1)
        self._library.run(*(ctypes.c_void_p(a.ctypes.data) for a in (inputs, outputs, self._own)))
        self.raise_what_failed()
        return results

    def addresses(self, arguments: list[tuple[Tensor, bool]], chains: int) -> np.ndarray:
        """(chain, input) of what the function reads: `addresses` of its arguments, and what comes after them."""
        fixed = [*(c.data_ptr() for c in self.constants), *(c.address for c in self.calls)]
        return np.hstack([addresses(arguments, chains), np.tile(np.array(fixed, np.uintp), (chains, 1))])

    def raise_what_failed(self) -> None:
        """Raise the first of what calls of torch raised since this was asked last."""
        failed = [error for call in self.foreign for error in call.failed]
        for call in self.foreign:
            call.failed.clear()
        if failed:
            raise failed[0]


def checked(graph: fx.GraphModule, example: list[Tensor]) -> Routine:
    """A graph as C that gives what the graph does. Raises Unsupported where it does not, and where `Routine` does."""
    routine = Routine(graph)
    if not alike(routine, graph, example):
        log.warning("stays with torch, slower: the C compiler made a mistake, and what it made is not used")
        raise Unsupported("the C compiler made a mistake")
    return routine


def translated(graph: fx.GraphModule, example: list[Tensor]) -> Callable[..., list[Tensor]] | None:
    """A graph as C, for contiguous arguments like `example`; None, told in the log, where that cannot be."""
    if any(leaf.device.type != "cpu" for leaf in example):
        return None
    try:
        # What is traced is also run: the random numbers that this takes are given back.
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            return checked(simplified(written(graph, example, decompositions())), example)
    except Unsupported as reason:
        log.info("stays with torch, slower: %s", reason)
        return None


def addresses(tensors: list[tuple[Tensor, bool]], chains: int) -> np.ndarray:
    """(chain, tensor) where the part of each chain lies in contiguous tensors; told of each whether it has such parts, or is shared."""
    table = np.empty((chains, len(tensors)), np.uintp)
    for k, (tensor, own) in enumerate(tensors):
        stride = tensor.stride(0) * tensor.element_size() if own else 0
        table[:, k] = tensor.data_ptr() + stride * np.arange(chains, dtype=np.uintp)
    return table
