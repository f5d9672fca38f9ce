"""Functions of a batch of series as operators of torch, and compiled loops that take some series each."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import Tensor
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
    return t.reshape(-1, *t.shape[-dims:])


def batched(operator: CustomOpDef) -> None:
    """Under vmap the new axis of the operator's arguments is one more of the batch."""

    def rule(info: Any, in_dims: tuple[int | None, ...], *args: Any) -> tuple[Any, Any]:
        moved = [
            a if not isinstance(a, Tensor) else a.expand(info.batch_size, *a.shape) if d is None else a.movedim(d, 0)
            for a, d in zip(args, in_dims, strict=True)
        ]
        out = operator(*moved)
        # What was not asked for is empty, and has no batch.
        return out, tuple(0 if len(t) else None for t in out) if isinstance(out, tuple) else 0

    operator.register_vmap(rule)
