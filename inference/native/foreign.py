"""Operations that C does not know: compiled loops that it calls, or torch, which it asks in the middle of a function."""

import ctypes
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx
from torch.utils._pytree import tree_flatten, tree_unflatten

from .direct import Direct, offered
from .values import Buffer, Shape, Unsupported, Value, ctype
from .writer import Writer

CALLBACK = ctypes.CFUNCTYPE(None, ctypes.POINTER(ctypes.c_void_p), ctypes.POINTER(ctypes.c_void_p))
Kind = tuple[Shape, torch.dtype]


class Foreign:
    """A call of torch from C: it reads tensors in memory, and writes its results where there is room for them.

    failed: what the calls raised, which C cannot pass on; their results are then NaN.
    """

    def __init__(self, target: Callable[..., Any], args: Any, reads: list[Kind], writes: list[Kind]) -> None:
        self._target, self._args, self._reads, self._writes = target, args, reads, writes
        self.failed: list[BaseException] = []
        self._callback = CALLBACK(self._call)
        self.address = ctypes.cast(self._callback, ctypes.c_void_p).value

    def _call(self, inputs: Any, outputs: Any) -> None:
        written = [_at(outputs[k], kind) for k, kind in enumerate(self._writes)]
        try:
            tensors = iter([_at(inputs[k], kind) for k, kind in enumerate(self._reads)])
            leaves, spec = self._args
            args, kwargs = tree_unflatten([next(tensors) if isinstance(leaf, Value) else leaf for leaf in leaves], spec)
            with torch.no_grad():
                found = self._target(*args, **kwargs)
            for tensor, result in zip(written, [found] if isinstance(found, Tensor) else found, strict=True):
                tensor.copy_(result)
        except BaseException as error:  # it would be lost in C
            self.failed.append(error)
            for tensor in written:
                tensor.fill_(torch.nan if tensor.dtype.is_floating_point else 0)


def call(w: Writer, node: fx.Node, args: tuple, kwargs: dict[str, Any], place: str) -> tuple[Foreign | Direct, Any]:
    """Write a call of `node` by the function whose address is `place`; its result, or results. Raises Unsupported."""
    target, found = node.target, node.meta.get("val")
    if found is None or getattr(target, "_schema", None) is None or target._schema.is_mutable:
        raise Unsupported(str(target))
    leaves, spec = tree_flatten((args, kwargs), is_leaf=lambda leaf: isinstance(leaf, Value))
    given = [w.whole(leaf) for leaf in leaves if isinstance(leaf, Value)]
    likes = [found] if isinstance(found, Tensor) else list(found)
    made = [w.room(tuple(like.shape), like.dtype) for like in likes]
    result = made[0] if isinstance(found, Tensor) else made
    others = [leaf for leaf in leaves if not isinstance(leaf, Value)]
    if offered(target, others):
        tensors = [*given, *made]
        direct = Direct(target, [v.shape for v in tensors], [v.dtype for v in tensors], others)
        _call_loops(w, direct, tensors, place)
        return direct, result
    _ask_torch(w, given, made, place)
    return Foreign(target, (leaves, spec), [_kind(v) for v in given], [_kind(v) for v in made]), result


def _call_loops(w: Writer, direct: Direct, tensors: list[Buffer], place: str) -> None:
    sizes = w.name("f")
    w.line(f"const int64_t {sizes}[] = {{{', '.join(map(str, direct.sizes))}}};")
    kinds = ", ".join(["const void *"] * (len(tensors) + 1))
    w.line(f"((void (*)({kinds})){place})({', '.join(f'{v.name}+{v.offset}' for v in tensors)}, {sizes});")


def _ask_torch(w: Writer, given: list[Buffer], made: list[Buffer], place: str) -> None:
    ins, outs = w.name("f"), w.name("f")
    w.line(f"const void *{ins}[] = {{{', '.join(f'{v.name}+{v.offset}' for v in given) or '0'}}};")
    w.line(f"void *{outs}[] = {{{', '.join(v.name for v in made)}}};")
    w.line(f"((void (*)(const void *const *, void *const *)){place})({ins}, {outs});")


def _kind(value: Value) -> Kind:
    ctype(value.dtype)
    return value.shape, value.dtype


def _at(address: int, kind: Kind) -> Tensor:
    shape, dtype = kind
    count = max(1, torch.Size(shape).numel())
    memory = (ctypes.c_char * (count * dtype.itemsize)).from_address(address)
    return torch.frombuffer(memory, dtype=dtype)[: torch.Size(shape).numel()].view(shape)
