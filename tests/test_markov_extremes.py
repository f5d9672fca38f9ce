"""Where a hidden Markov chain's probabilities are zero, all but, or not numbers: loops and scans agree, and nothing is lost."""

import numpy as np
import pytest
import torch
from torch import Tensor

from zoo.series import markov, markov_cpu, markov_scan

COPIES = 16


class Lanes:
    """The loops on so many copies of every series that they run side by side, and what they say of the first copies."""

    @staticmethod
    def forward_backward(start: Tensor, transition: Tensor, emission: Tensor, gradient: bool) -> tuple[Tensor, ...]:
        given = (t.repeat(COPIES, *[1] * (t.dim() - 1)) for t in (start, transition, emission))
        found = markov_cpu.forward_backward(*given, gradient)
        for t in found:
            for copy in t.split(len(start)):
                torch.testing.assert_close(copy, t[: len(start)], rtol=0, atol=0, equal_nan=True)
        return tuple(t[: len(start)] for t in found)

    filter = staticmethod(markov_cpu.filter)


BACKENDS = pytest.mark.parametrize("backend", [markov_cpu, markov_scan, Lanes])
STATES, STEPS = 3, 6


def _chain(steps: int = STEPS, states: int = STATES, varying: bool = False) -> tuple[Tensor, Tensor, Tensor]:
    start, emission = torch.randn(2, states).log_softmax(-1), torch.randn(2, steps, states)
    transition = torch.randn(2, max(1, steps - 1) if varying else 1, states, states).log_softmax(-1)
    return start, transition, emission


def _far_apart() -> tuple[Tensor, Tensor, Tensor]:
    start, transition, emission = _chain()
    return start, transition, 2000 * emission


def _one_way() -> tuple[Tensor, Tensor, Tensor]:
    start, transition, emission = _far_apart()
    allowed = torch.ones(STATES, STATES).triu().bool()
    return start, torch.where(allowed, transition, -torch.inf).log_softmax(-1), emission


def _impossible(step: int) -> tuple[Tensor, Tensor, Tensor]:
    start, transition, emission = _chain()
    emission[1, step] = -torch.inf
    return start, transition, emission


def _nowhere_to_go() -> tuple[Tensor, Tensor, Tensor]:
    """The only state that shows the second step cannot be reached in time."""
    start, transition, emission = torch.tensor([[0.0, -torch.inf, -torch.inf]]), torch.full((1, 1, 3, 3), -torch.inf), torch.zeros(1, 4, 3)
    transition[0, 0, 0, 1] = transition[0, 0, 1, 2] = transition[0, 0, 2, 2] = 0.0
    emission[0, 1] = torch.tensor([-torch.inf, -torch.inf, 0.0])
    return start, transition, emission


def _strange() -> tuple[Tensor, Tensor, Tensor]:
    start, transition, emission = _chain()
    emission[0, 2, 1] = torch.nan
    return start, transition, emission


def _strange_alone() -> tuple[Tensor, Tensor, Tensor]:
    start, transition, emission = _chain(states=1)
    emission[0, 2] = torch.nan
    return start, transition, emission


CASES = {
    "plain": _chain,
    "varying": lambda: _chain(varying=True),
    "one step": lambda: _chain(1),
    "one step, varying": lambda: _chain(1, varying=True),
    "two steps": lambda: _chain(2),
    "one state": lambda: _chain(states=1),
    "far apart": _far_apart,
    "one way": _one_way,
    "impossible at first": lambda: _impossible(0),
    "impossible later": lambda: _impossible(3),
    "impossible at last": lambda: _impossible(STEPS - 1),
    "nowhere to go": _nowhere_to_go,
    "not a number": _strange,
    "not a number, one state": _strange_alone,
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_loops_and_scans_agree(case, dtype):
    given = [t.to(dtype) for t in CASES[case]()]
    close = {"rtol": 1e-10, "atol": 1e-10} if dtype == torch.float64 else {"rtol": 1e-5, "atol": 1e-5}
    loops, lanes, scans = (backend.forward_backward(*given, True) for backend in (markov_cpu, Lanes, markov_scan))
    for loop, lane, scan in zip(loops, lanes, scans, strict=True):
        torch.testing.assert_close(loop, scan, equal_nan=True, **close)
        torch.testing.assert_close(lane, scan, equal_nan=True, **close)
    for loop, scan in zip(markov_cpu.filter(*given), markov_scan.filter(*given), strict=True):
        # A probability that loops take for zero, below the least number of single precision.
        gone = (loop == -torch.inf) & (scan < -80)
        torch.testing.assert_close(torch.where(gone, scan, loop), scan, equal_nan=True, **close)


@BACKENDS
def test_what_cannot_be_has_no_density_and_moves_nothing(backend):
    start, transition, emission = _impossible(3)
    evidence, states, counts = backend.forward_backward(start, transition, emission, True)
    assert evidence[1] == -torch.inf
    assert not states[1].any()
    assert not counts[1].any()
    torch.testing.assert_close(states[0].sum(-1), torch.ones(STEPS))
    _, increments = backend.filter(start, transition, emission)
    assert increments[1].isinf().tolist() == [False] * 3 + [True] * 3


@BACKENDS
def test_what_is_not_a_number_spoils_no_other_series(backend):
    given = _strange()
    evidence, states, counts = backend.forward_backward(*given, True)
    assert evidence.isnan().tolist() == [True, False]
    assert states[0].isnan().all()
    assert counts[0].isnan().all()
    assert states[1].isfinite().all()


@BACKENDS
def test_a_chain_that_cannot_turn_back_loses_nothing_that_it_kept_for_later(backend):
    # The first state is a thousand nats behind at the first step, and two thousand ahead at the second.
    start = torch.tensor([[0.5, 0.5]]).log()
    transition = torch.tensor([[[[0.5, 0.5], [0.0, 1.0]]]]).log()
    emission = torch.tensor([[[-1000.0, 0.0], [0.0, -2000.0]]])
    evidence, states, _ = backend.forward_backward(start, transition, emission, True)
    assert evidence.item() == pytest.approx(np.log(0.25) - 1000, abs=1e-9)
    torch.testing.assert_close(states[0, :, 0], torch.ones(2))


@BACKENDS
def test_what_is_lost_little_by_little_is_not_lost(backend):
    # No step of the second path is unlikely enough to be noticed; all together they weigh less than what the first lost at once.
    start, transition = torch.tensor([[0.5, 0.5]]).log(), torch.eye(2).log()[None, None]
    emission = torch.zeros(1, 41, 2)
    emission[0, 0, 0], emission[0, 1:, 1] = -720.0, -40.0
    evidence, states, _ = backend.forward_backward(start, transition, emission, True)
    assert evidence.item() == pytest.approx(np.log(0.5) - 720, abs=1e-9)
    torch.testing.assert_close(states[0, :, 0], torch.ones(41))


@BACKENDS
@pytest.mark.parametrize("steps", [1, 2])
def test_a_step_or_two_are_the_start_and_a_move(backend, steps):
    start, transition, emission = _chain(steps)
    evidence, _, counts = backend.forward_backward(start, transition, emission, True)
    joint = start + emission[:, 0]
    if steps == 2:
        joint = joint[..., None] + transition[:, 0] + emission[:, 1, None]
    torch.testing.assert_close(evidence, joint.flatten(1).logsumexp(-1))
    torch.testing.assert_close(counts.sum((1, 2, 3)), torch.full((2,), steps - 1.0))


def test_the_operators_gradient_is_zero_where_a_series_cannot_be():
    start, transition, emission = (t.requires_grad_() for t in _impossible(2))
    markov.log_evidence(start, transition, emission)[1].backward()
    assert not any(t.grad.any() for t in (start, transition, emission))
