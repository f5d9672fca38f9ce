"""The recursions of `zoo/series/markov_kernels.py` without a loop over time, for devices that do many things at once.

The product of matrices is associative, so that all products from the first step on are found in about log2(T) rounds, each of them
one batched product in log space.

Reference: Särkkä & García-Fernández 2021, "Temporal parallelization of Bayesian smoothers", IEEE TAC 66; Hassan, Särkkä &
García-Fernández 2021, "Temporal parallelization of inference in hidden Markov models", IEEE TSP 69.
"""

import torch
from torch import Tensor


def forward_backward(start: Tensor, transition: Tensor, emission: Tensor, gradient: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Log evidence (N,), smoothed probabilities (N, T, K), expected transitions (N, S, K, K); the last two empty if not asked for.

    start: (N, K). transition: (N, S, K, K). emission: (N, T, K). All logarithms.
    """
    filtered, increments = filter(start, transition, emission)
    evidence = increments.sum(-1)
    if not gradient:
        return evidence, emission.new_empty(0), emission.new_empty(0)
    steps = _steps(transition, emission)
    ones = torch.zeros_like(filtered[:, :1])
    after = torch.cat([_products(steps.flip(1), reverse=True).flip(1).logsumexp(-1), ones], 1)
    smoothed = _shares(filtered + after, 1)
    counts = _shares(filtered[:, :-1, :, None] + steps + after[:, 1:, None, :], 2)
    if transition.shape[1] == 1:
        counts = counts.sum(1, keepdim=True)
    # Of a series that cannot be, nothing is expected; and nothing is known of one with a NaN.
    whole = torch.where(evidence > -torch.inf, 1.0, evidence.exp())
    return evidence, (smoothed * whole[:, None, None]).to(emission.dtype), (counts * whole[:, None, None, None]).to(emission.dtype)


def filter(start: Tensor, transition: Tensor, emission: Tensor) -> tuple[Tensor, Tensor]:
    """log p(z_t | x_1..t) (N, T, K), and log p(x_t | x_1..t-1) (N, T); minus infinity from a step that cannot be."""
    first = (start + emission[:, 0]).double()
    onwards = _log_product(first[:, None, None], _products(_steps(transition, emission)))[:, :, 0]
    joint = torch.cat([first[:, None], onwards], 1)
    evidence = joint.logsumexp(-1)
    lost = evidence == -torch.inf
    increments = evidence.diff(dim=-1, prepend=torch.zeros_like(evidence[:, :1]))
    return torch.where(lost[..., None], joint, joint - evidence[..., None]), torch.where(lost, evidence, increments)


def _shares(logs: Tensor, dims: int) -> Tensor:
    """What adds up to one over the last `dims` axes, from logarithms; zero where all are minus infinity."""
    total = logs.flatten(-dims).logsumexp(-1)[(..., *[None] * dims)]
    return torch.where(total == -torch.inf, 0.0, (logs - total).exp())


def _steps(transition: Tensor, emission: Tensor) -> Tensor:
    """(N, T - 1, K, K) log p(z_t = k, x_t | z_t-1 = j)."""
    return (transition + emission[:, 1:, None, :]).double()


def _products(steps: Tensor, reverse: bool = False) -> Tensor:
    """(N, T, K, K) the product of all matrices up to each, in log space; `reverse` multiplies from the left."""
    if steps.shape[1] < 2:
        return steps
    multiply = (lambda a, b: _log_product(b, a)) if reverse else _log_product
    even = steps.shape[1] // 2 * 2
    odd = _products(multiply(steps[:, 0:even:2], steps[:, 1:even:2]), reverse)
    rest = multiply(odd[:, : (steps.shape[1] - 1) // 2], steps[:, 2::2])
    out = torch.empty_like(steps)
    out[:, 0], out[:, 1::2], out[:, 2::2] = steps[:, 0], odd, rest
    return out


def _log_product(a: Tensor, b: Tensor) -> Tensor:
    """log(exp(a) @ exp(b)), each entry scaled by the largest of its own terms, so that none is lost."""
    total = a[..., :, :1] + b[..., :1, :]
    for m in range(1, a.shape[-1]):
        total = torch.logaddexp(total, a[..., :, m : m + 1] + b[..., m : m + 1, :])
    return total
