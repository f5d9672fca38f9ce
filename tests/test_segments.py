"""The operator under every hidden semi-Markov chain, against every way to cut a series into segments."""

import itertools

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from torch import Tensor
from torch.func import grad_and_value, vmap

from inference.graphs.graph import traced
from zoo.series import markov, segments

SERIES, STEPS, STATES, LONGEST = 3, 6, 3, 4


def _survival(durations: Tensor) -> Tensor:
    return durations.flip(-1).logcumsumexp(-1).flip(-1)


def _chains(states: int = STATES, longest: int = LONGEST, steps: int = STEPS) -> tuple[Tensor, ...]:
    """Logarithms for three series, each with its own chain, and a gap."""
    start, here = torch.randn(SERIES, states).log_softmax(-1), torch.eye(states, dtype=torch.bool)
    transition = torch.randn(SERIES, states, states).masked_fill(here, -torch.inf).log_softmax(-1)
    durations = torch.randn(SERIES, states, longest).log_softmax(-1)
    emission = 2 * torch.randn(SERIES, steps, states)
    emission[1, 2] = 0.0
    return start, transition, durations, _survival(durations), emission


def _by_hand(given: tuple[Tensor, ...], steps: int) -> list[tuple[list[tuple[int, int]], float]]:
    """Every way to cut the first steps of one series into segments (state, steps), and its log weight."""
    start, transition, durations, survival, emission = (t.numpy() for t in given)
    found = []
    for path in itertools.product(range(len(start)), repeat=steps):
        cut = [(k, len(list(run))) for k, run in itertools.groupby(path)]
        if max(length for _, length in cut) <= durations.shape[1]:
            weight = start[path[0]] + sum(transition[j, k] for (j, _), (k, _) in itertools.pairwise(cut))
            weight += sum(durations[k, length - 1] for k, length in cut[:-1]) + survival[cut[-1][0], cut[-1][1] - 1]
            found.append((cut, weight + sum(emission[t, k] for t, k in enumerate(path))))
    return found


def test_evidence_and_expected_numbers_are_those_of_all_segmentations():
    given, lengths = _chains(), torch.tensor([6, 6, 4])
    evidence = segments.log_evidence(*given, lengths=lengths)
    found = segments.expected(*given, lengths=lengths)
    for n in range(SERIES):
        ways = _by_hand(tuple(t[n] for t in given), int(lengths[n]))
        total = logsumexp([w for _, w in ways])
        truth = [np.zeros(t.shape[1:]) for t in found]
        for cut, weight in ways:
            share = np.exp(weight - total)
            for (j, _), (k, _) in itertools.pairwise(cut):
                truth[0][j, k] += share
            for k, length in cut[:-1]:
                truth[1][k, length - 1] += share
            truth[2][cut[-1][0], cut[-1][1] - 1] += share
            path = [k for k, length in cut for _ in range(length)]
            truth[3][range(len(path)), path] += share
        assert evidence[n].item() == pytest.approx(total, abs=1e-12)
        for mine, true in zip(found, truth, strict=True):
            np.testing.assert_allclose(mine[n], true, atol=1e-12)


def test_the_gradient_is_that_of_finite_differences():
    start, transition, durations, survival, emission = _chains()
    lengths = torch.tensor([6, 6, 4])
    here = torch.eye(STATES, dtype=torch.bool)

    def evidence(*free: Tensor) -> Tensor:
        moves = torch.where(here, -torch.inf, free[1])
        return segments.log_evidence(free[0], moves, *free[2:], lengths=lengths)

    given = [t.requires_grad_() for t in (start, torch.randn_like(transition), durations, survival, emission)]
    assert torch.autograd.gradcheck(evidence, given)


def test_traced_and_batched_it_is_the_same():
    given, lengths = _chains(), torch.tensor([6, 6, 4])

    def loss(durations: Tensor, emission: Tensor) -> Tensor:
        return segments.log_evidence(given[0], given[1], durations, _survival(durations), emission, lengths=lengths).sum()

    function = vmap(grad_and_value(loss), in_dims=(0, None))
    many = torch.randn(5, SERIES, STATES, LONGEST).log_softmax(-1)
    found = traced(function, many, given[4], missing=False, compile=False)(many, given[4])
    for i, durations in enumerate(many):
        gradient, value = grad_and_value(loss)(durations, given[4])
        torch.testing.assert_close((found[0][i], found[1][i]), (gradient, value))


def test_filter_decode_and_paths_are_those_of_all_segmentations():
    given, count = _chains(), 5000
    filtered, increments = segments.filtered(*given)
    decoded = segments.viterbi(*given)
    drawn = segments.sample_paths(*(t.expand(count, *t.shape) for t in given))
    torch.testing.assert_close(increments.sum(-1), segments.log_evidence(*given, lengths=torch.full((SERIES,), STEPS)))
    for n in range(SERIES):
        own = tuple(t[n] for t in given)
        for t in range(STEPS):
            ways = _by_hand(own, t + 1)
            total = logsumexp([w for _, w in ways])
            now = [logsumexp([-np.inf, *(w - total for cut, w in ways if cut[-1][0] == k)]) for k in range(STATES)]
            np.testing.assert_allclose(filtered[n, t], now, atol=1e-12)
        paths = {tuple(k for k, length in cut for _ in range(length)): np.exp(w - total) for cut, w in ways}
        assert tuple(decoded[n].tolist()) == max(paths, key=paths.get)
        seen, times = drawn[:, n].unique(dim=0, return_counts=True)
        assert {tuple(path) for path in seen.tolist()} <= paths.keys()
        for path, often in zip(seen.tolist(), times.tolist(), strict=True):
            share = paths[tuple(path)]
            assert abs(often - count * share) < 5 * (count * share * (1 - share)) ** 0.5 + 1


def test_segments_without_memory_are_a_markov_chain():
    start, transition, _, _, emission = _chains(steps=40)
    staying, more = torch.rand(SERIES, STATES), torch.arange(400.0)
    durations = more * staying.log()[..., None] + torch.log1p(-staying)[..., None]
    moves = (1 - staying)[..., None] * transition.exp() + staying.diag_embed()
    found = segments.expected(start, transition, durations, more * staying.log()[..., None], emission, lengths=torch.tensor([40] * 3))
    torch.testing.assert_close(found[-1], markov.smoothed(start, moves.log()[:, None], emission)[0])


def test_a_series_that_cannot_be_is_told_and_spoils_no_other():
    start, transition, durations, survival, emission = _chains()
    emission[1, 3] = -torch.inf
    emission = emission.requires_grad_()
    evidence = segments.log_evidence(start, transition, durations, survival, emission, lengths=torch.tensor([6, 6, 6]))
    evidence.nan_to_num(neginf=0.0).sum().backward()
    assert evidence.isfinite().tolist() == [True, False, True]
    assert emission.grad.isfinite().all()
    assert emission.grad[1].abs().max() == 0
    torch.testing.assert_close(emission.grad[0].sum(-1), torch.ones(STEPS))


def test_a_long_series_keeps_its_precision():
    given = [t[:1] for t in _chains(steps=100_000)]
    evidence = segments.log_evidence(*given, lengths=torch.tensor([100_000]))
    *_, states = segments.expected(*given, lengths=torch.tensor([100_000]))
    torch.testing.assert_close(states.sum(-1), torch.ones(1, 100_000), rtol=0, atol=1e-8)
    assert evidence.item() == pytest.approx(segments.filtered(*given)[1].sum().item(), rel=1e-12)
