"""Operators of torch that take batches, under vmap."""

from typing import Any

from torch import Tensor
from torch.library import CustomOpDef


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
