"""The operator under every hidden Markov chain, against every path of states gone through by hand."""

import itertools

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from torch import Tensor
from torch.func import grad_and_value, vmap

from inference.graphs.graph import traced
from tests.oracles import hmm as oracle
from zoo.series import markov, markov_cpu, markov_scan, over_series

SERIES, STEPS, STATES = 3, 5, 3


def _chains(varying: bool, forbidden: bool = False) -> tuple[Tensor, Tensor, Tensor]:
    """Logarithms for three series, each with its own chain; a gap; if `forbidden`, no way back to an earlier state."""
    start = torch.randn(SERIES, STATES).log_softmax(-1)
    logits = torch.randn(SERIES, STEPS - 1 if varying else 1, STATES, STATES)
    if forbidden:
        logits = torch.where(torch.ones(STATES, STATES).triu().bool(), logits, -torch.inf)
        start = torch.tensor([0.0, -torch.inf, -torch.inf]).expand(SERIES, -1)
    emission = 3 * torch.randn(SERIES, STEPS, STATES)
    emission[1, 2] = 0.0
    return start, logits.log_softmax(-1), emission


def _by_hand(start: Tensor, transition: Tensor, emission: Tensor) -> list[tuple[tuple[int, ...], float]]:
    """Every path of one series, and its log weight. start (K,), transition (S, K, K), emission (T, K)."""
    found = []
    for path in itertools.product(range(STATES), repeat=STEPS):
        moves = sum(transition[min(t, len(transition) - 1), j, k] for t, (j, k) in enumerate(itertools.pairwise(path)))
        shown = sum(emission[t, k] for t, k in enumerate(path))
        found.append((path, float(start[path[0]] + moves + shown)))
    return found


KINDS = pytest.mark.parametrize(("varying", "forbidden"), [(False, False), (True, False), (False, True), (True, True)])


@KINDS
@pytest.mark.parametrize("backend", [markov_cpu, markov_scan])
def test_evidence_and_marginals_are_those_of_all_paths(backend, varying, forbidden):
    given = _chains(varying, forbidden)
    evidence, states, counts = backend.forward_backward(*given, True)
    filtered, increments = backend.filter(*given)
    for n in range(SERIES):
        paths = _by_hand(*(t[n] for t in given))
        total = logsumexp([w for _, w in paths])
        expected, moves = np.zeros((STEPS, STATES)), np.zeros(given[1].shape[1:])
        for path, weight in paths:
            share = np.exp(weight - total)
            expected[range(STEPS), path] += share
            for t, (j, k) in enumerate(itertools.pairwise(path)):
                moves[min(t, len(moves) - 1), j, k] += share
        assert evidence[n].item() == pytest.approx(total, abs=1e-12)
        np.testing.assert_allclose(states[n], expected, atol=1e-12)
        np.testing.assert_allclose(counts[n], moves, atol=1e-12)
        np.testing.assert_allclose(filtered[n, -1].exp(), expected[-1], atol=1e-12)
    torch.testing.assert_close(increments.sum(-1), evidence)
    first = given[0] + given[2][:, 0]
    torch.testing.assert_close(filtered[:, 0], first.log_softmax(-1))


@KINDS
def test_viterbi_is_the_likeliest_of_all_paths(varying, forbidden):
    given = _chains(varying, forbidden)
    found = markov.viterbi(*given)
    for n in range(SERIES):
        assert tuple(found[n].tolist()) == max(_by_hand(*(t[n] for t in given)), key=lambda path: path[1])[0]


@KINDS
def test_sampled_paths_come_as_often_as_they_are_likely(varying, forbidden):
    given, count = _chains(varying, forbidden), 20_000
    drawn = vmap(lambda _: markov.sample_paths(*given), randomness="different")(torch.zeros(count))
    for n in range(SERIES):
        paths = _by_hand(*(t[n] for t in given))
        total = logsumexp([w for _, w in paths])
        codes = (drawn[:, n] * STATES ** torch.arange(STEPS - 1, -1, -1)).sum(-1).bincount(minlength=len(paths)) / count
        truth = torch.tensor([w - total for _, w in paths]).exp()
        assert (codes[truth == 0] == 0).all()
        assert ((codes - truth).abs() <= 5 * (truth * (1 - truth) / count).sqrt() + 3 / count).all()


def _objective(start: Tensor, transition: Tensor, emission: Tensor) -> Tensor:
    """Of one chain and several series."""
    return markov.log_evidence(start.log_softmax(-1), transition.log_softmax(-1), emission).square().sum()


@pytest.mark.parametrize("varying", [False, True])
def test_gradient_under_vmap_is_that_of_finite_differences(varying):
    chains = 2
    shape = (SERIES, STEPS - 1) if varying else (1,)
    given = torch.randn(chains, STATES), torch.randn(chains, *shape, STATES, STATES), torch.randn(chains, SERIES, STEPS, STATES)
    grads, _ = vmap(grad_and_value(_objective, argnums=(0, 1, 2)))(*given)
    for i, grad in enumerate(grads):
        for entry in range(grad[0].numel()):
            step = torch.zeros_like(grad[0]).view(-1).index_fill(0, torch.tensor(entry), 1e-5).view_as(grad[0])
            up, down = (vmap(_objective)(*given[:i], given[i] + s, *given[i + 1 :]) for s in (step, -step))
            torch.testing.assert_close(grad.flatten(1)[:, entry], (up - down) / 2e-5, rtol=1e-6, atol=1e-6)


def test_gradient_is_right_outside_of_functorch_too():
    start, transition, emission = (t.requires_grad_() for t in _chains(varying=False))
    assert torch.autograd.gradcheck(markov.log_evidence, (start, transition, emission))


def test_gradient_of_a_batch_is_that_of_each_by_itself():
    given = torch.randn(2, STATES), torch.randn(2, 1, STATES, STATES), torch.randn(2, SERIES, STEPS, STATES)

    def total(*batch):
        return vmap(_objective)(*batch).sum()

    together, _ = grad_and_value(total, argnums=(0, 1, 2))(*given)
    apart, _ = vmap(grad_and_value(_objective, argnums=(0, 1, 2)))(*given)
    for a, b in zip(together, apart, strict=True):
        torch.testing.assert_close(a, b)


def test_it_is_one_node_of_a_traced_graph():
    given = torch.randn(2, STATES), torch.randn(2, 1, STATES, STATES), torch.randn(2, SERIES, STEPS, STATES)
    function = vmap(grad_and_value(_objective, argnums=(0, 1, 2)))
    graph = traced(function, *given, missing=False)
    assert graph._run.__self__.code.count("markov_forward_backward.default") == 1
    torch.testing.assert_close(graph(*given), function(*given))


def test_the_operators_are_declared_as_torch_wants_them():
    given = _chains(varying=True)
    torch.library.opcheck(markov._forward_backward, (*given, True))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_million_steps_keep_their_precision(dtype):
    # Two states that show the same: the evidence is the product of the emissions, whatever the path.
    steps, common = 1_000_000, -1.2345678
    start, transition = torch.zeros(1, 2).log_softmax(-1), torch.tensor([[[[0.9, 0.1], [0.2, 0.8]]]]).log()
    emission = torch.full((1, steps, 2), common)
    evidence, states, counts = markov_cpu.forward_backward(*(t.to(dtype) for t in (start, transition, emission)), True)
    truth = steps * float(torch.tensor(common, dtype=dtype))
    assert evidence.item() == pytest.approx(truth, abs=1e-2 if dtype == torch.float32 else 1e-4)
    torch.testing.assert_close(states[0, -1], torch.tensor([2 / 3, 1 / 3], dtype=dtype))
    assert counts.sum().item() == pytest.approx(steps - 1, rel=1e-6)


def test_single_precision_is_near_double_precision():
    given = _chains(varying=False)
    for double, single in zip(
        markov_cpu.forward_backward(*given, True), markov_cpu.forward_backward(*(t.float() for t in given), True), strict=True
    ):
        torch.testing.assert_close(single.double(), double, rtol=1e-5, atol=1e-6)
    assert markov_cpu.forward_backward(*(t.float() for t in given), False)[0].dtype == torch.double


def test_padding_adds_nothing():
    start, transition, emission = _chains(varying=False)
    padded = torch.cat([emission, torch.zeros(SERIES, 4, STATES)], 1)
    torch.testing.assert_close(markov.log_evidence(start, transition, padded), markov.log_evidence(start, transition, emission))


def test_threads_change_nothing(monkeypatch):
    start, transition, emission = torch.randn(1, 3), torch.randn(1, 1, 3, 3).log_softmax(-1), torch.randn(50, 20, 3)
    found = []
    monkeypatch.setattr(over_series, "SHARE", 1)
    for threads in (1, 3):
        torch.set_num_threads(threads)
        given = markov._together(start, transition, emission)
        found.append((*markov_cpu.forward_backward(*given, True), *markov_cpu.filter(*given), markov_cpu.viterbi(*given)))
    for one, three in zip(*found, strict=True):
        assert torch.equal(one, three)


def test_the_oracle_agrees_with_itself():
    start, transition, emission = (t[0] for t in _chains(varying=False))
    values = start.exp().numpy(), transition[0].exp().numpy(), emission.numpy()
    by_hand = _by_hand(start, transition, emission)
    assert oracle.log_row(*values) == pytest.approx(logsumexp([w for _, w in by_hand]))
    assert oracle.likeliest(*values) == max(by_hand, key=lambda path: path[1])[0]
    np.testing.assert_allclose(oracle.smoothed(*values).sum(1), 1)
