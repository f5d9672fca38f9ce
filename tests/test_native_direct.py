"""Operators whose loops C calls by their address: they give what torch is given, and torch is not asked."""

import pytest
import torch
from numba import carray
from torch import Tensor
from torch.library import custom_op

import zoo
from inference.graphs.graph import graph_of
from inference.graphs.unconstrained import Flat
from inference.native.direct import called_from_c
from inference.native.emitter import decompositions
from inference.native.routine import Routine
from inference.program import Program

SERIES = {
    "hmm": {"states": 2},
    "factorial_hmm": {"states": 2, "chains": 2},
    "hsmm": {"states": 2, "longest": 4},
    "lgssm": {"states": 2},
}


@custom_op("tests::scaled", mutates_args=())
def _scaled(rows: Tensor, by: Tensor, times: int, asked: bool) -> tuple[Tensor, Tensor]:
    return times * by[..., None] * rows, rows.sum(-1, dtype=torch.double) if asked else rows.new_empty(0, dtype=torch.double)


@_scaled.register_fake
def _(rows: Tensor, by: Tensor, times: int, asked: bool) -> tuple[Tensor, Tensor]:
    return torch.empty_like(rows), rows.new_empty(rows.shape[:-1] if asked else 0, dtype=torch.double)


def _loops(rows, by, out, sums, sizes):
    shapes = carray(sizes, 8)
    rows, out = carray(rows, (shapes[0], shapes[1])), carray(out, (shapes[3], shapes[4]))
    by, sums = carray(by, shapes[2]), carray(sums, shapes[5])
    for n in range(shapes[0]):
        for d in range(shapes[1]):
            out[n, d] = shapes[6] * by[n] * rows[n, d]
        if shapes[7] != 0:
            sums[n] = rows[n].sum()


called_from_c(_scaled, (1, 0, 1, 0), lambda: _loops)


@pytest.mark.parametrize("asked", [True, False])
@pytest.mark.parametrize("dtype", [torch.float, torch.double])
@pytest.mark.parametrize("batch", [(), (3,), (2, 3)])
def test_loops_are_called_in_place_of_the_operator(batch, dtype, asked):
    given = torch.randn(*batch, 4, dtype=dtype), torch.randn(batch, dtype=dtype)
    routine = Routine(graph_of(lambda *g: list(_scaled(g[0] + 1, g[1], 3, asked)), list(given), False, decompositions()))
    assert len(routine.calls) == 1
    assert not routine.foreign
    for found, truth in zip(routine(*given), _scaled(given[0] + 1, given[1], 3, asked), strict=True):
        torch.testing.assert_close(found, truth)


@pytest.mark.parametrize("name", SERIES)
def test_a_gradient_of_series_asks_torch_for_nothing(name):
    torch.manual_seed(0)
    x = torch.randn(3, 12, 1)
    x[0, 9:], x[1, 4] = torch.nan, torch.nan
    pair = zoo.create(name, x, **SERIES[name])
    program = Program(pair, x)
    flat = Flat(program.parameters)

    def density(position: Tensor) -> Tensor:
        values, log_jacobian = flat.constrain_with_jacobian(position)
        return program.log_joint(values, x) + log_jacobian

    slope, at = torch.func.grad_and_value(density), torch.randn(flat.size)
    routine = Routine(graph_of(lambda position: list(slope(position)), [at], True, decompositions()))
    assert routine.calls
    assert not routine.foreign
    for found, truth in zip(routine(at), slope(at), strict=True):
        torch.testing.assert_close(found, truth, rtol=1e-4, atol=1e-3)
