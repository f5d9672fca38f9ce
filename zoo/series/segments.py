"""Hidden semi-Markov chains: the log evidence of a batch of series as one differentiable operator, and what is asked of their states.

A series falls into segments: each lasts for a number of steps that depends on its state, and the next is of another state. The first
begins with the series; the last need not end with it. The recursions need no state for every step that a segment has still to last:
they cost K D + K^2 a step, for D steps that a segment may last, where a Markov chain of such states costs (K D)^2.

Every function takes logarithms, whose batch shapes broadcast:

- start: (*batch, K) of the state of the first segment; transition: (*batch, K, K) of the next segment's (column) after each (row);
- durations: (*batch, K, D) that a segment of each state lasts for 1, ..., D steps; survival: (*batch, K, D) that it lasts for at least
  as many;
- emission: (*batch, T, K) of what is seen at a step, given the state; zero where nothing is.

They are compiled loops on the CPU (`segment_kernels`), in double precision; tensors elsewhere are taken there and back.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.library import custom_op

from inference.native.direct import called_from_c

from ..batched import batched
from .over_series import differentiable, flat, over_series, together

# How many axes each of the five arguments has.
DIMS = (1, 2, 2, 2, 2)


def log_evidence(*given: Tensor, lengths: Tensor) -> Tensor:
    """log p(x), (*batch) in double precision, with a gradient in each argument (a first one: none of the gradient).

    lengths: (*batch) whole numbers, how many steps of a series are gone through: nothing is seen of it after.
    """
    return _log_evidence(*together((*DIMS, 0), *given, lengths))


def expected(*given: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Of what is in a series' first steps: moves between segments (*batch, K, K), segments that ended by how long they lasted
    (*batch, K, D), the last one by how long it has (*batch, K, D), and p(z_t | x) (*batch, T, K)."""
    *given, lengths = together((*DIMS, 0), *given, lengths)
    return _evidence(*given, lengths, True)[2:]


def filtered(*given: Tensor) -> tuple[Tensor, Tensor]:
    """log p(z_t | x_1..t) (*batch, T, K), and log p(x_t | x_1..t-1) (*batch, T); both in double precision."""
    return _filter(*together(DIMS, *given))


def viterbi(*given: Tensor) -> Tensor:
    """(*batch, T) the states along the likeliest path of segments."""
    return _viterbi(*together(DIMS, *given))


def sample_paths(*given: Tensor) -> Tensor:
    """(*batch, T) the states along paths of segments that are drawn from p(z | x)."""
    given = together(DIMS, *given)
    uniform = torch.rand(*given[-1].shape[:-1], 2, dtype=torch.double, device=given[-1].device)
    return _sample(*given, uniform)


@custom_op("zoo::segments_evidence", mutates_args=())
def _evidence(
    start: Tensor, transition: Tensor, durations: Tensor, survival: Tensor, emission: Tensor, lengths: Tensor, gradient: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Log evidence, and its gradient in each of the five arguments; these are empty unless `gradient`."""
    from . import segment_kernels as kernels

    given = (start, transition, durations, survival, emission)
    arrays = _arrays(*given)
    logs = torch.empty(len(arrays[-1]), dtype=torch.double)
    grads = [torch.empty(a.shape if gradient else (0, *a.shape[1:]), dtype=torch.double) for a in arrays]
    _run(kernels.evidence, arrays, lengths.reshape(-1).cpu(), gradient, logs, tuple(g.numpy() for g in grads))
    like = [g.reshape(t.shape if gradient else 0).to(t) for g, t in zip(grads, given, strict=True)]
    return logs.reshape(lengths.shape).to(emission.device), *like


def _loops() -> Callable[..., None]:
    from .segment_kernels import evidence_at

    return evidence_at


called_from_c(_evidence, "nk nkk nkl nkl ntk n -> n mk mkk mkl mkl mtk", _loops)


@_evidence.register_fake
def _(
    start: Tensor, transition: Tensor, durations: Tensor, survival: Tensor, emission: Tensor, lengths: Tensor, gradient: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    given = (start, transition, durations, survival, emission)
    return emission.new_empty(lengths.shape, dtype=torch.double), *(t.new_empty(t.shape if gradient else 0) for t in given)


_log_evidence = differentiable(_evidence, DIMS)


@custom_op("zoo::segments_filter", mutates_args=())
def _filter(start: Tensor, transition: Tensor, durations: Tensor, survival: Tensor, emission: Tensor) -> tuple[Tensor, Tensor]:
    from . import segment_kernels as kernels

    filtered = torch.empty(emission.shape, dtype=torch.double)
    increments = torch.empty(emission.shape[:-1], dtype=torch.double)
    _run(kernels.filter, _arrays(start, transition, durations, survival, emission), flat(filtered, 2), flat(increments, 1))
    return filtered.to(emission.device), increments.to(emission.device)


@custom_op("zoo::segments_viterbi", mutates_args=())
def _viterbi(start: Tensor, transition: Tensor, durations: Tensor, survival: Tensor, emission: Tensor) -> Tensor:
    from . import segment_kernels as kernels

    paths = torch.empty(emission.shape[:-1], dtype=torch.long)
    _run(kernels.viterbi, _arrays(start, transition, durations, survival, emission), flat(paths, 1))
    return paths.to(emission.device)


@custom_op("zoo::segments_sample", mutates_args=())
def _sample(start: Tensor, transition: Tensor, durations: Tensor, survival: Tensor, emission: Tensor, uniform: Tensor) -> Tensor:
    from . import segment_kernels as kernels

    paths = torch.empty(emission.shape[:-1], dtype=torch.long)
    _run(kernels.sample, _arrays(start, transition, durations, survival, emission), flat(uniform, 2).cpu(), flat(paths, 1))
    return paths.to(emission.device)


def _arrays(*given: Tensor) -> list[Tensor]:
    return [flat(t, dims).cpu().double() for t, dims in zip(given, DIMS, strict=True)]


def _run(kernel: Any, arrays: list[Tensor], *out: Any) -> None:
    series, steps, states = arrays[-1].shape
    over_series(kernel, series, series * steps * states * (states + arrays[2].shape[-1]), *arrays, *out)


for _operator in (_evidence, _filter, _viterbi, _sample):
    batched(_operator)
