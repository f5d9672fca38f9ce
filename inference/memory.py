"""How much is computed together, so that memory stays bounded however many draws, rows or data sets there are."""

# Numbers held at a time: 160 MB in double precision.
CELLS = 20_000_000


def at_once(cells: int) -> int:
    """How many things are taken together that take so many numbers each, those on the way counted: at least one."""
    return max(1, CELLS // max(1, cells))
