"""Programs as graphs of tensor operations: traced once, simplified, batched, compiled, never interpreted again."""

import logging
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx
from torch.func import functionalize
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils._pytree import tree_flatten, tree_unflatten

from .compiling import Compile, compiled, worth_compiling
from .functorch import traceable
from .missing import known_missing

log = logging.getLogger("inference")
aten = torch.ops.aten


def traced(function: Callable, *example: Any, missing: bool, compile: Compile = False, calls: int = 0) -> Callable:
    """`function` as a graph, traced on `example`; call it with arguments of the same shapes.

    A program that cannot be traced (it branches on a value, say) runs interpreted, with equal results, and says so once.

    Arguments:
        missing: whether the rows that the program reads have holes.
        compile: whether to compile the graph; "auto" does so where `calls` calls are likely to earn it back.
    """
    leaves, spec = tree_flatten(example)
    shapes = []

    def flat(*leaves: Tensor) -> list[Tensor]:
        values, shape = tree_flatten(function(*tree_unflatten(leaves, spec)))
        shapes[:] = [shape]
        return values

    def interpreted(*leaves: Tensor) -> list[Tensor]:
        with traceable(), known_missing(missing):
            return flat(*leaves)

    with torch.no_grad():
        run = _graph(flat, leaves, missing)
        if run is None:
            run = interpreted
        elif compile is True or (compile == "auto" and worth_compiling(run, calls)):
            run = compiled(run, leaves)

    def call(*args: Any) -> Any:
        with torch.no_grad():
            values = run(*tree_flatten(args)[0])
        return tree_unflatten(values, shapes[0])

    return call


def _graph(flat: Callable, leaves: list[Tensor], missing: bool) -> fx.GraphModule | None:
    with traceable(), known_missing(missing):
        try:
            graph = make_fx(functionalize(flat))(*leaves)
        except (RuntimeError, NotImplementedError, TypeError) as error:
            reason = str(error).strip().splitlines()[0]
            log.warning("runs interpreted, slower, because it could not be traced: %s", reason)
            return None
    return _simplified(graph)


def batched(function: Callable, missing: bool, chunk: int | None = None) -> Callable:
    """`function` mapped over the first axis of its first argument (tensors or dicts of them), `chunk` at a time."""

    def run(batch: Any, *rest: Any) -> Any:
        with torch.no_grad(), traceable(), known_missing(missing):
            axes = (0,) + (None,) * len(rest)
            return torch.func.vmap(function, axes, randomness="different", chunk_size=chunk)(batch, *rest)

    return run


def _simplified(graph: fx.GraphModule) -> fx.GraphModule:
    """The graph (of pure operations) with what depends on no argument computed now, and nothing computed twice."""
    known: dict[fx.Node, Any] = {}
    seen: dict[Any, fx.Node] = {}
    for node in list(graph.graph.nodes):
        if node.op == "get_attr":
            known[node] = getattr(graph, node.target)
        if node.op != "call_function" or _random(node):
            continue
        if all(n in known for n in node.all_input_nodes):
            args, kwargs = fx.map_arg((node.args, node.kwargs), known.__getitem__)
            known[node] = node.target(*args, **kwargs)
            if isinstance(known[node], Tensor):
                _replace(graph, node, known[node])
            continue
        if _changes_nothing(node):
            node.replace_all_uses_with(node.args[0])
            continue
        same = seen.setdefault((node.target, repr(node.args), repr(node.kwargs)), node)
        if same is not node:
            node.replace_all_uses_with(same)
    graph.graph.eliminate_dead_code()
    graph.recompile()
    return graph


def _changes_nothing(node: fx.Node) -> bool:
    if node.target in (aten.alias.default, aten.detach.default):
        return True
    if node.target is aten.permute.default:
        dims = node.args[1]
        return [d % len(dims) for d in dims] == list(range(len(dims)))
    if node.target in (aten.view.default, aten._unsafe_view.default, aten.expand.default):
        before, after = (n.meta.get("tensor_meta") for n in (node.args[0], node))
        return before is not None and after is not None and before.shape == after.shape
    return False


def _random(node: fx.Node) -> bool:
    return torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ())


def _replace(graph: fx.GraphModule, node: fx.Node, value: Tensor) -> None:
    name = f"_known_{node.name}"
    graph.register_buffer(name, value)
    with graph.graph.inserting_before(node):
        node.replace_all_uses_with(graph.graph.get_attr(name))
