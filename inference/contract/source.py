"""Where things stand in the files in which somebody wrote a pair."""

import ast
import inspect
import sys
import textwrap
import traceback
from collections.abc import Callable
from types import FrameType
from typing import Any

from pyro.poutine.messenger import Messenger

from ..pair import Pair
from .fault import Place


class Source:
    """The code of a pair's class, and of the classes between it and `Pair`.

    files: where their methods are written.
    """

    def __init__(self, cls: type[Pair]) -> None:
        self._classes = [c for c in cls.__mro__ if issubclass(c, Pair) and c is not Pair]
        methods = [inspect.unwrap(f) for c in self._classes for f in vars(c).values() if inspect.isfunction(f)]
        self.files = {method.__code__.co_filename for method in methods}

    def method(self, name: str) -> Callable | None:
        """The function behind a method, if it is written in one of the classes."""
        found = next((vars(c)[name] for c in self._classes if name in vars(c)), None)
        found = inspect.unwrap(found) if inspect.isfunction(found) else None
        return found if found is not None and found.__code__.co_filename in self.files else None

    def start(self, name: str) -> Place | None:
        """Where a method begins."""
        method = self.method(name)
        return method and Place(method.__code__.co_filename, method.__code__.co_firstlineno)

    def tree(self, name: str) -> ast.FunctionDef | None:
        """A method as its author wrote it, with the lines of the file; None where the text is not to be had."""
        method = self.method(name)
        try:
            lines, first = inspect.getsourcelines(method)
        except (OSError, TypeError):
            return None
        tree = ast.parse(textwrap.dedent("".join(lines)))
        return ast.increment_lineno(tree, first - 1).body[0]

    def place(self, name: str, node: ast.AST) -> Place:
        """Where a part of a method stands."""
        return Place(self.method(name).__code__.co_filename, node.lineno)

    def attribute(self, name: str) -> Place | None:
        """Where `self.name` is set, or `name` stands in the class."""
        for cls in self._classes:
            for method in [n for n, f in vars(cls).items() if inspect.isfunction(f)]:
                tree = self.tree(method)
                found = [node for node in ast.walk(tree) if _sets(node, name)] if tree else []
                if found:
                    return self.place(method, found[0])
            if name in vars(cls):
                return self._in_class(cls, name)
        return None

    def raised(self, error: BaseException) -> Place | None:
        """The last line of the pair's own that an exception, or what it came from, went through."""
        cause: BaseException | None = error
        found = None
        while cause is not None:
            frames = [Place(f.f_code.co_filename, line) for f, line in traceback.walk_tb(cause.__traceback__)]
            found = next((place for place in reversed(frames) if place.file in self.files), found)
            cause = cause.__cause__
        return found

    def running(self) -> Place | None:
        """The line of the pair's own that is being run now."""
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and frame.f_code.co_filename not in self.files:
            frame = frame.f_back
        return frame and Place(frame.f_code.co_filename, frame.f_lineno)

    def _in_class(self, cls: type, name: str) -> Place | None:
        try:
            lines, first = inspect.getsourcelines(cls)
            body = ast.increment_lineno(ast.parse(textwrap.dedent("".join(lines))), first - 1).body[0].body
        except (OSError, TypeError):
            return None
        targets = [(node, t) for node in body if isinstance(node, ast.Assign | ast.AnnAssign) for t in _targets(node)]
        targets += [(node, node) for node in body if isinstance(node, ast.FunctionDef)]
        found = [node for node, target in targets if getattr(target, "id", getattr(target, "name", None)) == name]
        return Place(inspect.getsourcefile(cls), found[0].lineno) if found else None


class Sites(Messenger):
    """Remembers on which line each site was sampled. lines: site -> Place."""

    def __init__(self, source: Source) -> None:
        super().__init__()
        self.source, self.lines = source, {}

    def _pyro_sample(self, msg: dict[str, Any]) -> None:
        self.lines.setdefault(msg["name"], self.source.running())


def _targets(node: ast.Assign | ast.AnnAssign) -> list[ast.expr]:
    return node.targets if isinstance(node, ast.Assign) else [node.target]


def _sets(node: ast.AST, name: str) -> bool:
    if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ("register_buffer", "register_parameter"):
        return bool(node.args) and getattr(node.args[0], "value", None) == name
    return isinstance(node, ast.Assign | ast.AnnAssign) and any(
        isinstance(part, ast.Attribute) and part.attr == name for target in _targets(node) for part in ast.walk(target)
    )
