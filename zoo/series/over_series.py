"""Functions of a batch of series as operators of torch, and compiled loops that take some series each."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.library import CustomOpDef

# Multiplications that are worth a thread of their own.
SHARE = 500_000


def over_series(kernel: Callable, series: int, work: int, *given: Any) -> None:
    """Run `kernel(begin, end, *given)` on all series, in as many threads as torch may use and `work`, in multiplications, is worth."""
    arrays = [g.contiguous().numpy() if isinstance(g, Tensor) else g for g in given]
    threads = min(torch.get_num_threads(), series, work // SHARE)
    if threads < 2:
        kernel(0, series, *arrays)
        return
    edges = np.linspace(0, series, threads + 1).astype(int).tolist()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda begin, end: kernel(begin, end, *arrays), edges[:-1], edges[1:]))


def together(dims: tuple[int, ...], *given: Tensor) -> tuple[Tensor, ...]:
    """The tensors with one batch shape, which comes before the last `dims` axes of each."""
    batch = torch.broadcast_shapes(*(t.shape[: t.dim() - n] for t, n in zip(given, dims, strict=True)))
    return tuple(t.expand(*batch, *t.shape[t.dim() - n :]) for t, n in zip(given, dims, strict=True))


def flat(t: Tensor, dims: int) -> Tensor:
    """(N, ...) all but the last `dims` axes as one."""
    return t.reshape(t.shape[:-dims].numel(), *t.shape[-dims:])


def differentiable(operator: CustomOpDef, dims: tuple[int, ...]) -> Callable[..., Tensor]:
    """The first result (*batch) of `operator`, with its others as its gradient in as many first arguments, of `dims` axes each.

    The operator's last argument says whether the gradient is asked for. functorch takes none that is registered with a custom operator.
    """

    class WithGradient(torch.autograd.Function):
        generate_vmap_rule = True

        @staticmethod
        def forward(*given: Tensor) -> tuple[Tensor, ...]:
            return operator(*given, True)

        @staticmethod
        def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: tuple[Tensor, ...]) -> None:
            ctx.mark_non_differentiable(*output[1:])
            ctx.save_for_backward(*output[1:])

        @staticmethod
        @once_differentiable
        def backward(ctx: Any, grad: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
            found = zip(ctx.saved_tensors, dims, strict=True)
            whole = [grad.to(own.dtype).reshape(*grad.shape, *[1] * count) * own for own, count in found]
            return *whole, *[None] * (len(ctx.needs_input_grad) - len(whole))

    def value(*given: Tensor) -> Tensor:
        # The gradient costs as much again as the value: not where nobody will ask for it.
        return WithGradient.apply(*given)[0] if torch.is_grad_enabled() else operator(*given, False)[0]

    return value
