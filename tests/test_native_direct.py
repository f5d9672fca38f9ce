"""Operators whose loops C calls by their address: they give what torch is given, and torch is not asked."""

import pytest
import torch
from numba import carray
from torch import Tensor
from torch.library import custom_op

import zoo
from inference.graphs.graph import graph_of
from inference.graphs.unconstrained import Flat
from inference.native.direct import _sizes, called_from_c
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
    told = carray(sizes, 5)
    count, dim, some, times, asked = told[0], told[1], told[2], told[3], told[4] != 0
    rows, out, by, sums = carray(rows, (count, dim)), carray(out, (count, dim)), carray(by, count), carray(sums, some)
    for n in range(count):
        for d in range(dim):
            out[n, d] = times * by[n] * rows[n, d]
        if asked:
            sums[n] = rows[n].sum()


called_from_c(_scaled, "nd n -> nd m", lambda: _loops)


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


def test_axes_that_do_not_agree_are_refused():
    assert _sizes("nk nkk -> n mk", [(2, 3, 4), (6, 4, 4), (2, 3), (0,)]) == {"n": 6, "k": 4, "m": 0}
    with pytest.raises(ValueError, match="k is 4 and 5"):
        _sizes("nk nkk", [(6, 4), (6, 4, 5)])


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
