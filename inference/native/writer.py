"""Loops in C, written one after the other."""

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from .values import Buffer, Shape, Value, ctype, in_memory

# Elements of a tensor on the stack, bytes of all of them, and what their addresses are multiples of: gcc 12 stores wide vectors as if
# arrays lay so, and without being told does not always lay them so.
SMALL, STACK, ALIGNED = 64, 65_536, 64


class Writer:
    """The body of a C function. Tensors in between lie on the stack where they are small, else in `work`, of `bytes` bytes."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._depth, self._names, self._stack = 1, itertools.count(), 0
        self.bytes = 0

    @property
    def text(self) -> str:
        """What was written."""
        return "\n".join(self._lines)

    def line(self, text: str) -> None:
        """One line more."""
        self._lines.append("    " * self._depth + text)

    def name(self, letter: str) -> str:
        """A name that nothing else has."""
        return f"{letter}{next(self._names)}"

    def room(self, shape: Shape, dtype: torch.dtype) -> Buffer:
        """Memory for a tensor, with nothing in it yet."""
        buffer = in_memory(self.name("b"), shape, dtype)
        size, kind = max(1, buffer.numel), ctype(dtype)
        room = -(-size * dtype.itemsize // ALIGNED) * ALIGNED
        if size <= SMALL and self._stack < STACK:
            self._stack += room
            self.line(f"{f'_Alignas({ALIGNED}) ' if size > 1 else ''}{kind} {buffer.name}[{size}];")
        else:
            self.line(f"{kind} *restrict {buffer.name} = ({kind} *)(work + {self.bytes});")
            self.bytes += room
        return buffer

    @contextmanager
    def loop(self, sizes: Sequence[int], simd: str | None = None) -> Iterator[tuple[str, ...]]:
        """Nested loops over `sizes`; the index. simd: what is said of the innermost one, which may do several at once."""
        index = tuple(self.name("i") if size > 1 else "0" for size in sizes)
        inner = max((k for k, size in enumerate(sizes) if size > 1), default=None)
        opened = 0
        for k, (i, size) in enumerate(zip(index, sizes, strict=True)):
            if size == 0:
                self.line("if (0) {")
            elif size > 1:
                if simd is not None and k == inner and size > 3:
                    self.line(f'_Pragma("omp simd{simd}")')
                self.line(f"for (int {i} = 0; {i} < {size}; {i}++) {{")
            else:
                continue
            self._depth, opened = self._depth + 1, opened + 1
        yield index
        for _ in range(opened):
            self._depth -= 1
            self.line("}")

    def store(self, target: Value, value: Value) -> None:
        """Write every element of `value` into `target`, which is of its shape and type."""
        with self.loop(value.shape, "") as index:
            self.line(f"{target.at(index)} = {value.at(index)};")

    def kept(self, value: Value) -> Buffer:
        """`value` in memory."""
        if isinstance(value, Buffer):
            return value
        buffer = self.room(value.shape, value.dtype)
        self.store(buffer, value)
        return buffer

    def whole(self, value: Value) -> Buffer:
        """`value` in memory, its elements one after the other."""
        if isinstance(value, Buffer) and value.strides == in_memory("", value.shape, value.dtype).strides:
            return value
        buffer = self.room(value.shape, value.dtype)
        self.store(buffer, value)
        return buffer
