"""Sums, products and triangular systems."""

import torch

from . import shaping
from .values import Unsupported, Value, cast, constant, literal
from .writer import Writer

aten = torch.ops.aten
INFINITE = float("inf")
LEAST = {"amax": "INT64_MIN", "amin": "INT64_MAX"}
# How a reduction goes on from `a` by the next element `x`, and what it begins with.
REDUCTIONS = {
    "sum": ("{a} + {x}", 0, " reduction(+:{a})"),
    "prod": ("{a} * {x}", 1, " reduction(*:{a})"),
    "amax": ("maximum_{t}({a}, {x})", -INFINITE, None),
    "amin": ("minimum_{t}({a}, {x})", INFINITE, None),
}


def reduced(w: Writer, value: Value, what: str, dims: list[int] | int | None, keep: bool, dtype: torch.dtype) -> Value:
    """A sum, product, maximum or minimum along some axes. Sums of numbers with a point are taken in double precision."""
    form, first, simd = REDUCTIONS[what]
    rank = len(value.shape)
    dims = [dims] if isinstance(dims, int) else dims
    gone = set(range(rank)) if not dims else {d % max(1, rank) for d in dims}
    inner = torch.double if dtype.is_floating_point and what in ("sum", "prod") else dtype
    if inner not in (torch.double, torch.float, torch.int64):
        raise Unsupported(f"{what} of {dtype}")
    shape = tuple(1 if k in gone else n for k, n in enumerate(value.shape))
    natural = rank > 0 and bool(gone) and rank - 1 not in gone and value.shape[-1] > 3
    out = w.room(shape, inner if natural else dtype)
    name = {torch.double: "double", torch.float: "float", torch.int64: "int64_t"}[inner]
    begin = (
        "INT64_MIN"
        if inner == torch.int64 and what == "amax"
        else "INT64_MAX"
        if inner == torch.int64 and what == "amin"
        else literal(first, inner)
    )
    if natural:  # the last axis stays: go along it in its order
        w.store(out, Value(shape, inner, lambda _: begin))
        with w.loop(value.shape, "") as i:
            place = out.at(tuple("0" if k in gone else j for k, j in enumerate(i)))
            w.line(f"{place} = {form.format(a=place, x=cast(value.at(i), value.dtype, inner), t=name)};")
        out = w.kept(Value(shape, dtype, lambda i: cast(out.at(i), inner, dtype))) if inner != dtype else out
    else:
        with w.loop(shape) as kept:
            total = w.name("a")
            w.line(f"{name} {total} = {begin};")
            with w.loop([n if k in gone else 1 for k, n in enumerate(value.shape)], simd and simd.format(a=total)) as i:
                element = value.at(tuple(j if k in gone else kept[k] for k, j in enumerate(i)))
                w.line(f"{total} = {form.format(a=total, x=cast(element, value.dtype, inner), t=name)};")
            w.line(f"{out.at(kept)} = {cast(total, inner, dtype)};")
    return out if keep else shaping.reshape(w, out, tuple(n for k, n in enumerate(shape) if k not in gone))


# How what is summed up to a place along an axis goes on by the next element, and what it begins with.
RUNNING = {"sum": ("{a} + {x}", "0"), "prod": ("{a} * {x}", "1"), "logsumexp": ("logaddexp({a}, {x})", "-INFINITY")}


def running(w: Writer, value: Value, dim: int, what: str, dtype: torch.dtype) -> Value:
    """Sums, products or logarithms of summed exponentials up to each place along an axis, taken in double precision."""
    if not value.shape:
        return value
    form, first = RUNNING[what]
    dim %= len(value.shape)
    out = w.room(value.shape, dtype)
    with w.loop([1 if k == dim else n for k, n in enumerate(value.shape)]) as i:
        total, j = w.name("a"), w.name("i")
        w.line(f"double {total} = {first};")
        w.line(f"for (int {j} = 0; {j} < {value.shape[dim]}; {j}++) {{")
        at = (*i[:dim], j, *i[dim + 1 :])
        w.line(f"{total} = {form.format(a=total, x=value.at(at))}; {out.at(at)} = {total}; }}")
    return out


def product(w: Writer, a: Value, b: Value) -> Value:
    """a @ b, with as many axes in front as they have."""
    a, b = w.kept(a), w.kept(b)
    *batch, rows, inner = a.shape
    columns = b.shape[-1]
    out = w.room((*batch, rows, columns), a.dtype)
    along = b.strides[-1] == 1 and columns > 3
    if along:
        w.store(out, constant(0, a.dtype, out.shape))
        with w.loop([*batch, rows, inner]) as (*n, i, k), w.loop([columns], "") as (j,):
            w.line(f"{out.at((*n, i, j))} += {a.at((*n, i, k))} * {b.at((*n, k, j))};")
        return out
    with w.loop([*batch, rows, columns]) as (*n, i, j):
        total = w.name("a")
        w.line(f"{a.ctype} {total} = 0;")
        with w.loop([inner], f" reduction(+:{total})") as (k,):
            w.line(f"{total} += {a.at((*n, i, k))} * {b.at((*n, k, j))};")
        w.line(f"{out.at((*n, i, j))} = {total};")
    return out


def triangle(w: Writer, value: Value, diagonal: int, lower: bool) -> Value:
    """What stands on and below (or above) a diagonal; zeros elsewhere."""
    sign = "<=" if lower else ">="
    zero = literal(0, value.dtype)
    return Value(value.shape, value.dtype, lambda i: f"({i[-1]} {sign} {i[-2]} + {diagonal} ? {value.at(i)} : {zero})")


def cholesky(w: Writer, value: Value, *, upper: bool = False, check_errors: bool = False) -> list[Value]:
    """The Cholesky factor, and of each matrix the row at which it is not positive definite, or 0."""
    if upper:
        factor, told = cholesky(w, shaping.transpose(w, w.kept(value), -2, -1))
        return [shaping.transpose(w, factor, -2, -1), told]
    *batch, n, _ = value.shape
    value, out, told = w.kept(value), w.room(value.shape, value.dtype), w.room(tuple(batch), torch.int64)
    w.store(out, constant(0, value.dtype, value.shape))
    with w.loop(batch) as b:
        w.line(f"{told.at(b)} = 0;")
        j, i, k, total = (w.name(letter) for letter in "iiia")
        w.line(f"for (int {j} = 0; {j} < {n}; {j}++) for (int {i} = {j}; {i} < {n}; {i}++) {{")
        w.line(f"    {value.ctype} {total} = {value.at((*b, i, j))};")
        w.line(f"    for (int {k} = 0; {k} < {j}; {k}++) {total} -= {out.at((*b, i, k))} * {out.at((*b, j, k))};")
        w.line(f"    if ({i} == {j} && !({total} > 0) && !{told.at(b)}) {told.at(b)} = {j} + 1;")
        w.line(f"    {out.at((*b, i, j))} = {i} == {j} ? sqrt({total}) : {total} / {out.at((*b, j, j))};")
        w.line("}")
    return [out, told]


def solved(w: Writer, a: Value, b: Value, *, upper: bool, left: bool = True, unitriangular: bool = False) -> Value:
    """X with a @ X = b (or X @ a = b), a being triangular."""
    if not left:
        a, b = (shaping.transpose(w, w.kept(m), -2, -1) for m in (a, b))
        return shaping.transpose(w, solved(w, a, b, upper=not upper, unitriangular=unitriangular), -2, -1)
    batch = tuple(torch.broadcast_shapes(a.shape[:-2], b.shape[:-2]))
    a = w.kept(shaping.expand(w, a, [*batch, *a.shape[-2:]]))
    n, columns = b.shape[-2:]
    b, out = shaping.expand(w, b, [*batch, n, columns]), w.room((*batch, n, columns), b.dtype)
    w.store(out, b)
    with w.loop(batch) as s:
        i, k = w.name("i"), w.name("i")
        rows, others = (
            (f"{i} = {n} - 1; {i} >= 0; {i}--", f"{k} = {i} + 1; {k} < {n}")
            if upper
            else (f"{i} = 0; {i} < {n}; {i}++", f"{k} = 0; {k} < {i}")
        )
        w.line(f"for (int {rows}) {{")
        w.line(f"for (int {others}; {k}++)")
        with w.loop([columns]) as (j,):
            w.line(f"{out.at((*s, i, j))} -= {a.at((*s, i, k))} * {out.at((*s, k, j))};")
        if not unitriangular:
            with w.loop([columns]) as (j,):
                w.line(f"{out.at((*s, i, j))} /= {a.at((*s, i, i))};")
        w.line("}")
    return out


def lu_solved(w: Writer, a: Value, b: Value, *, left: bool = True, check_errors: bool = False) -> list[Value]:
    """X with a @ X = b, the factors of `a` with its rows exchanged, these exchanges, and the first pivot that is zero, or 0.

    NotImplemented where batches differ, or X is on the left.
    """
    if left and b.shape == a.shape[:-1]:
        found, *factors = lu_solved(w, a, shaping.unsqueeze(w, b, -1))
        return [shaping.squeeze(w, found, -1), *factors]
    *batch, n, columns = b.shape
    if not left or a.shape != (*batch, n, n):
        return NotImplemented
    lu, out = w.room(a.shape, a.dtype), w.room(b.shape, b.dtype)
    pivots, told = w.room((*batch, n), torch.int32), w.room(tuple(batch), torch.int64)
    w.store(lu, a)
    w.store(out, b)
    with w.loop(batch) as s:
        j, i, k, p = (w.name("i") for _ in range(4))
        w.line(f"{told.at(s)} = 0;")
        w.line(f"for (int {j} = 0; {j} < {n}; {j}++) {{")
        w.line(f"    int {p} = {j};")
        at, top = (lu.at((*s, row, j)) for row in (i, p))
        w.line(f"    for (int {i} = {j} + 1; {i} < {n}; {i}++) if (fabs({at}) > fabs({top})) {p} = {i};")
        w.line(f"    {pivots.at((*s, j))} = {p} + 1;")
        w.line(f"    if ({top} == 0 && !{told.at(s)}) {told.at(s)} = {j} + 1;")
        for matrix, width in ((lu, n), (out, columns)):
            one, other = matrix.at((*s, j, k)), matrix.at((*s, p, k))
            swap = f"{matrix.ctype} t = {one}; {one} = {other}; {other} = t;"
            w.line(f"    for (int {k} = 0; {k} < {width}; {k}++) {{ {swap} }}")
        w.line(f"    for (int {i} = {j} + 1; {i} < {n}; {i}++) {{")
        w.line(f"        {at} /= {lu.at((*s, j, j))};")
        for matrix, first, width in ((lu, f"{j} + 1", n), (out, "0", columns)):
            less = f"{matrix.at((*s, i, k))} -= {at} * {matrix.at((*s, j, k))};"
            w.line(f"        for (int {k} = {first}; {k} < {width}; {k}++) {less}")
        w.line("    }")
        w.line("}")
    return [solved(w, lu, out, upper=True), lu, pivots, told]


def inverse(w: Writer, a: Value, *, check_errors: bool = False) -> list[Value]:
    """The inverse, and the first pivot that is zero, or 0."""
    identity = Value(a.shape, a.dtype, lambda i: f"(({a.ctype})({i[-1]} == {i[-2]}))")
    found, _, _, told = lu_solved(w, a, identity)
    return [found, told]
