"""From a graph of tensor operations to a C function."""

import operator
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx
from torch._decomp import get_decompositions

from . import algebra, foreign, shaping
from .pointwise import elementwise
from .values import Unsupported, Value, constant, ctype, in_memory
from .writer import Writer

aten = torch.ops.aten
# What reads or writes at given places: C would not see that one is out of range.
PLACED = (aten.gather, aten.scatter, aten.scatter_add, aten.index, aten.index_select, aten.index_copy, aten.index_put)
PRELUDE = Path(__file__).with_name("prelude.h")
# What is told by simpler operations before it is written in C.
COMPOSITE = (
    *(aten._softmax, aten._softmax_backward_data, aten._log_softmax, aten._log_softmax_backward_data, aten.logsumexp, aten.softplus),
    *(aten.softplus_backward, aten.log_sigmoid_forward, aten.log_sigmoid_backward, aten.sigmoid_backward, aten.tanh_backward),
    *(aten.slice_backward, aten.select_backward, aten.diagonal_backward, aten.diag_embed, aten.stack, aten.addmm),
    *(aten.addcmul, aten.addcdiv, aten.baddbmm, aten.mse_loss, aten.logaddexp, aten.hardtanh, aten.elu),
    *(aten.leaky_relu, aten.gelu, aten.silu, aten.frac, aten.trace, aten.nan_to_num, aten.relu, aten.lerp),
)


def decompositions() -> dict[Any, Callable]:
    """For `written`."""
    return get_decompositions(COMPOSITE)


class Source:
    """A graph as C: `text`, the bytes that it works in, and what comes after its arguments: constants, then what it calls."""

    def __init__(self, graph: fx.GraphModule) -> None:
        self._writer, self._known = Writer(), {}
        self._uses = _uses(graph)
        names, self.constants, self.calls = [], [], []
        for node in graph.graph.nodes:
            if node.op == "placeholder":
                self._known[node] = self._argument(node.meta["val"], names)
            elif node.op == "get_attr":
                value = getattr(graph, node.target)
                self._known[node] = self._constant(value, names)
            elif node.op == "call_function":
                self._known[node] = self._settled(node, self._told(node))
            elif node.op == "output":
                ends = [self._known[n] for n in node.args[0]]
        self.inputs = [(n.meta["val"].shape, n.meta["val"].dtype) for n in graph.graph.nodes if n.op == "placeholder"]
        self.outputs = [(tuple(v.shape), v.dtype) for v in ends]
        for k, value in enumerate(ends):
            target = in_memory(f"out{k}", value.shape, value.dtype)
            self._writer.store(target, value)
        first = len(names)
        # Constants lie behind the arguments, whatever their order in the graph.
        lines = [f"const {kind} *restrict {name} = in[{place}];" for place, (name, kind) in enumerate(self._ordered(names))]
        lines += [f"const void *call{k} = in[{first + k}];" for k in range(len(self.calls))]
        lines += [f"{ctype(dtype)} *restrict out{k} = out[{k}];" for k, (_, dtype) in enumerate(self.outputs)]
        head = "void run(const void *const *in, void *const *out, char *work) {"
        self.text = "\n".join([PRELUDE.read_text(encoding="utf-8"), head, *("    " + line for line in lines), self._writer.text, "}\n"])
        self.bytes = self._writer.bytes

    def _argument(self, like: Tensor, names: list[tuple[str, str, bool]]) -> Value:
        name = f"x{len(names)}"
        names.append((name, ctype(like.dtype), False))
        return in_memory(name, tuple(like.shape), like.dtype)

    def _constant(self, value: Tensor, names: list[tuple[str, str, bool]]) -> Value:
        if value.numel() == 1:
            return constant(value.item(), value.dtype, tuple(value.shape))
        name = f"x{len(names)}"
        names.append((name, ctype(value.dtype), True))
        self.constants.append(value.contiguous())
        return in_memory(name, tuple(value.shape), value.dtype)

    @staticmethod
    def _ordered(names: list[tuple[str, str, bool]]) -> list[tuple[str, str]]:
        return [(n, kind) for which in (False, True) for n, kind, lifted in names if lifted == which]

    def _settled(self, node: fx.Node, value: Any) -> Any:
        """A value that several look at is computed once."""
        if isinstance(value, Value) and value.revisited and self._uses[node] > 1:
            return self._writer.kept(value)
        return value

    def _told(self, node: fx.Node) -> Any:
        try:
            return self._value(node)
        except (TypeError, ValueError, IndexError, KeyError, ZeroDivisionError) as error:  # a form of it that no rule foresees
            raise Unsupported(f"{node.target}: {error}") from error

    def _value(self, node: fx.Node) -> Any:
        args, kwargs = fx.map_arg((tuple(node.args), dict(node.kwargs)), self._known.__getitem__)
        if node.target is operator.getitem:
            return args[0][args[1]]
        packet = getattr(node.target, "overloadpacket", None)
        like = node.meta.get("val")
        if isinstance(like, Tensor):
            found = elementwise(packet, args, kwargs, tuple(like.shape), like.dtype)
            if found is not None:
                return found
        rule = RULES.get(packet)
        known = rule is not None and not (packet in PLACED and not _fixed_places(node))
        result = rule(self._writer, like, *args, **kwargs) if known else NotImplemented
        if result is NotImplemented:
            made, result = foreign.call(self._writer, node, args, kwargs, f"call{len(self.calls)}")
            self.calls.append(made)
        return result


def _uses(graph: fx.GraphModule) -> Counter:
    """How often each node is an argument, twice where it is so twice of one operation."""
    found: Counter = Counter()
    for node in graph.graph.nodes:
        fx.map_arg((node.args, node.kwargs), lambda n: found.update([n]))
    return found


def _fixed_places(node: fx.Node) -> bool:
    """Whether the places at which an operation reads or writes are constants, which were looked at when it was traced."""
    return all(n.op == "get_attr" or n.meta["val"].dtype.is_floating_point for n in node.all_input_nodes)


def _filled(number: float) -> Callable[..., Value]:
    return lambda w, like, *args, **kwargs: constant(number, like.dtype, tuple(like.shape))


def _reduction(what: str) -> Callable[..., Value]:
    def rule(w: Writer, like: Tensor, value: Value, dims: Any = None, keepdim: bool = False, dtype: Any = None) -> Value:
        return algebra.reduced(w, value, what, dims, keepdim, like.dtype)

    return rule


def _mean(w: Writer, like: Tensor, value: Value, *args: Any, **kwargs: Any) -> Value:
    total = _reduction("sum")(w, like, value, *args, **kwargs)
    return elementwise(aten.div, (total, value.numel / like.numel()), {}, total.shape, total.dtype)


def _truth(what: str) -> Callable[..., Value]:
    def rule(w: Writer, like: Tensor, value: Value, dims: Any = None, keepdim: bool = False) -> Value:
        told = Value(value.shape, torch.int64, lambda i: f"(int64_t)(({value.at(i)}) != 0)")
        found = algebra.reduced(w, told, what, dims, keepdim, torch.int64)
        return Value(found.shape, torch.bool, lambda i: f"(uint8_t)({found.at(i)} > 0)")

    return rule


def _view(function: Callable[..., Any]) -> Callable[..., Any]:
    """A rule that asks nothing of the result."""
    return lambda w, like, *args, **kwargs: function(w, *args, **kwargs)


def _reshape(w: Writer, like: Tensor, value: Value, *_: Any) -> Value:
    if value.dtype != like.dtype:
        raise Unsupported(f"bits of {value.dtype} as {like.dtype}")
    return shaping.reshape(w, value, tuple(like.shape))


def _scattered(view: Callable[..., Value]) -> Callable[..., Value]:
    return lambda w, like, base, source, *args, **kwargs: shaping.written(w, base, source, lambda w, b: view(w, b, *args, **kwargs))


RULES: dict[Any, Callable[..., Any]] = {
    **dict.fromkeys((aten.view, aten._unsafe_view, aten.reshape, aten.flatten), _reshape),
    aten.permute: _view(shaping.permute),
    aten.transpose: _view(shaping.transpose),
    aten.t: _view(lambda w, value: shaping.transpose(w, value, 0, -1)),
    aten.expand: lambda w, like, value, sizes, **_: shaping.expand(w, value, list(like.shape)),
    aten.unsqueeze: _view(shaping.unsqueeze),
    # In place, of what nobody else looks at.
    **dict.fromkeys((aten.squeeze, aten.squeeze_), _view(shaping.squeeze)),
    aten.slice: _view(shaping.piece),
    aten.flip: _view(shaping.flip),
    aten.repeat: _view(shaping.repeat),
    aten.unbind: _view(lambda w, value, dim=0: [shaping.select(w, value, dim, k) for k in range(value.shape[dim])]),
    aten.select: _view(shaping.select),
    aten.diagonal: _view(shaping.diagonal),
    aten.split_with_sizes: _view(shaping.split),
    aten.cat: lambda w, like, values, dim=0: shaping.join(w, values, dim, like.dtype),
    aten.constant_pad_nd: _view(shaping.pad),
    aten.gather: lambda w, like, value, dim, places, **_: shaping.gather(w, value, dim, places),
    aten.scatter: _view(shaping.scatter),
    aten.scatter_add: lambda w, like, *args: shaping.scatter(w, *args, add=True),
    aten.index_select: _view(shaping.chosen),
    aten.index_copy: _view(shaping.copied),
    aten.index: _view(shaping.indexed),
    aten.index_put: lambda w, like, base, places, source, accumulate=False: shaping.put(w, base, places, source, accumulate),
    aten.slice_scatter: _scattered(shaping.piece),
    aten.select_scatter: _scattered(shaping.select),
    aten.diagonal_scatter: _scattered(shaping.diagonal),
    aten.sum: _reduction("sum"),
    aten.mean: _mean,
    aten.prod: _reduction("prod"),
    aten.amax: _reduction("amax"),
    aten.amin: _reduction("amin"),
    aten.all: _truth("amin"),
    aten.any: _truth("amax"),
    aten.cumsum: lambda w, like, value, dim, **_: algebra.running(w, value, dim, "sum", like.dtype),
    aten.cumprod: lambda w, like, value, dim, **_: algebra.running(w, value, dim, "prod", like.dtype),
    aten.logcumsumexp: lambda w, like, value, dim: algebra.running(w, value, dim, "logsumexp", like.dtype),
    aten.mm: _view(algebra.product),
    aten.mv: _view(lambda w, a, b: shaping.squeeze(w, algebra.product(w, a, shaping.unsqueeze(w, b, 1)), 1)),
    aten.dot: _view(lambda w, a, b: shaping.reshape(w, algebra.product(w, shaping.unsqueeze(w, a, 0), shaping.unsqueeze(w, b, 1)), ())),
    aten.bmm: _view(algebra.product),
    aten.tril: _view(lambda w, value, diagonal=0: algebra.triangle(w, value, diagonal, True)),
    aten.triu: _view(lambda w, value, diagonal=0: algebra.triangle(w, value, diagonal, False)),
    # A matrix without a factor gives NaN, which samplers reject.
    aten._linalg_check_errors: lambda *_, **__: None,
    aten.linalg_cholesky_ex: _view(algebra.cholesky),
    aten.linalg_solve_triangular: _view(algebra.solved),
    aten._linalg_solve_ex: _view(algebra.lu_solved),
    aten.linalg_inv_ex: _view(algebra.inverse),
    **dict.fromkeys((aten.zeros_like, aten.new_zeros, aten.zeros), _filled(0)),
    **dict.fromkeys((aten.ones_like, aten.new_ones, aten.ones), _filled(1)),
    **dict.fromkeys((aten.full, aten.new_full, aten.full_like), lambda w, like, _, number, **k: _filled(number)(w, like)),
    aten.scalar_tensor: lambda w, like, number, **_: constant(number, like.dtype),
}
