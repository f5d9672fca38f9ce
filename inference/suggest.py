"""What to say of a name that nobody knows."""

import difflib
from collections.abc import Iterable


def unknown(kind: str, name: object, known: Iterable[str]) -> str:
    """A sentence that names what was asked for, the nearest that exists, and all that there are."""
    known = list(known)
    near = difflib.get_close_matches(str(name), known, 1, 0.4)
    return (
        f"no {kind} {name!r}"
        + (f"; did you mean {near[0]!r}?" if near else ".")
        + f" There {'is' if len(known) == 1 else 'are'} {', '.join(known)}"
    )
