"""Graphs of pure operations made smaller: what is constant is computed now, what changes nothing or repeats is left out."""

import operator
from typing import Any

import torch
from torch import Tensor, fx

aten = torch.ops.aten

# Their values depend on nothing but a shape. Large ones are cheaper made than kept.
FILLED = (aten.zeros_like, aten.ones_like, aten.full_like, aten.new_zeros, aten.new_ones, aten.new_full)
LARGE = 10_000
NEUTRAL = {aten.add.Tensor: 0, aten.sub.Tensor: 0, aten.mul.Tensor: 1, aten.div.Tensor: 1, aten.pow.Tensor_Scalar: 1}
# As functions of `torch` they are the same, and take half the time to call.
_NAMED = (
    *("add", "sub", "rsub", "mul", "div", "pow", "exp", "log", "log1p", "expm1", "neg", "abs", "sign", "sqrt", "rsqrt", "square"),
    *("reciprocal", "sigmoid", "tanh", "erf", "erfinv", "lgamma", "digamma", "sin", "cos", "sum", "mean", "prod", "amax", "amin"),
    *("logsumexp", "cumsum", "where", "maximum", "minimum", "clamp", "masked_fill", "eq", "ne", "lt", "le", "gt", "ge", "isnan"),
    *("logical_and", "logical_or", "logical_not", "isinf", "mm", "bmm", "addmm", "unsqueeze", "squeeze", "select", "transpose"),
    *("permute", "split_with_sizes", "cat", "stack"),
)
DIRECT = {name: getattr(torch, name) for name in _NAMED} | {
    "view": torch.reshape,
    "_unsafe_view": torch.reshape,
    "expand": torch.Tensor.expand,
}


def simplified(graph: fx.GraphModule) -> fx.GraphModule:
    """The graph with nothing in it that need not be computed at every call."""
    known: dict[fx.Node, Any] = {node: getattr(graph, node.target) for node in graph.graph.nodes if node.op == "get_attr"}
    seen: dict[Any, fx.Node] = {}
    for node in list(graph.graph.nodes):
        if node.op == "get_attr":
            # Each use of a parameter that is held has a node of its own.
            node.replace_all_uses_with(seen.setdefault(id(known[node]), node))
            continue
        if node.op != "call_function" or _random(node):
            continue
        what = node.target, repr(node.args), repr(node.kwargs)
        same = _unchanged(node, known) or seen.setdefault(what, node)
        if same is not node:
            node.replace_all_uses_with(same)
        elif (value := _constant(node, known)) is not None:
            known[node] = value
            if isinstance(value, Tensor):
                seen[what] = _replace(graph, node, value)
                known[seen[what]] = value
                if _in_place(node):
                    graph.graph.erase_node(node)
    graph.graph.eliminate_dead_code()
    graph.recompile()
    return graph


def direct(graph: fx.GraphModule) -> fx.GraphModule:
    """The same graph, by functions that are quicker to call: for graphs that Python runs."""
    copy = fx.Graph()
    copy.output(copy.graph_copy(graph.graph, {}))
    for node in copy.nodes:
        if node.op == "call_function" and getattr(node.target, "_overloadpacket", None) is not None:
            node.target = DIRECT.get(node.target._overloadpacket.__name__, node.target)
    return fx.GraphModule(graph, copy)


def _constant(node: fx.Node, known: dict[fx.Node, Any]) -> Any:
    """What a node comes to, whatever the arguments; None if that depends on them."""
    if all(n in known for n in node.all_input_nodes):
        # A copy of what is changed in place: the constant has other uses.
        args, kwargs = fx.map_arg((node.args, node.kwargs), lambda n: known[n].clone() if _in_place(node) else known[n])
        return node.target(*args, **kwargs)
    if getattr(node.target, "overloadpacket", None) in FILLED and node.meta["val"].numel() <= LARGE:
        like = node.args[0].meta["val"]
        return node.target(torch.empty((), dtype=like.dtype, device=like.device).expand(like.shape), *node.args[1:], **node.kwargs)
    return None


def _unchanged(node: fx.Node, known: dict[fx.Node, Any]) -> fx.Node | None:
    """The node that an operation hands back as it was, if it does."""
    first = node.args[0] if node.args else None
    if node.target in (aten.alias.default, aten.detach.default):
        return first
    if node.target is aten.where.self and node.args[1] is node.args[2]:
        return node.args[1]
    if node.target is aten.permute.default:
        dims = node.args[1]
        return first if [d % len(dims) for d in dims] == list(range(len(dims))) else None
    if node.target in NEUTRAL and not node.kwargs:
        pairs = [node.args, node.args[::-1]] if node.target in (aten.add.Tensor, aten.mul.Tensor) else [node.args]
        return next((a for a, b in pairs if _alike(a, node, known) and _is(b, NEUTRAL[node.target], known)), None)
    whole = _whole(node, first)
    return whole if _alike(whole, node, known) else None


def _whole(node: fx.Node, first: Any) -> Any:
    """What an operation takes apart, puts together or gives another shape, and may leave as it was."""
    if node.target in (aten.view.default, aten._unsafe_view.default, aten.expand.default, aten.slice.Tensor, aten.slice_backward.default):
        return first
    if node.target is aten.cat.default and len(first) == 1:
        return first[0]
    if node.target is operator.getitem and first.target is aten.split_with_sizes.default:
        return first.args[0]
    if node.target is aten.sum.dim_IntList and first.target is aten.unsqueeze.default and len(node.args) == 2:
        dims = len(first.meta["val"].shape)
        return first.args[0] if [d % dims for d in node.args[1]] == [first.args[1] % dims] else None
    return None


def _alike(a: Any, b: fx.Node, known: dict[fx.Node, Any]) -> bool:
    """Whether two nodes are tensors of one shape and type."""
    if not isinstance(a, fx.Node):
        return False
    a, b = (known[n] if n in known else n.meta.get("val") for n in (a, b))
    return isinstance(a, Tensor) and isinstance(b, Tensor) and a.shape == b.shape and a.dtype == b.dtype


def _is(value: Any, number: float, known: dict[fx.Node, Any]) -> bool:
    """Whether a value is `number` in every element, and known to be."""
    value = known.get(value) if isinstance(value, fx.Node) else value
    if isinstance(value, Tensor):
        return value.numel() <= LARGE and bool((value == number).all())
    return isinstance(value, (int, float)) and value == number


def _in_place(node: fx.Node) -> bool:
    # Left by `functionalize` on what depends on no argument. Later uses are of the node, not of what it changed.
    return isinstance(node.target, torch._ops.OpOverload) and node.target._schema.is_mutable


def _random(node: fx.Node) -> bool:
    return torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ())


def _replace(graph: fx.GraphModule, node: fx.Node, value: Tensor) -> fx.Node:
    name = f"_known_{node.name}"
    graph.register_buffer(name, value)
    with graph.graph.inserting_before(node):
        constant = graph.graph.get_attr(name)
    node.replace_all_uses_with(constant)
    return constant
