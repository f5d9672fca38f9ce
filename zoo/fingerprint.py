"""Whether the code of a pair is what it was when something was measured."""

import ast
import hashlib
import importlib.util
from pathlib import Path


def fingerprint(module: str) -> str:
    """A checksum of a module's code and of what it imports from its own package, comments, docstrings and pictures apart."""
    package = module.partition(".")[0]
    seen: dict[str, str] = {}
    queue = [module]
    while queue:
        name = queue.pop()
        spec = importlib.util.find_spec(name)
        if name in seen or name.endswith("pictures") or spec is None or spec.origin is None:
            continue
        text = Path(spec.origin).read_text(encoding="utf-8")
        tree = ast.parse(text)
        seen[name] = _code(text, tree)
        queue += [found for found in _imported(tree, name, bool(spec.submodule_search_locations)) if found.startswith(f"{package}.")]
    return hashlib.sha256("\n".join(f"{name}\n{seen[name]}" for name in sorted(seen)).encode()).hexdigest()


def _code(text: str, tree: ast.Module) -> str:
    hidden: set[int] = set()
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        first = body[0] if isinstance(body, list) and body else None
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
            hidden |= set(range(first.lineno, first.end_lineno + 1))
    lines = [line.strip() for number, line in enumerate(text.splitlines(), 1) if number not in hidden]
    return "\n".join(line for line in lines if line and not line.startswith("#"))


def _imported(tree: ast.Module, name: str, package: bool) -> set[str]:
    """The full names of what a module may import: modules, or names in them, which are looked up in vain."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            above = name.split(".")[: None if package and node.level == 1 else len(name.split(".")) - node.level + package]
            base = ".".join([*above, node.module] if node.module else above) if node.level else node.module
            found |= {base} if node.module else {f"{base}.{alias.name}" for alias in node.names}
    return found
