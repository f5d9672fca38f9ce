"""Graphs as machine code, by torch's Inductor."""

import logging
import warnings
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, fx

log = logging.getLogger("inference")
aten = torch.ops.aten

Compile = bool | Literal["auto"]

# What a graph costs here, in seconds: a node that is interpreted, an element that a node writes, and Inductor's own work.
NODE, ELEMENT = 5e-6, 1e-9
COMPILING, COMPILING_NODE = 8.0, 0.04
# The same of a graph's translation to C.
TRANSLATING, TRANSLATING_NODE = 0.2, 0.004
# Elements and products of matrices that C, on one core and without BLAS, is soon through with.
FEW, FEW_PRODUCTS = 2_000_000, 500_000
# And of asking torch for an operation out of C.
CALLING = 60e-6

# How far apart rounding leaves two ways to compute a number, as a part of it, and as a part of the largest one in its tensor.
ROUNDED = {torch.float: (1e-2, 1e-3), torch.double: (1e-6, 1e-8)}
# And as a multiple of how far the arguments' last digit moves it: near a stationary point a gradient is nothing but rounding.
LAST_DIGITS = 100


def check_compile(compile: Compile) -> None:
    """Refuse what says neither yes, no nor "auto". Raises ValueError."""
    if compile not in ("auto", True, False):
        raise ValueError(f"compile={compile!r} must be 'auto', True or False")


def worth_compiling(graph: fx.GraphModule, calls: int) -> bool:
    """Whether `calls` calls of a graph cost more than compiling it does.

    The estimate uses nothing but the graph, so that a run is repeated exactly wherever it is made again.
    """
    nodes = _nodes(graph)
    return calls * (NODE * len(nodes) + ELEMENT * sum(map(_elements, nodes))) > COMPILING + COMPILING_NODE * len(nodes)


def worth_translating(graph: fx.GraphModule, calls: int) -> bool:
    """The same of a graph that may become C, which takes a second rather than ten."""
    nodes = len(_nodes(graph))
    return suits_c(graph) and calls * NODE * nodes > TRANSLATING + TRANSLATING_NODE * nodes


def suits_c(graph: fx.GraphModule) -> bool:
    """Whether a graph is so small that calling torch costs more than what it computes, or about as much."""
    nodes = _nodes(graph)
    products = sum(_elements(n) * _width(graph, n.args[0]) for n in nodes if n.target in (aten.mm.default, aten.bmm.default))
    return sum(map(_elements, nodes)) <= FEW and products <= FEW_PRODUCTS


def worth_calling(graph: fx.GraphModule, calls: int) -> bool:
    """Whether a graph costs more than asking torch for `calls` operations in its place."""
    return NODE * len(_nodes(graph)) > CALLING * calls


def _nodes(graph: fx.GraphModule) -> list[fx.Node]:
    return [n for n in graph.graph.nodes if n.op == "call_function"]


def _width(graph: fx.GraphModule, node: fx.Node) -> int:
    return (getattr(graph, node.target) if node.op == "get_attr" else node.meta["val"]).shape[-1]


def _elements(node: fx.Node) -> int:
    return node.meta["val"].numel() if isinstance(node.meta.get("val"), Tensor) else 0


def compiled(graph: fx.GraphModule, example: list[Tensor]) -> Callable[..., list[Tensor]]:
    """`graph` compiled for arguments like `example`, which are contiguous; what Inductor cannot take stays a graph, and that is said once.

    Constants are handed over as arguments, so that torch's cache on disk knows the program again whatever the data.
    """
    lifted, constants = _lifted(graph)
    # One worker: a pool of them would steal the cores that the run needs. Random numbers as torch draws them uncompiled.
    settings = {"compile_threads": 1, "fallback_random": True}
    try:
        # Inductor takes a second to import, which short runs are spared; torch warns of its own code here.
        with warnings.catch_warnings(action="ignore"):
            from torch._inductor import config, standalone_compile

            with config.patch(settings):
                run = standalone_compile(lifted, [*constants, *example], dynamic_shapes="from_example_inputs")
            right = alike(run, lifted, [*constants, *example])
    except Exception as error:  # Inductor, its C++ compiler and Triton raise what they like
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        log.warning("runs uncompiled, slower, because Inductor could not compile it: %s", reason)
        return graph
    if not right:
        log.warning("runs uncompiled, slower, because what Inductor made of it gives other numbers")
    return (lambda *leaves: run(*constants, *leaves)) if right else graph


def alike(run: Callable[..., list[Tensor]], graph: Callable[..., list[Tensor]], example: list[Tensor]) -> bool:
    """Whether what was compiled gives on `example` what the graph does. Compilers make mistakes, which nobody would see in draws."""
    devices = {leaf.device for leaf in example if leaf.is_cuda}

    def results(way: Callable[..., list[Tensor]], leaves: list[Tensor]) -> list[Tensor]:
        # All draw the same random numbers, which are given back.
        with torch.no_grad(), torch.random.fork_rng(devices):
            return way(*leaves)

    made = results(run, example), results(graph, example), results(graph, [_nudged(leaf) for leaf in example])
    return all(_same(*each) for each in zip(*made, strict=True))


def _nudged(leaf: Tensor) -> Tensor:
    """Numbers off by their last digit; whole ones as they are, for they may be codes that are compared."""
    if not leaf.is_floating_point():
        return leaf
    return torch.where(leaf == leaf.round(), leaf, leaf * (1 + torch.finfo(leaf.dtype).eps))


def _same(found: Tensor, wanted: Tensor, nudged: Tensor) -> bool:
    if found.shape != wanted.shape or found.dtype != wanted.dtype:
        return False
    if wanted.dtype not in ROUNDED or not wanted.numel():
        return wanted.is_floating_point() or torch.equal(found, wanted)
    own, largest = ROUNDED[wanted.dtype]
    far = max(largest * _largest(wanted), LAST_DIGITS * _largest(nudged - wanted)) + torch.finfo(wanted.dtype).eps
    return torch.allclose(found, wanted, rtol=own, atol=far, equal_nan=True)


def _largest(values: Tensor) -> float:
    return float(values.nan_to_num(0.0, 0.0, 0.0).abs().amax())


def _lifted(graph: fx.GraphModule) -> tuple[fx.GraphModule, list[Tensor]]:
    """The graph with its constants as its first arguments, and those."""
    copy, nodes, constants = fx.Graph(), {}, {}
    for node in graph.graph.nodes:
        if node.op == "get_attr" and node.target not in constants:
            constants[node.target] = copy.placeholder(f"constant_{len(constants)}")
    for node in graph.graph.nodes:
        nodes[node] = constants[node.target] if node.op == "get_attr" else copy.node_copy(node, nodes.__getitem__)
    return fx.GraphModule(torch.nn.Module(), copy), [getattr(graph, name) for name in constants]
