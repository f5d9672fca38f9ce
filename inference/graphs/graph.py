"""Programs as graphs of tensor operations: traced once, simplified, batched, compiled, never interpreted again."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, fx
from torch.func import functionalize
from torch.utils._pytree import TreeSpec, tree_flatten, tree_unflatten

from ..missing import known_missing
from .compiling import Compile, compiled, suits_c, worth_compiling, worth_translating
from .functorch import traceable
from .simplified import direct, simplified
from .tracing import written

log = logging.getLogger("inference")


class Graph:
    """A function as a graph, for arguments of the shapes that it was traced on. interpreted: whether it could not be traced."""

    def __init__(
        self, run: Callable[..., list[Tensor]], shape: TreeSpec, program: fx.GraphModule | None, interpreted: bool = False
    ) -> None:
        self._run, self._shape, self._program, self.interpreted = run, shape, program, interpreted

    def __call__(self, *args: Any) -> Any:
        return tree_unflatten(self.flat(tree_flatten(args)[0]), self._shape)

    def flat(self, leaves: list[Tensor]) -> list[Tensor]:
        """The results' tensors in order from the arguments' in order: for loops in which the sorting would take its time."""
        # Traced, and compiled, for one layout in memory: it takes no other.
        with torch.no_grad():
            return self._run(*(leaf.contiguous() for leaf in leaves))

    def expect(self, calls: int, leaves: list[Tensor]) -> None:
        """Compile the graph, if it may be and is not yet, where `calls` calls on tensors like `leaves` are likely to earn it back."""
        if self._program is None:
            return
        if worth_translating(self._program, calls) or worth_compiling(self._program, calls):
            self._run, self._program = _compiled(self._program, [leaf.contiguous() for leaf in leaves]), None


def traced(function: Callable, *example: Any, missing: bool, compile: Compile = False, calls: int = 0) -> Graph:
    """`function` as a graph, traced on `example`.

    A program that cannot be traced (it branches on a value, say) runs interpreted, with equal results, and says so once.

    Arguments:
        missing: whether the rows that the program reads have holes.
        compile: whether to compile the graph; "auto" does so where `calls` calls, or more that `expect` tells of, are likely to
            earn it back.
    """
    leaves, spec = tree_flatten(example)
    # Of their own: two arguments that are one tensor on this call would be one argument of the graph.
    leaves = [leaf.clone(memory_format=torch.contiguous_format) for leaf in leaves]
    shapes = []

    def flat(*leaves: Tensor) -> list[Tensor]:
        values, shape = tree_flatten(function(*tree_unflatten(leaves, spec)))
        shapes[:] = [shape]
        return values

    def interpreted(*leaves: Tensor) -> list[Tensor]:
        with traceable(), known_missing(missing), _explained():
            return flat(*leaves)

    with torch.no_grad():
        program = graph_of(flat, leaves, missing)
        if program is None:
            interpreted(*leaves)
            return Graph(interpreted, shapes[0], None, interpreted=True)
        if compile is True:
            return Graph(_compiled(program, leaves), shapes[0], None)
        graph = Graph(direct(program).forward, shapes[0], program if compile == "auto" else None)
        graph.expect(calls, leaves)
    return graph


def _compiled(program: fx.GraphModule, leaves: list[Tensor]) -> Callable[..., list[Tensor]]:
    """A graph as machine code: by way of C where it is small, else by Inductor."""
    from ..native.routine import translated

    return (suits_c(program) and translated(program, leaves)) or compiled(program, leaves)


def graph_of(
    flat: Callable[..., list[Tensor]], leaves: list[Tensor], missing: bool, simpler: dict[Any, Callable] | None = None
) -> fx.GraphModule | None:
    """A function of tensors as a graph; None, said once, if it cannot be traced. simpler: what to tell of operations by others."""
    with torch.no_grad(), traceable(), known_missing(missing):
        try:
            graph = written(functionalize(flat), leaves, simpler)
        except (RuntimeError, TypeError) as error:
            reason = str(error).strip().splitlines()[0]
            log.warning("runs interpreted, slower, because it could not be traced: %s", reason)
            return None
    return simplified(graph)


def batched(function: Callable, missing: bool, chunk: int | None = None) -> Callable:
    """`function` mapped over the first axis of its first argument (tensors or dicts of them), `chunk` at a time."""

    def run(batch: Any, *rest: Any) -> Any:
        with torch.no_grad(), traceable(), known_missing(missing), _explained():
            axes = (0,) + (None,) * len(rest)
            return torch.func.vmap(function, axes, randomness="different", chunk_size=chunk)(batch, *rest)

    return run


@contextmanager
def _explained() -> Iterator[None]:
    """Raises TypeError, with the way out, for what no batch of values can do."""
    try:
        yield
    except RuntimeError as error:
        if "data-dependent control flow" not in str(error):
            raise
        raise TypeError(
            "the program branches on the value of a latent, which differs from draw to draw, so that draws cannot be run together; "
            "in the model or guide write torch.where(condition, a, b) instead of `if`"
        ) from error
