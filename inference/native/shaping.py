"""Operations that move elements about: views, pieces, joins, and reading and writing at given places."""

from collections.abc import Callable

import torch

from .values import Buffer, Shape, Unsupported, Value, constant, in_memory, mapped, moved
from .writer import Writer

aten = torch.ops.aten


def reshape(w: Writer, value: Value, shape: Shape) -> Value:
    """The elements in their order, in another shape."""
    old, new = ([n for n in s if n != 1] for s in (value.shape, shape))
    if old == new:  # only axes of length one come or go
        where = [k for k, n in enumerate(value.shape) if n != 1]
        kept = [k for k, n in enumerate(shape) if n != 1]
        place = dict(zip(where, kept, strict=True))
        strides = ()
        if isinstance(value, Buffer):
            back = dict(zip(kept, where, strict=True))
            strides = tuple(value.strides[back[k]] if k in back else 0 for k in range(len(shape)))
        return moved(value, shape, strides, 0, lambda i: tuple(i[place[k]] if k in place else "0" for k in range(len(value.shape))))
    flat = w.whole(value)
    return in_memory(flat.name, shape, flat.dtype, offset=flat.offset)


def permute(w: Writer, value: Value, order: list[int]) -> Value:
    """Axes in another order."""
    order = [d % len(value.shape) for d in order]
    strides = tuple(value.strides[d] for d in order) if isinstance(value, Buffer) else ()
    back = [order.index(d) for d in range(len(order))]
    return moved(value, tuple(value.shape[d] for d in order), strides, 0, lambda i: tuple(i[k] for k in back))


def transpose(w: Writer, value: Value, a: int, b: int) -> Value:
    """Two axes in each other's place."""
    order = list(range(len(value.shape)))
    if order:
        order[a], order[b] = order[b], order[a]
    return permute(w, value, order)


def expand(w: Writer, value: Value, sizes: list[int]) -> Value:
    """Axes of length one as longer ones, and new ones in front."""
    lead = len(sizes) - len(value.shape)
    shape = tuple(value.shape[k - lead] if n == -1 else n for k, n in enumerate(sizes))
    value = w.kept(value) if value.revisited and shape != value.shape else value
    own = value.shape
    strides = (0,) * lead + tuple(0 if n == 1 else s for s, n in zip(value.strides, own, strict=True)) if isinstance(value, Buffer) else ()
    return moved(value, shape, strides, 0, lambda i: tuple("0" if n == 1 else k for k, n in zip(i[lead:], own, strict=True)))


def unsqueeze(w: Writer, value: Value, dim: int) -> Value:
    """A new axis of length one."""
    dim %= len(value.shape) + 1
    return reshape(w, value, (*value.shape[:dim], 1, *value.shape[dim:]))


def squeeze(w: Writer, value: Value, dims: int | list[int] | None = None) -> Value:
    """Without axes of length one."""
    dims = range(len(value.shape)) if dims is None else [dims] if isinstance(dims, int) else dims
    gone = {d % max(1, len(value.shape)) for d in dims}
    return reshape(w, value, tuple(n for k, n in enumerate(value.shape) if n != 1 or k not in gone))


def piece(w: Writer, value: Value, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1) -> Value:
    """A slice along one axis."""
    dim %= len(value.shape)
    start, end, step = slice(start, end).indices(value.shape[dim])[:2] + (step,)
    count = max(0, -(-(end - start) // step))
    shape = (*value.shape[:dim], count, *value.shape[dim + 1 :])
    strides, offset = (), 0
    if isinstance(value, Buffer):
        strides, offset = (*value.strides[:dim], value.strides[dim] * step, *value.strides[dim + 1 :]), start * value.strides[dim]
    return moved(value, shape, strides, offset, lambda i: (*i[:dim], f"({i[dim]}*{step}+{start})", *i[dim + 1 :]))


def flip(w: Writer, value: Value, dims: list[int]) -> Value:
    """Backwards along some axes."""
    back = {d % max(1, len(value.shape)) for d in dims}
    last = [n - 1 for n in value.shape]
    return mapped(w.kept(value), value.shape, lambda i: tuple(f"({last[k]}-{j})" if k in back else j for k, j in enumerate(i)))


def repeat(w: Writer, value: Value, times: list[int]) -> Value:
    """Again and again along its axes, new ones in front."""
    own = (1,) * (len(times) - len(value.shape)) + value.shape
    value = reshape(w, w.kept(value), own)
    return mapped(
        value, tuple(n * t for n, t in zip(own, times, strict=True)), lambda i: tuple(f"({j}%{n})" for j, n in zip(i, own, strict=True))
    )


def select(w: Writer, value: Value, dim: int, at: int) -> Value:
    """One place along an axis."""
    dim %= len(value.shape)
    at %= value.shape[dim]
    strides, offset = (), 0
    if isinstance(value, Buffer):
        strides, offset = (*value.strides[:dim], *value.strides[dim + 1 :]), at * value.strides[dim]
    return moved(value, (*value.shape[:dim], *value.shape[dim + 1 :]), strides, offset, lambda i: (*i[:dim], str(at), *i[dim:]))


def diagonal(w: Writer, value: Value, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Value:
    """The elements whose places along two axes are `offset` apart, as a last axis."""
    value = w.kept(value)
    a, b = dim1 % len(value.shape), dim2 % len(value.shape)
    down, right = max(0, -offset), max(0, offset)
    count = max(0, min(value.shape[a] - down, value.shape[b] - right))
    rest = [k for k in range(len(value.shape)) if k not in (a, b)]
    strides = (*(value.strides[k] for k in rest), value.strides[a] + value.strides[b])
    begin = down * value.strides[a] + right * value.strides[b]
    return in_memory(value.name, (*(value.shape[k] for k in rest), count), value.dtype, strides, value.offset + begin)


def split(w: Writer, value: Value, sizes: list[int], dim: int = 0) -> list[Value]:
    """Slices of the given lengths, one after the other."""
    ends = [sum(sizes[: k + 1]) for k in range(len(sizes))]
    return [piece(w, value, dim, end - size, end) for size, end in zip(sizes, ends, strict=True)]


def join(w: Writer, values: list[Value], dim: int, dtype: torch.dtype) -> Value:
    """Tensors one after the other along an axis."""
    values = [v for v in values if v.shape != (0,)]
    dim %= len(values[0].shape)
    shape = (*values[0].shape[:dim], sum(v.shape[dim] for v in values), *values[0].shape[dim + 1 :])
    out, begin = w.room(shape, dtype), 0
    for value in values:
        w.store(piece(w, out, dim, begin, begin + value.shape[dim]), value)
        begin += value.shape[dim]
    return out


def pad(w: Writer, value: Value, sides: list[int], number: float = 0) -> Value:
    """With `number` about it; a side of negative width is cut off."""
    first = len(value.shape) - len(sides) // 2
    widths = [(0, 0)] * first + [(sides[k], sides[k + 1]) for k in range(len(sides) - 2, -1, -2)]
    shape = tuple(n + a + b for n, (a, b) in zip(value.shape, widths, strict=True))
    out = w.room(shape, value.dtype)
    w.store(out, constant(number, value.dtype, shape))
    inner, source = out, value
    for k, (a, b) in enumerate(widths):
        inner = piece(w, inner, k, max(a, 0), inner.shape[k] - max(b, 0))
        source = piece(w, source, k, max(-a, 0), source.shape[k] - max(-b, 0))
    w.store(inner, source)
    return out


def written(w: Writer, base: Value, value: Value, view: Callable[[Writer, Value], Value]) -> Value:
    """`base` with `value` in the part of it that `view` shows."""
    out = w.room(base.shape, base.dtype)
    w.store(out, base)
    w.store(view(w, out), value)
    return out


def gather(w: Writer, value: Value, dim: int, places: Value) -> Value:
    """Along an axis, the elements at `places`."""
    value, places = w.kept(value), w.kept(places)
    dim %= max(1, len(value.shape))
    if not value.shape:
        return mapped(value, places.shape, lambda _: ())
    return Value(places.shape, value.dtype, lambda i: value.at((*i[:dim], f"({places.at(i)})", *i[dim + 1 :])))


def chosen(w: Writer, value: Value, dim: int, places: Value) -> Value:
    """Along an axis, what stands at `places` (n,) of it."""
    dim %= max(1, len(value.shape))
    value, places = w.kept(value), w.kept(places)
    shape = (*value.shape[:dim], places.numel, *value.shape[dim + 1 :])
    return Value(shape, value.dtype, lambda i: value.at((*i[:dim], f"({places.at(i[dim : dim + 1])})", *i[dim + 1 :])))


def scatter(w: Writer, base: Value, dim: int, places: Value, source: Value | float, add: bool = False) -> Value:
    """`base` with the elements of `source` at (or added to) `places` along an axis."""
    out = w.room(base.shape, base.dtype)
    w.store(out, base)
    dim, places = dim % max(1, len(base.shape)), w.kept(places)
    source = source if isinstance(source, Value) else constant(source, base.dtype, places.shape)
    with w.loop(places.shape) as i:
        target = out.at((*i[:dim], f"({places.at(i)})", *i[dim + 1 :]) if base.shape else ())
        w.line(f"{target} {'+=' if add else '='} {source.at(i)};")
    return out


def copied(w: Writer, base: Value, dim: int, places: Value, source: Value) -> Value:
    """`base` with what `source` has along an axis at `places` (n,) of it."""
    dim %= len(base.shape)
    wide = reshape(w, places, tuple(source.shape[dim] if k == dim else 1 for k in range(len(base.shape))))
    return scatter(w, base, dim, expand(w, wide, list(source.shape)), source)


def indexed(w: Writer, value: Value, places: list[Value | None]) -> Value:
    """`value[places]`, whose places are tensors of integers that are broadcast together."""
    value = w.kept(value)
    shape, at = _places(w, value.shape, places)
    return Value(shape, value.dtype, lambda i: value.at(at(i)))


def put(w: Writer, base: Value, places: list[Value | None], source: Value, add: bool = False) -> Value:
    """`base` with `source` at (or added to) the places that `indexed` would read."""
    out = w.room(base.shape, base.dtype)
    w.store(out, base)
    shape, at = _places(w, base.shape, places)
    source = expand(w, source, list(shape))
    with w.loop(shape) as i:
        w.line(f"{out.at(at(i))} {'+=' if add else '='} {source.at(i)};")
    return out


def _places(w: Writer, own: Shape, places: list[Value | None]) -> tuple[Shape, Callable[[tuple[str, ...]], tuple[str, ...]]]:
    places = [None if p is None else w.kept(p) for p in places] + [None] * (len(own) - len(places))
    given = [k for k, p in enumerate(places) if p is not None]
    if any(places[k].dtype == torch.bool for k in given):
        raise Unsupported("masks as indices")
    common = tuple(torch.broadcast_shapes(*(places[k].shape for k in given)))
    together = given == list(range(given[0], given[-1] + 1))
    begin = given[0] if together else 0
    rest = [k for k, p in enumerate(places) if p is None]
    before = [k for k in rest if k < begin] if together else []
    after = [k for k in rest if k not in before]
    shape = (*(own[k] for k in before), *common, *(own[k] for k in after))

    def at(i: tuple[str, ...]) -> tuple[str, ...]:
        middle = i[len(before) : len(before) + len(common)]
        found = dict(zip(before, i, strict=False)) | dict(zip(after, i[len(before) + len(common) :], strict=True))
        for k in given:
            lead = len(common) - len(places[k].shape)
            e = places[k].at(tuple("0" if n == 1 else j for j, n in zip(middle[lead:], places[k].shape, strict=True)))
            found[k] = f"({e} < 0 ? {e} + {own[k]} : {e})"
        return tuple(found[k] for k in range(len(own)))

    return shape, at
