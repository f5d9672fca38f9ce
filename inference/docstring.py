"""What the docstring of a pair's class tells: its story, its known limits, and what its hyperparameters mean."""

import inspect
import re
import textwrap

from .pair import Pair

# A heading, and the indented lines under it.
SECTION = r"^(?:{}):\n((?:[ \t]+.*\n?|\n)+)"


def story(cls: type[Pair]) -> str:
    """What is in no section."""
    return re.sub(SECTION.format("Limits|Arguments"), "", inspect.getdoc(cls) or "", flags=re.M).strip()


def limits(cls: type[Pair]) -> str:
    """What is known that the pair cannot do, as "Limits:" says; a class without any has those of the one that it derives from."""
    return next(filter(None, (_section(base, "Limits") for base in cls.__mro__)), "").strip()


def meanings(cls: type[Pair]) -> dict[str, str]:
    """What each hyperparameter means, as "Arguments:" in the docstring of the class, or else of one that it derives from, says."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        entries = re.split(r"^(\w+): ", _section(base, "Arguments"), flags=re.M)[1:]
        found |= {name: " ".join(text.split()) for name, text in zip(entries[::2], entries[1::2], strict=True)}
    return found


def _section(cls: type, name: str) -> str:
    """The indented lines under a heading of the class's own docstring, no longer indented."""
    block = re.search(SECTION.format(name), inspect.cleandoc(cls.__doc__ or ""), re.M)
    return textwrap.dedent(block[1]) if block else ""
