"""A linear recurrence along the steps of series, h_t = gates_t * h_t-1 + inputs_t number by number, as one differentiable operator.

What depends on the step before in a fit is made of it: nets that read series, and draws of chains. Its gradient is the same recurrence
backwards in time. On the CPU it is a compiled loop (`recurrence_kernels`); elsewhere a scan of as many rounds as the number of steps
has binary digits.

Reference: Martin & Cundy 2018, "Parallelizing linear recurrent neural nets over sequence length", ICLR; Hillis & Steele 1986, "Data
parallel algorithms", Communications of the ACM 29 (the scan).
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.library import custom_op
from torch.nn.functional import pad

from ..batched import batched
from .over_series import flat, over_series


def follow(gates: Tensor, inputs: Tensor, backwards: bool = False) -> Tensor:
    """(*batch, T, Q) h_t, of which h_t-1 is zero at the first step; with `backwards` h_t+1 takes its place, zero at the last.

    gates, inputs: (*batch, T, Q).
    """
    return _Recurrence.apply(gates, inputs, backwards)


def beside(values: Tensor, backwards: bool = False) -> Tensor:
    """(*batch, T, Q) from each step what was at the step before, or with `backwards` comes after; zero where there is none."""
    return pad(values, (0, 0, -1, 1) if backwards else (0, 0, 1, -1))


def scan(gates: Tensor, inputs: Tensor) -> Tensor:
    """`follow` in rounds, each of which reaches twice as far back as the one before."""
    reach = 1
    while reach < gates.shape[-2]:
        inputs = inputs + gates * pad(inputs, (0, 0, reach, -reach))
        gates = gates * pad(gates, (0, 0, reach, -reach))
        reach *= 2
    return inputs


@custom_op("zoo::recurrence", mutates_args=())
def _follow(gates: Tensor, inputs: Tensor, backwards: bool) -> Tensor:
    from . import recurrence_kernels as kernels

    if gates.device.type != "cpu":
        return scan(gates.flip(-2), inputs.flip(-2)).flip(-2) if backwards else scan(gates, inputs).clone()
    states = torch.empty(inputs.shape, dtype=inputs.dtype)
    given = flat(gates, 2), flat(inputs, 2)
    over_series(kernels.follow, len(given[0]), gates.numel(), *given, backwards, flat(states, 2))
    return states


@_follow.register_fake
def _(gates: Tensor, inputs: Tensor, backwards: bool) -> Tensor:
    return torch.empty_like(inputs, memory_format=torch.contiguous_format)


batched(_follow)


class _Recurrence(torch.autograd.Function):
    """functorch takes no gradient that is registered with a custom operator."""

    generate_vmap_rule = True

    @staticmethod
    def forward(gates: Tensor, inputs: Tensor, backwards: bool) -> Tensor:
        return _follow(gates, inputs, backwards)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, bool], output: Tensor) -> None:
        gates, _, ctx.backwards = inputs
        ctx.save_for_backward(gates, output)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        gates, states = ctx.saved_tensors
        # What a number moves is what it moves at its own step, and what it moves by way of the next.
        moved = _follow(beside(gates, not ctx.backwards), grad, not ctx.backwards)
        return moved * beside(states, ctx.backwards), moved, None
