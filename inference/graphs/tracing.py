"""What a function of tensors does to them, written down as a graph while it is done."""

import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx
from torch.fx.node import map_aggregate
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakTensorKeyDictionary

WORDS = (str, int, float, bool, complex, torch.dtype, torch.device, torch.layout, torch.memory_format, type(None))


def written(function: Callable[..., list[Tensor]], leaves: list[Tensor], simpler: dict[Any, Callable] | None = None) -> fx.GraphModule:
    """`function` as a graph of torch's operators, for arguments of the shapes of `leaves`, on which it is run.

    What it does not compute from `leaves` is held as it is now. torch's own `make_fx` writes the same graph, in several times the time.

    Arguments:
        simpler: what to do in place of operators, in terms of others.

    Raises RuntimeError where it looks at the value of what it computes from `leaves`, as an `if` does, or hands an operator what no graph
    can hold. What leaves torch (`.numpy()`) is not seen, and stays as it is now.
    """
    tracer = _Tracer(simpler or {})
    for leaf in leaves:
        tracer.given(leaf)
    with tracer:
        results = function(*leaves)
    return tracer.finished(results)


class _Tracer(TorchDispatchMode):
    """Sees every operator below autograd and functorch, runs it, and adds its node."""

    def __init__(self, simpler: dict[Any, Callable]) -> None:
        super().__init__()
        self._simpler, self._graph, self._holder = simpler, fx.Graph(), torch.nn.Module()
        # Tensors are not kept alive: a backward pass frees what it has used.
        self._nodes: WeakTensorKeyDictionary = WeakTensorKeyDictionary()
        self._varying: set[fx.Node] = set()

    def given(self, leaf: Tensor) -> None:
        self._nodes[leaf] = node = self._graph.placeholder(f"x{len(self._graph.nodes)}")
        self._varying.add(node)
        node.meta["val"] = _like(leaf)

    def finished(self, results: list[Tensor]) -> fx.GraphModule:
        self._graph.output([self._node(result) for result in results])
        return fx.GraphModule(self._holder, self._graph)

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None) -> Any:
        kwargs = kwargs or {}
        with self:
            simpler = self._simpler[func](*args, **kwargs) if func in self._simpler else func.decompose(*args, **kwargs)
        if simpler is not NotImplemented:
            return simpler
        given = map_aggregate((args, kwargs), self._word)
        node = self._graph.call_function(func, *given)
        varying = torch.Tag.nondeterministic_seeded in func.tags or not self._varying.isdisjoint(node.all_input_nodes)
        if varying and torch.Tag.data_dependent_output in func.tags:
            raise RuntimeError(f"it looks at the value of a tensor ({func}), as an `if` does; torch.where(condition, a, b) does not")
        result = func(*args, **kwargs)
        self._note(node, result, varying)
        return result

    def _note(self, node: fx.Node, result: Any, varying: bool) -> None:
        if varying:
            self._varying.add(node)
        if isinstance(result, Tensor):
            self._nodes[result] = node
            node.meta["val"] = _like(result)
        elif isinstance(result, (tuple, list)):
            node.meta["val"] = tuple(_like(part) if isinstance(part, Tensor) else part for part in result)
            for place, part in enumerate(result):
                self._note(self._graph.call_function(operator.getitem, (node, place)), part, varying)

    def _word(self, argument: Any) -> Any:
        if isinstance(argument, Tensor):
            return self._node(argument)
        if not isinstance(argument, WORDS):
            raise RuntimeError(f"an operator is given a {type(argument).__name__}, for which graphs have no word")
        return argument

    def _node(self, tensor: Tensor) -> fx.Node:
        """What the tensor was made by; one that comes from elsewhere is held."""
        node = self._nodes.get(tensor)
        if node is None:
            name = f"_held_{len(self._graph.nodes)}"
            self._holder.register_buffer(name, tensor.detach())
            node = self._nodes[tensor] = self._graph.get_attr(name)
            node.meta["val"] = _like(tensor)
        return node


def _like(value: Tensor) -> Tensor:
    """Shape, type and device of a tensor, without its numbers."""
    return torch.empty((), dtype=value.dtype, device=value.device).expand(value.shape)
