"""Simplified graphs compute what their programs say."""

import pytest
import torch
import torch._inductor
from torch.func import functionalize, grad_and_value, vmap
from torch.fx.experimental.proxy_tensor import make_fx

from inference.graphs.compiling import alike, compiled
from inference.graphs.graph import batched, graph_of, traced
from inference.graphs.tracing import written


@pytest.mark.parametrize("dims", [(-1, 0, 1), (0, 1, 2), (2, 1, 0), (-3, -2, -1)], ids=str)
def test_a_permutation_is_left_out_only_where_it_changes_nothing(dims):
    x = torch.randn(2, 2, 2)
    assert torch.equal(traced(lambda x: x.permute(*dims) * 2.0, x, missing=False)(x), x.permute(*dims) * 2.0)


def test_what_depends_on_no_argument_and_what_repeats_is_computed_once_and_draws_are_not():
    x, constant = torch.randn(3), torch.arange(3.0)
    found = traced(lambda x: (constant.exp() + x.sin(), x.sin(), torch.randn(3) - torch.randn(3)), x, missing=False)
    first, second = found(x), found(x)
    assert torch.equal(first[0], constant.exp() + x.sin())
    assert torch.equal(first[1], x.sin())
    assert first[2].abs().min() > 0
    assert not torch.equal(first[2], second[2])


def test_a_program_that_branches_on_values_runs_interpreted_with_equal_results(caplog):
    function = traced(lambda x: x * 2 if x.sum() > 0 else -x, torch.ones(3), missing=False)
    assert torch.equal(function(-torch.ones(3)), torch.ones(3))
    assert torch.equal(function(torch.ones(3)), 2 * torch.ones(3))
    assert "runs interpreted" in caplog.text


def test_a_program_that_branches_on_what_differs_from_draw_to_draw_is_refused_with_the_way_out():
    with pytest.raises(TypeError, match=r"write torch\.where\(condition, a, b\) instead of `if`"):
        batched(lambda x: x if x > 0 else -x, missing=False)(torch.ones(3))


def test_what_inductor_makes_wrong_is_not_used(monkeypatch, caplog):
    def wrong(graph, example, **settings):
        return lambda *args: [result + 1.0 for result in graph(*args)]

    monkeypatch.setattr(torch._inductor, "standalone_compile", wrong)
    x = torch.randn(3)
    graph = graph_of(lambda x: [x.exp(), x > 0], [x], missing=False)
    assert torch.equal(compiled(graph, [x])(x)[0], x.exp())
    assert "gives other numbers" in caplog.text


def test_rounding_is_no_mistake_where_there_is_nothing_else(monkeypatch, caplog):
    def elsewhere(order):
        monkeypatch.setattr(torch._inductor, "standalone_compile", lambda *args, **settings: lambda *leaves: [order(leaves[-1])])

    x = torch.randn(100, dtype=torch.float)
    graph = graph_of(lambda x: [(x * 3.1 - x * 1.1) - x * 2.0], [x], missing=False)
    elsewhere(lambda x: x * 3.1 - (x * 1.1 + x * 2.0))  # zero but for rounding, as the gradient where a fit has arrived
    assert compiled(graph, [x]) is not graph
    assert not caplog.text
    elsewhere(lambda x: x * 3.1 - (x * 1.1 + x * 1.999))
    assert compiled(graph, [x]) is graph
    assert "gives other numbers" in caplog.text


def test_a_graph_takes_any_layout_in_memory():
    x = torch.randn(4, 3)
    flat = traced(lambda x: x.view(12) * 2.0, x, missing=False)
    assert torch.equal(flat(x.mT.contiguous().mT), x.view(12) * 2.0)
    assert torch.equal(flat(x[:1].expand(4, 3)), x[:1].expand(4, 3).reshape(12) * 2.0)


class _Doubled(torch.autograd.Function):
    """2 x, which says that its gradient is 3."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x):
        return 2 * x

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass

    @staticmethod
    def backward(ctx, grad):
        return 3 * grad


def test_a_function_with_a_gradient_of_its_own_is_traced(caplog):
    x = torch.randn(4)
    for function in (vmap(grad_and_value(_Doubled.apply)), grad_and_value(lambda x: vmap(_Doubled.apply)(x).sum())):
        grads, value = traced(function, x, missing=False)(x)
        assert torch.equal(grads, torch.full((4,), 3.0))
        torch.testing.assert_close(value.sum(), 2 * x.sum())
    assert not caplog.records


def test_a_mistake_is_one_where_the_program_compares_its_data():
    def counted(x: torch.Tensor, weights: torch.Tensor) -> list[torch.Tensor]:
        return [((x == 3) * weights).sum() * 1e6]

    given = [torch.tensor([3.0, 3.0, 1.0]), torch.ones(3)]
    assert alike(counted, counted, given)
    assert not alike(lambda *g: [0.2 * counted(*g)[0]], counted, given)
    with pytest.raises(ValueError, match="zip"):
        alike(lambda *g: [*counted(*g), *g], counted, given)


def test_a_constant_that_is_changed_in_place_is_the_same_at_every_call():
    constant, x = torch.linspace(-1, 1, 3), torch.zeros(3)
    graph = traced(lambda x: x + constant.neg().exp_() * constant.neg().exp_().log_(), x, missing=False)
    for _ in range(2):
        torch.testing.assert_close(graph(x), -constant * (-constant).exp())


def _steps(graph):
    return [(str(node.target), len(node.all_input_nodes)) for node in graph.graph.nodes if node.op == "call_function"]


HELD = torch.arange(12.0).reshape(3, 4)


def _of_every_kind(x, y):
    """Views, writes in place, tuples, random numbers, constants, and the gradient of them."""
    filled = torch.zeros(3, 4)
    filled[1:] += x[1:] * HELD[1:]
    values, places = (filled + torch.randn(3, 4)).sort(-1)
    first, second = torch.split(values.gather(-1, places), 2, dim=-1)
    return (first @ second.mT).logsumexp(0).sum() + torch.stack([x, x.exp()]).sum() * y.softmax(-1).amax()


WAYS = {
    "value": _of_every_kind,
    "gradient": grad_and_value(_of_every_kind),
    "batch": vmap(_of_every_kind, (None, 0), randomness="different"),
}


@pytest.mark.parametrize("function", WAYS.values(), ids=WAYS.keys())
def test_the_graph_that_is_written_is_the_one_that_torch_writes(function):
    example = [torch.randn(3, 4), torch.randn(2, 4)]

    def flat(*leaves):
        found = function(*leaves)
        return list(found) if isinstance(found, tuple) else [found]

    ours, theirs = written(functionalize(flat), example), make_fx(functionalize(flat))(*example)
    for graph in (ours, theirs):
        graph.graph.eliminate_dead_code()
    assert _steps(ours) == _steps(theirs)
    found = []
    for way in (flat, ours, theirs):
        torch.manual_seed(0)
        found.append(way(*example))
    torch.testing.assert_close(found[1:], [found[0]] * 2)


def test_a_program_may_look_at_values_that_depend_on_no_argument_and_at_no_others():
    assert written(lambda x: [x * 2 if HELD.sum() > 0 else x], [torch.ones(3)])(torch.ones(3))[0].tolist() == [2.0, 2.0, 2.0]
    with pytest.raises(RuntimeError, match=r"looks at the value of a tensor .*; torch\.where"):
        written(lambda x: [x * float(x.sum())], [torch.ones(3)])


def test_what_no_graph_can_hold_runs_interpreted(caplog):
    generator = torch.Generator().manual_seed(0)
    function = traced(lambda x: x + torch.rand(3, generator=generator), torch.zeros(3), missing=False)
    assert not torch.equal(function(torch.zeros(3)), function(torch.zeros(3)))
    assert "an operator is given a Generator" in caplog.text
