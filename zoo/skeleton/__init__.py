"""A package to begin from: a pair that works, the test of its oracle, its entry point."""

import keyword
import re
from importlib.resources import files
from pathlib import Path

# Where each template goes; "NAME" stands for the package's name.
FILES = {
    "pyproject.toml.jinja": "pyproject.toml",
    "readme.md.jinja": "README.md",
    "init.py.jinja": "NAME/__init__.py",
    "pair.py.jinja": "NAME/pair.py",
    "test.py.jinja": "tests/test_NAME.py",
}


def write(name: str, to: Path) -> Path:
    """Write the package `name` into the folder `to`, and return its folder.

    Raises: ValueError for what cannot be a package's name, or is taken; FileExistsError where the folder exists.
    """
    import jinja2

    from .. import registry

    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        raise ValueError(f"{name!r} cannot be a package's name; use small letters, digits and _, as in my_model")
    if name in registry.names():
        raise ValueError(f"the name {name!r} is taken by a pair that `zoo list` knows; choose another")
    folder = to / name
    if folder.exists():
        raise FileExistsError(f"{folder} exists and nothing is overwritten; choose another name, or another folder with --to")
    environment = jinja2.Environment(keep_trailing_newline=True, undefined=jinja2.StrictUndefined)
    for template, target in FILES.items():
        text = files(__package__).joinpath(template).read_text(encoding="utf-8")
        path = folder / target.replace("NAME", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(environment.from_string(text).render(name=name, cls=class_name(name)), encoding="utf-8")
    return folder


def class_name(name: str) -> str:
    """MyModel for my_model."""
    return "".join(part.capitalize() for part in name.split("_"))
