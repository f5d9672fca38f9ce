"""Gradients of one chain at a time, in C, for compiled loops that run on for many transitions between two returns to Python."""

import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cached_property

import torch
from torch import Tensor
from torch.func import grad_and_value

from ..graphs.compiling import Compile, worth_calling, worth_translating
from ..graphs.graph import graph_of
from ..native.calling import Calls
from ..native.emitter import decompositions
from ..native.routine import Routine, addresses, checked
from ..native.values import Unsupported
from .space import Space

log = logging.getLogger("inference")

# Threads take longer than this to be told what to do.
SOON = 1e-3


class Gradients:
    """The gradient and the log density of chains that each are at a point of a space.

    log_density(position, rows): of one chain. own: whether each chain has rows of its own, (chain, rows, ...).
    """

    def __init__(self, log_density: Callable[[Tensor, Tensor], Tensor], rows: Tensor, own: bool, missing: bool) -> None:
        self._log_density, self._rows, self._own, self._missing = log_density, rows.contiguous(), own, missing
        self._routines: dict[tuple[torch.Size, ...], Routine] = {}
        self._threads, self._slow = torch.get_num_threads(), False

    def prepare(self, space: Space, chains: int, compile: Compile, calls: int) -> bool:
        """Whether gradients in spaces like this one are computed in C.

        They are not where there is no compiler, and, by "auto", where `calls` calls do not earn it, or C would ask torch too often.
        """
        shapes = self._shapes(space)
        first = [part[0] if space.center.dim() > 1 else part for part in space]
        white = torch.linspace(-0.5, 0.5, shapes[0].numel()).to(self._rows)
        example = [part.contiguous() for part in (white, *first, *([self._rows[0]] if self._own else []))]
        graph = graph_of(self._one, example, self._missing, decompositions())
        if graph is None or (compile == "auto" and not worth_translating(graph, calls)):
            return False
        try:
            routine = checked(graph, example)
        except Unsupported as reason:
            log.info("gradients stay with torch, slower: %s", reason)
            return False
        if compile == "auto" and not worth_calling(graph, chains * len(routine.foreign)):
            return False
        self._routines[shapes] = routine
        return True

    def __call__(self, white: Tensor, space: Space) -> tuple[Tensor, Tensor]:
        """As a `leapfrog.Target`."""
        from .chain_loops import evaluate

        white, grad = white.contiguous(), torch.empty_like(white, memory_format=torch.contiguous_format)
        log_density = torch.empty(len(white), dtype=torch.double)
        calls, held = self.calls(white, grad, log_density, space)
        self.each(len(white), lambda first, last, thread: evaluate(calls, first, last, thread))
        del held
        return grad, log_density

    def calls(self, white: Tensor, grad: Tensor, log_density: Tensor, space: Space) -> tuple[Calls, list[Tensor]]:
        """The calls that read `white` and write `grad` (chain, dim) and `log_density` (chain,); and the tensors to be held meanwhile."""
        routine, chains = self._routines[self._shapes(space)], len(white)
        each = space.center.dim() > 1
        spaces = [(part.contiguous(), each) for part in space]
        rows = [(self._rows, True)] if self._own else []
        given, made = [(white, True), *spaces, *rows], [(grad, True), (log_density, True)]
        calls = Calls(routine.address, routine.addresses(given, chains), addresses(made, chains), routine.work(self._threads))
        return calls, [tensor for tensor, _ in given + made]

    def each(self, chains: int, run: Callable[[int, int, int], None]) -> None:
        """Run the chains [first, last), by one thread or, where that takes long, by several: `run(first, last, thread)`."""
        begin = time.perf_counter()
        if self._slow and self._threads > 1:
            ends = [chains * k // self._threads for k in range(self._threads + 1)]
            running = [self._pool.submit(run, *chunk) for chunk in zip(ends[:-1], ends[1:], range(self._threads), strict=True)]
            try:
                for future in running:
                    future.result()
            finally:  # Ctrl-C too: what they write to is let go of after this
                wait(running)
        else:
            run(0, chains, 0)
        for routine in self._routines.values():
            routine.raise_what_failed()
        self._slow = time.perf_counter() - begin > SOON

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self._threads)

    @staticmethod
    def _shapes(space: Space) -> tuple[torch.Size, ...]:
        return tuple(part.shape[space.center.dim() - 1 :] for part in space)

    def _one(self, white: Tensor, center: Tensor, scale: Tensor, *rows: Tensor) -> list[Tensor]:
        space = Space(center, scale)
        grad, log_density = grad_and_value(self._log_density)(space.position(white[None])[0], *(rows or [self._rows]))
        return [space.gradient(grad[None])[0], log_density.double()]
