"""Hidden Markov chains: the log evidence of a batch of series as one differentiable operator, and what is asked of their states.

The gradient of the evidence is known in closed form: in the log emission terms it is the smoothed state probabilities, in the log
transitions the expected transitions. One call gives the value and every gradient, and no loop over time enters a traced program.

Every function takes logarithms, whose batch shapes broadcast:

- start: (*batch, K) of the states at the first step;
- transition: (*batch, S, K, K) from a state (row) to the next (column); S is T - 1, or 1 where it is the same at all steps;
- emission: (*batch, T, K) of what is seen at a step, given the state. Where nothing is seen, in a gap or past a series' end, it is
  zero and changes nothing.

On the CPU they run as compiled loops (`markov_kernels`; of many series side by side, `markov_lanes`; `markov_loops` chooses). Elsewhere
the evidence and the filter are parallel scans (`markov_scan`), and paths are found on the CPU.
"""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.library import custom_op

from inference.native.direct import called_from_c

from ..batched import batched
from . import markov_cpu, markov_scan
from .over_series import flat, together


def log_evidence(start: Tensor, transition: Tensor, emission: Tensor) -> Tensor:
    """log p(x), (*batch) in double precision, with a gradient in each argument (a first one: none of the gradient)."""
    given = _together(start, transition, emission)
    # The gradient costs as much again as the value: not where nobody will ask for it.
    return _LogEvidence.apply(*given)[0] if torch.is_grad_enabled() else _forward_backward(*given, False)[0]


def smoothed(start: Tensor, transition: Tensor, emission: Tensor) -> tuple[Tensor, Tensor]:
    """p(z_t | x) (*batch, T, K), and the expected transitions (*batch, S, K, K)."""
    _, states, counts = _forward_backward(*_together(start, transition, emission), True)
    return states, counts


def filtered(start: Tensor, transition: Tensor, emission: Tensor) -> tuple[Tensor, Tensor]:
    """log p(z_t | x_1..t) (*batch, T, K), and log p(x_t | x_1..t-1) (*batch, T); both in double precision."""
    return _filter(*_together(start, transition, emission))


def viterbi(start: Tensor, transition: Tensor, emission: Tensor) -> Tensor:
    """(*batch, T) the likeliest path of states."""
    return _viterbi(*_together(start, transition, emission))


def sample_paths(start: Tensor, transition: Tensor, emission: Tensor) -> Tensor:
    """(*batch, T) paths of states, drawn from p(z | x)."""
    start, transition, emission = _together(start, transition, emission)
    uniform = torch.rand(emission.shape[:-1], dtype=torch.double, device=emission.device)
    return _sample(transition, _filter(start, transition, emission)[0], uniform)


def _together(start: Tensor, transition: Tensor, emission: Tensor) -> tuple[Tensor, ...]:
    """The arguments with one batch shape."""
    return together((1, 3, 2), start, transition, emission)


@custom_op("zoo::markov_forward_backward", mutates_args=())
def _forward_backward(start: Tensor, transition: Tensor, emission: Tensor, gradient: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Log evidence, smoothed probabilities and expected transitions; the last two are empty unless `gradient`."""
    batch = emission.shape[:-2]
    found = _where(emission).forward_backward(flat(start, 1), flat(transition, 3), flat(emission, 2), gradient)
    return tuple(t.reshape(batch + t.shape[1:]) if gradient or t.dim() == 1 else t.new_empty(0) for t in found)


def _loops() -> Callable[..., None]:
    from .markov_loops import forward_backward_at

    return forward_backward_at


called_from_c(_forward_backward, "nk nskk ntk -> n mtk mskk", _loops)


@_forward_backward.register_fake
def _(start: Tensor, transition: Tensor, emission: Tensor, gradient: bool) -> tuple[Tensor, Tensor, Tensor]:
    evidence = emission.new_empty(emission.shape[:-2], dtype=torch.double)
    return evidence, *(t.new_empty(t.shape if gradient else 0, dtype=emission.dtype) for t in (emission, transition))


class _LogEvidence(torch.autograd.Function):
    """The operator with its gradient: functorch takes none that is registered with a custom operator."""

    generate_vmap_rule = True

    @staticmethod
    def forward(start: Tensor, transition: Tensor, emission: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return _forward_backward(start, transition, emission, True)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: tuple[Tensor, ...]) -> None:
        ctx.mark_non_differentiable(*output[1:])
        ctx.save_for_backward(*output[1:])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, *_: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        states, counts = ctx.saved_tensors
        grad = grad.to(states.dtype)[..., None]
        return grad * states[..., 0, :], grad[..., None, None] * counts, grad[..., None] * states


@custom_op("zoo::markov_filter", mutates_args=())
def _filter(start: Tensor, transition: Tensor, emission: Tensor) -> tuple[Tensor, Tensor]:
    found = _where(emission).filter(flat(start, 1), flat(transition, 3), flat(emission, 2))
    return tuple(t.reshape(emission.shape[:-2] + t.shape[1:]) for t in found)


@custom_op("zoo::markov_viterbi", mutates_args=())
def _viterbi(start: Tensor, transition: Tensor, emission: Tensor) -> Tensor:
    paths = markov_cpu.viterbi(*(flat(t, n).cpu() for t, n in ((start, 1), (transition, 3), (emission, 2))))
    return paths.reshape(emission.shape[:-1]).to(emission.device)


@custom_op("zoo::markov_sample", mutates_args=())
def _sample(transition: Tensor, filtered: Tensor, uniform: Tensor) -> Tensor:
    paths = markov_cpu.sample(*(flat(t, n).cpu() for t, n in ((transition, 3), (filtered, 2), (uniform, 1))))
    return paths.reshape(uniform.shape).to(uniform.device)


def _where(emission: Tensor) -> ModuleType:
    return markov_cpu if emission.device.type == "cpu" else markov_scan


for _operator in (_forward_backward, _filter, _viterbi, _sample):
    batched(_operator)
