"""Programs as graphs of tensor operations: traced once, simplified, batched, compiled, never interpreted again."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, fx
from torch.func import functionalize
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils._pytree import TreeSpec, tree_flatten, tree_unflatten

from .compiling import Compile, compiled, worth_compiling
from .functorch import traceable
from .missing import known_missing

log = logging.getLogger("inference")
aten = torch.ops.aten


class Graph:
    """A function as a graph, for arguments of the shapes that it was traced on. interpreted: whether it could not be traced."""

    def __init__(self, run: Callable[..., list[Tensor]], shape: TreeSpec, interpreted: bool) -> None:
        self._run, self._shape, self.interpreted = run, shape, interpreted

    def __call__(self, *args: Any) -> Any:
        return tree_unflatten(self.flat(tree_flatten(args)[0]), self._shape)

    def flat(self, leaves: list[Tensor]) -> list[Tensor]:
        """The results' tensors in order from the arguments' in order: for loops in which the sorting would take its time."""
        # Traced, and compiled, for one layout in memory: it takes no other.
        with torch.no_grad():
            return self._run(*(leaf.contiguous() for leaf in leaves))


def traced(function: Callable, *example: Any, missing: bool, compile: Compile = False, calls: int = 0) -> Graph:
    """`function` as a graph, traced on `example`.

    A program that cannot be traced (it branches on a value, say) runs interpreted, with equal results, and says so once.

    Arguments:
        missing: whether the rows that the program reads have holes.
        compile: whether to compile the graph; "auto" does so where `calls` calls are likely to earn it back.
    """
    leaves, spec = tree_flatten(example)
    # Of their own: two arguments that are one tensor on this call would be one argument of the graph.
    leaves = [leaf.clone(memory_format=torch.contiguous_format) for leaf in leaves]
    shapes = []

    def flat(*leaves: Tensor) -> list[Tensor]:
        values, shape = tree_flatten(function(*tree_unflatten(leaves, spec)))
        shapes[:] = [shape]
        return values

    def interpreted(*leaves: Tensor) -> list[Tensor]:
        with traceable(), known_missing(missing), _explained():
            return flat(*leaves)

    with torch.no_grad():
        run = graph = _graph(flat, leaves, missing)
        if graph is None:
            run = interpreted
            run(*leaves)
        elif compile is True or (compile == "auto" and worth_compiling(graph, calls)):
            run = compiled(graph, leaves)
    return Graph(run, shapes[0], graph is None)


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
        with torch.no_grad(), traceable(), known_missing(missing), _explained():
            axes = (0,) + (None,) * len(rest)
            return torch.func.vmap(function, axes, randomness="different", chunk_size=chunk)(batch, *rest)

    return run


@contextmanager
def _explained() -> Iterator[None]:
    """Raises TypeError, with the way out, for what no batch of values can do."""
    try:
        yield
    except RuntimeError as error:
        if "data-dependent control flow" not in str(error):
            raise
        raise TypeError(
            "the program branches on the value of a latent, which differs from draw to draw, so that draws cannot be run together; "
            "in the model or guide write torch.where(condition, a, b) instead of `if`"
        ) from error


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
        if same := _unchanged(node):
            node.replace_all_uses_with(same)
            continue
        same = seen.setdefault((node.target, repr(node.args), repr(node.kwargs)), node)
        if same is not node:
            node.replace_all_uses_with(same)
    graph.graph.eliminate_dead_code()
    graph.recompile()
    return graph


def _unchanged(node: fx.Node) -> fx.Node | None:
    """The argument that an operation hands back as it was, if it does."""
    first = node.args[0] if node.args else None
    if node.target in (aten.alias.default, aten.detach.default):
        return first
    if node.target is aten.where.self and node.args[1] is node.args[2]:
        return node.args[1]
    if node.target is aten.permute.default:
        dims = node.args[1]
        return first if [d % len(dims) for d in dims] == list(range(len(dims))) else None
    if node.target in (aten.view.default, aten._unsafe_view.default, aten.expand.default):
        before, after = (n.meta.get("tensor_meta") for n in (first, node))
        return first if before is not None and after is not None and before.shape == after.shape else None
    return None


def _random(node: fx.Node) -> bool:
    return torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ())


def _replace(graph: fx.GraphModule, node: fx.Node, value: Tensor) -> None:
    name = f"_known_{node.name}"
    graph.register_buffer(name, value)
    with graph.graph.inserting_before(node):
        node.replace_all_uses_with(graph.graph.get_attr(name))
