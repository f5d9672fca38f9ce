"""Operations that treat every element alike, as C expressions."""

from collections.abc import Callable
from typing import Any

import torch

from .values import Shape, Unsupported, Value, broadcast, cast, ctype, literal

aten = torch.ops.aten


def _call(name: str) -> Callable[..., str]:
    """A function of <math.h>, by its name for the type."""
    return lambda t, *args: f"{name}{'f' if t == 'float' else ''}({', '.join(args)})"


def _own(name: str) -> Callable[..., str]:
    """A function of `prelude.h`, which has one for each type."""
    return lambda t, *args: f"{name}_{t}({', '.join(args)})"


def _form(text: str) -> Callable[..., str]:
    return lambda t, *args: "(" + text.format(*args, t=t) + ")"


# Of one argument or several, all of the type of the result.
ARITHMETIC: dict[Any, Callable[..., str]] = {
    aten.add: _form("{0} + {1}"),
    aten.sub: _form("{0} - {1}"),
    aten.rsub: _form("{1} - {0}"),
    aten.mul: _form("{0} * {1}"),
    aten.div: _form("{0} / {1}"),
    aten.neg: _form("-{0}"),
    aten.reciprocal: _form("1 / {0}"),
    aten.square: _own("square"),
    aten.sigmoid: _own("sigmoid"),
    aten.rsqrt: lambda t, x: f"(1 / {_call('sqrt')(t, x)})",
    aten.abs: _call("fabs"),
    aten.sign: _own("sign"),
    aten.sgn: _own("sign"),
    aten.maximum: _own("maximum"),
    aten.minimum: _own("minimum"),
    aten.xlogy: _own("xlogy"),
    aten.digamma: _own("digamma"),
    **dict.fromkeys((aten.clone, aten.alias, aten.detach), _form("{0}")),
    aten.atan2: _call("atan2"),
    **{getattr(aten, name): _call(name) for name in ("exp", "log", "log1p", "expm1", "sqrt", "tanh", "sin", "cos", "tan", "erf", "erfc")},
    **{getattr(aten, name): _call(name) for name in ("lgamma", "log2", "log10", "exp2", "atan", "asin", "acos", "sinh", "cosh", "asinh")},
    **{getattr(aten, name): _call(name) for name in ("acosh", "atanh", "floor", "ceil", "trunc")},
}
SAME = (aten.clone, aten.alias, aten.detach)
# Those that whole numbers know too.
WHOLE = (aten.add, aten.sub, aten.rsub, aten.mul, aten.neg, *SAME)
# Whose arguments are of one type, and whose result is true or false.
COMPARISON = {
    aten.eq: "{0} == {1}",
    aten.ne: "{0} != {1}",
    aten.lt: "{0} < {1}",
    aten.le: "{0} <= {1}",
    aten.gt: "{0} > {1}",
    aten.ge: "{0} >= {1}",
    aten.logical_and: "{0} && {1}",
    aten.logical_or: "{0} || {1}",
    aten.logical_not: "!{0}",
    aten.bitwise_and: "{0} & {1}",
    aten.bitwise_or: "{0} | {1}",
    aten.bitwise_not: "!{0}",
    aten.isnan: "{0} != {0}",
    aten.isinf: "{0} == INFINITY || {0} == -INFINITY",
    aten.isneginf: "{0} == -INFINITY",
    aten.isposinf: "{0} == INFINITY",
}
BITWISE = (aten.bitwise_and, aten.bitwise_or, aten.bitwise_not)
POWERS = {2.0: _own("square"), 1.0: _form("{0}"), 0.5: _call("sqrt"), -1.0: _form("1 / {0}"), -0.5: ARITHMETIC[aten.rsqrt]}


def elementwise(packet: Any, args: tuple, kwargs: dict[str, Any], shape: Shape, dtype: torch.dtype) -> Value | None:
    """The value of an operation that treats every element alike; None if `packet` is none of these. Raises Unsupported."""
    if packet in ARITHMETIC:
        return _arithmetic(packet, args, kwargs, shape, dtype)
    if packet in BITWISE and any(isinstance(a, Value) and a.dtype != torch.bool for a in args):
        raise Unsupported(f"{packet} of whole numbers")
    if packet in COMPARISON:
        return _comparison(COMPARISON[packet], args, shape, dtype)
    if packet is aten.pow:
        return _power(*args, shape, dtype)
    if packet is aten.clamp:
        low, high = ([*args[1:], None, None])[:2]
        low, high = kwargs.get("min", low), kwargs.get("max", high)
        value = args[0] if low is None else _typed(_own("maximum"), (args[0], low), shape, dtype)
        return value if high is None else _typed(_own("minimum"), (value, high), shape, dtype)
    if packet in (aten.clamp_min, aten.clamp_max):
        return _typed(_own("maximum" if packet is aten.clamp_min else "minimum"), args, shape, dtype)
    if packet is aten.where:
        return _chosen(args[0], args[1], args[2], shape, dtype)
    if packet is aten.masked_fill:
        return _chosen(args[1], args[2], args[0], shape, dtype)
    if packet is aten._to_copy:
        return _typed(_form("{0}"), args[:1], shape, dtype)
    return None


def _arithmetic(packet: Any, args: tuple, kwargs: dict[str, Any], shape: Shape, dtype: torch.dtype) -> Value:
    if kwargs.get("rounding_mode") is not None:
        raise Unsupported("division that rounds")
    if dtype == torch.bool and packet in (aten.add, aten.mul):
        return _typed(_form("{0} || {1}" if packet is aten.add else "{0} && {1}"), args[:2], shape, dtype)
    if not dtype.is_floating_point and packet not in (WHOLE if dtype != torch.bool else SAME):
        raise Unsupported(f"{packet} of {dtype}")
    alpha = kwargs.get("alpha", args[2] if len(args) > 2 and packet in (aten.add, aten.sub, aten.rsub) else 1)
    if alpha != 1:
        which = 0 if packet is aten.rsub else 1
        like = args[which].shape if isinstance(args[which], Value) else ()
        scaled = _typed(ARITHMETIC[aten.mul], (args[which], alpha), like, dtype)
        args = (scaled, args[1]) if which == 0 else (args[0], scaled)
    return _typed(ARITHMETIC[packet], args[:1] if packet in SAME else args[:2], shape, dtype)


def _comparison(form: str, args: tuple, shape: Shape, dtype: torch.dtype) -> Value:
    alike = [torch.empty(a.shape, dtype=a.dtype, device="meta") if isinstance(a, Value) else a for a in args]
    inner = torch.result_type(*alike) if len(alike) == 2 else alike[0].dtype
    return _typed(_form(form), args, shape, dtype, inner)


def _power(base: Any, exponent: Any, shape: Shape, dtype: torch.dtype) -> Value:
    if not dtype.is_floating_point:
        raise Unsupported(f"powers of {dtype}")
    if isinstance(exponent, (int, float)) and float(exponent) in POWERS:
        return _typed(POWERS[float(exponent)], (base,), shape, dtype)
    return _typed(_call("pow"), (base, exponent), shape, dtype)


def _chosen(condition: Value, yes: Any, no: Any, shape: Shape, dtype: torch.dtype) -> Value:
    asked, yes, no = broadcast(condition, shape), _operand(yes, shape, dtype), _operand(no, shape, dtype)
    form = f"chosen_{ctype(dtype)}({{}}, {{}}, {{}})" if dtype.is_floating_point else "({} ? {} : {})"
    return Value(shape, dtype, lambda i: form.format(asked(i), yes(i), no(i)))


def _typed(form: Callable[..., str], args: tuple, shape: Shape, dtype: torch.dtype, inner: torch.dtype | None = None) -> Value:
    operands = [_operand(a, shape, inner or dtype) for a in args]
    name = ctype(inner or dtype)
    return Value(shape, dtype, lambda i: form(name, *(f(i) for f in operands)))


def _operand(value: Any, shape: Shape, dtype: torch.dtype) -> Callable[[tuple[str, ...]], str]:
    if not isinstance(value, Value):
        return lambda _: literal(value, dtype)
    at = broadcast(value, shape)
    return lambda index: cast(at(index), value.dtype, dtype)
