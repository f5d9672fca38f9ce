"""Graphs as C: every operation against torch, every pair against its traced program, and what C does not know."""

import functools
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import inference
import zoo
from inference.graphs.graph import graph_of
from inference.mcmc.space import unit
from inference.native import library
from inference.native.emitter import decompositions
from inference.native.routine import Routine
from inference.native.values import Unsupported
from tests.test_every_pair import _subjects

SEED = torch.Generator().manual_seed(0)
A, B, V = (torch.randn(shape, generator=SEED, dtype=torch.double) for shape in ((3, 4), (3, 4), (4,)))
SQUARE = A @ A.T + 3 * torch.eye(3)
POSITIVE = torch.rand(3, 4, generator=SEED) + 0.1
PLACES, WHOLE = torch.tensor([2, 0, -1]), torch.tensor([[3, 1], [0, 2], [1, 1]])
BITS = torch.randint(0, 2, (3, 4, 5, 3), generator=SEED).double()
ODD = torch.tensor([torch.nan, torch.inf, -torch.inf, 0.0, -0.0, 1.5])

OPERATIONS = {
    "arithmetic": (lambda a, b: a + 2 * b - a / b + torch.add(a, b, alpha=3) - (1 - a) * -b, A, B),
    "broadcasting": (lambda a, v: a * v + v[:, None][:3] - a.sum(1, keepdim=True), A, V),
    "powers": (lambda a: a**2 + a**3 + a**0.5 + a**-1 + a**-0.5 + a**1.7 + a.square() + a.rsqrt() + a.reciprocal(), POSITIVE),
    "exponentials": (lambda a: a.exp() + a.expm1() + a.log1p() + a.log() + a.sqrt() + a.sigmoid() + a.tanh() + F.softplus(a), POSITIVE),
    "circles": (lambda a: a.sin() + a.cos() + a.tan() + a.atan() + torch.atan2(a, 2 * a), A),
    "special": (lambda a: a.lgamma() + a.erf() + torch.erfc(a) + torch.xlogy(a, a), POSITIVE),
    "digamma": (torch.digamma, torch.tensor([-3.7, -0.2, 0.3, 0.999, 9.99, 10.0, 250.0])),
    "rounding": (lambda a: a.floor() + a.ceil() + a.trunc() + a.abs() + a.sign(), 3 * A),
    "limits": (lambda a, b: torch.maximum(a, b) + torch.minimum(a, 0.3 * b) + a.clamp(-0.5, 0.5) + b.clamp(min=0.1), A, B),
    "choices": (lambda a, b: torch.where(a > b, a, b) + a.masked_fill(b < 0, 2.0) + (a >= 0).to(a.dtype), A, B),
    "choices taken away": (
        lambda x: torch.func.grad(lambda y: (F.binary_cross_entropy_with_logits(y, BITS, reduction="none") * BITS.flip(0)).sum())(x),
        torch.randn(3, 4, 5, 3, generator=SEED),
    ),
    "logic": (lambda a, b: ((a > 0) & (b > 0)) | ~(a < b) | torch.logical_not(a == b), A, B),
    "what is no number": (lambda a: torch.stack([a.isnan().double(), a.isinf().double(), a.nan_to_num(7.0, 8.0, 9.0), a.sign()]), ODD),
    "greatest of what is no number": (lambda a: torch.maximum(a, torch.zeros_like(a)), ODD),
    "views": (lambda a: a.T.reshape(2, 6).T[1:5:2].unsqueeze(1).expand(2, 3, 2).permute(2, 0, 1).flatten(1), A),
    "pieces": (lambda a: torch.cat([a[:, -2:], a[:, :1], a.select(1, 2)[:, None]], 1).split([1, 3], 1)[1], A),
    "backwards": (lambda a: a.flip(0).repeat(2, 1) + a.flip(0, 1).repeat(2, 1), A),
    "joins": (lambda a, b: torch.stack([a, b], 1) + F.pad(a, (1, -1, 2, 0), value=3.0)[2:, None], A, B),
    "diagonals": (lambda a: a.diagonal(1) + torch.diag_embed(a[0, :2]).diagonal()[:2], A[:, :3]),
    "triangles": (lambda a: a.tril() + a.tril(-1) + a.triu(1), A),
    "places": (lambda a: a[PLACES] + a.index_select(0, torch.tensor([1, 1, 0])) + a[PLACES, :][:, PLACES][:, :1], A),
    "gathered": (lambda a: a.gather(1, WHOLE) + a.gather(1, WHOLE.flip(1)), A),
    "scattered": (lambda a, b: a.scatter(1, WHOLE[:, :1], b[:, :1]) + a.scatter_add(1, WHOLE, b[:, :2]), A, B),
    "put": (lambda a, b: a.index_put((PLACES,), b) + a.index_put((PLACES, PLACES), b[:, 0], accumulate=True), A, B),
    "sums": (lambda a: a.sum() + a.sum(0).prod() + a.mean(1).sum() + a.sum((0, 1)) + a.cumsum(1).sum() + a.cumprod(0)[2, 1], A),
    "truth": (lambda a: torch.cat([(a > 0).all(1), (a > 0).any(0), (a > 9).any()[None], (a < 9).all()[None]]), A),
    "systems": (
        lambda a, v: torch.linalg.solve_ex(a, v[:3])[0] + torch.linalg.solve(a.T, a.flip(0))[1] + torch.linalg.inv(a)[2],
        SQUARE.flip(1),
        V,
    ),
    "running": (lambda a, odd: torch.cat([a.logcumsumexp(1).flatten(), *(o.logcumsumexp(0) for o in (odd, odd[2:], odd[1:3]))]), A, ODD),
    "extremes": (lambda a: a.amax(1) - a.amin(1) + a.logsumexp(1) + a.amax(0)[:3], A),
    "shares": (lambda a: a.softmax(1) + a.log_softmax(0), A),
    "products": (lambda a, b, v: (a @ b.T) @ a + (a @ v)[:, None] + v @ b.T @ a + torch.dot(v, v), A, B, V),
    "products of many": (lambda a, b: torch.bmm(a.unflatten(0, (3, 1)), b.unflatten(0, (3, 1)).mT), A, B),
    "sums of one number": (lambda v: v.sum().sum(-1) + v.mean().amax(0) + v.sum().logsumexp(-1), V),
    "true and false": (
        lambda a: ((a > 0).to(a.dtype) + ((a > 0) == 1).to(a.dtype)) * ((a > 0) >= 1) + ((a > 0) == 2) + ((a > 0) + (a < 1)),
        A,
    ),
    "again and again": (lambda a: functools.reduce(lambda y, _: y * y + 0.1, range(30), 0.1 * a), A),
    "upper cholesky": (lambda s: torch.linalg.cholesky(s, upper=True), SQUARE),
    "cholesky": (torch.linalg.cholesky, SQUARE),
    "triangular": (lambda s, b: torch.linalg.solve_triangular(s.tril(), b, upper=False), SQUARE, B),
    "triangular from the right": (lambda s, b: torch.linalg.solve_triangular(s.triu(), b.T, upper=True, left=False), SQUARE, B),
}
DERIVATIVES = (
    "powers",
    "exponentials",
    "special",
    "limits",
    "choices",
    "views",
    "pieces",
    "joins",
    "gathered",
    "extremes",
    "shares",
    "cholesky",
)


@pytest.fixture(autouse=True)
def polished(monkeypatch):
    """Compiled as users have it."""
    monkeypatch.delenv("CFLAGS")


def _routine(function, *example):
    return Routine(graph_of(lambda *args: [function(*args)], list(example), False, decompositions()))


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_is_torchs(name):
    function, *given = OPERATIONS[name]
    given = [g.double().contiguous() for g in given]
    (found,) = _routine(function, *given)(*given)
    torch.testing.assert_close(found, function(*given), rtol=1e-12, atol=1e-12, equal_nan=True)


@pytest.mark.parametrize("name", [n for n in OPERATIONS if n in DERIVATIVES])
def test_its_derivative_is_torchs_in_single_precision(name):
    function, *given = OPERATIONS[name]
    given = [g.float() for g in given]
    slope = torch.func.grad(lambda x: (function(x, *given[1:]).sin()).sum())
    (found,) = _routine(slope, given[0])(given[0])
    torch.testing.assert_close(found, slope(given[0]), rtol=3e-5, atol=3e-5)


@pytest.mark.parametrize("subject", _subjects(), ids=str)
def test_the_density_of_a_pair_is_its_program(subject):
    examined = subject.examined
    if subject.pair.unsuited.get("mcmc"):
        return
    slope = torch.func.grad_and_value(examined.density)
    routine = Routine(graph_of(lambda position: list(slope(position)), [examined.positions[0]], examined.program.missing, decompositions()))
    for position in examined.positions:
        for found, truth in zip(routine(position), slope(position), strict=True):
            torch.testing.assert_close(found, truth, rtol=1e-9, atol=1e-9)


def test_sums_of_many_small_numbers_lose_nothing():
    x = torch.full((200_000,), 1e-3, dtype=torch.float32)
    assert _routine(lambda x: x.sum(), x)(x)[0].item() == pytest.approx(200.0, abs=1e-4)


def test_what_c_does_not_know_torch_is_asked_for():
    routine = _routine(lambda x: x.sort().values + torch.polygamma(1, x) * x.sort().indices, POSITIVE[0])
    assert len(routine.foreign) == 2
    torch.testing.assert_close(
        routine(POSITIVE[0])[0], POSITIVE[0].sort().values + torch.polygamma(1, POSITIVE[0]) * POSITIVE[0].sort().indices
    )


@torch.library.custom_op("tests::positive", mutates_args=())
def _positive(x: Tensor) -> Tensor:
    if not (x > 0).all():
        raise ValueError("not positive")
    return x.clone()


@_positive.register_fake
def _(x: Tensor) -> Tensor:
    return torch.empty_like(x)


def test_what_torch_raises_out_of_c_is_raised():
    routine = _routine(lambda x: _positive(2 * x) + 1, V.abs())
    with pytest.raises(ValueError, match="not positive"):
        routine(-V.abs())
    torch.testing.assert_close(routine(V.abs())[0], 2 * V.abs() + 1)


def test_what_may_be_out_of_range_is_torchs_to_look_up():
    table = V.clone()
    routine = _routine(lambda x: table[x.abs().long()], V)
    assert routine(torch.full((4,), 3.5, dtype=torch.double))[0].tolist() == [table[3].item()] * 4
    with pytest.raises(IndexError):
        routine(torch.full((4,), 9.0, dtype=torch.double))


def test_systems_of_batches_that_differ_are_torchs_to_solve():
    given = SQUARE, torch.stack([A, B])
    routine = _routine(lambda a, b: torch.linalg.solve_ex(a, b)[0] + torch.linalg.solve_ex(a, b.mT, left=False)[0].mT, *given)
    assert len(routine.foreign) == 2
    torch.testing.assert_close(routine(*given)[0], torch.linalg.solve(given[0], given[1]) + torch.linalg.solve(given[0].mT, given[1]))


@pytest.mark.parametrize("function", [lambda x: (x > 0).long() ** 2, lambda x: x.view(torch.int64)])
def test_rare_forms_of_what_c_knows_are_refused(function):
    with pytest.raises(Unsupported):
        _routine(function, V)


def test_random_numbers_are_torchs():
    routine = _routine(lambda x: x + torch.randn_like(x), V)
    torch.manual_seed(5)
    (found,) = routine(V)
    torch.manual_seed(5)
    torch.testing.assert_close(found, V + torch.randn_like(V))


def test_arguments_of_another_shape_or_type_are_refused():
    routine = _routine(lambda x: 2 * x, V)
    for other in (V[:2], V.float()):
        with pytest.raises(ValueError, match="this function takes"):
            routine(other)


def test_without_a_compiler_gradients_stay_with_torch(monkeypatch, caplog):
    monkeypatch.setattr(library, "_compiler", lambda: None)
    gradients = sys.modules["inference.mcmc.by_chain"].Gradients(lambda position, x: -position.square().sum(), V, own=False, missing=False)
    with caplog.at_level("INFO", "inference"):
        assert not gradients.prepare(unit(3, False, V), 4, "auto", calls=10**6)
    assert "gradients stay with torch, slower: there is no C compiler" in caplog.text


def test_what_does_not_earn_it_is_not_translated():
    gradients = sys.modules["inference.mcmc.by_chain"].Gradients(lambda position, x: -position.square().sum(), V, own=False, missing=False)
    assert not gradients.prepare(unit(3, False, V), 4, "auto", calls=100)
    assert gradients.prepare(unit(3, False, V), 4, True, calls=100)
    white = torch.randn(5, 3)
    grad, log_density = gradients(white, unit(3, False, V))
    torch.testing.assert_close(grad, -2 * white)
    torch.testing.assert_close(log_density, -white.square().sum(1))


@pytest.mark.parametrize("kernel", ["nuts", "chees", "mams"])
def test_chains_that_run_on_make_the_draws_of_those_that_take_each_step_together(kernel, monkeypatch):
    monkeypatch.setattr(sys.modules["inference.mcmc.by_chain"], "SOON", -1.0)  # threads from the second call on
    pair, x = zoo.create("gmm", components=1, dim=2), torch.randn(12, 2)
    run = dict(kernel=kernel, chains=5, warmup=30, draws=10, seed=3)
    found = [inference.mcmc(pair, x, compile=False, **run)]
    for threads in (1, 2):
        torch.set_num_threads(threads)
        found.append(inference.mcmc(pair, x, compile=True, **run))
    graphs, one, two = found
    for name, draws in graphs.draws.items():
        torch.testing.assert_close(one.draws[name][:, 0], draws[:, 0], rtol=1e-5, atol=1e-5)  # rounding errors grow along a chain
        assert (two.draws[name] == one.draws[name]).all()
    assert one.stats["n_steps"][:, 0].tolist() == graphs.stats["n_steps"][:, 0].tolist()
