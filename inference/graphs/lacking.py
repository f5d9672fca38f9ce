"""What distributions and bijections lack. torch and Pyro tell it all by one exception; here it is told in words."""

from collections.abc import Iterator
from contextlib import contextmanager


class Lacking(TypeError):
    """A distribution, or a bijection, does not have what is asked of it."""


@contextmanager
def explained(message: str) -> Iterator[None]:
    """Raises `Lacking` with the message where torch or Pyro says in the block that something is not implemented."""
    try:
        yield
    except NotImplementedError as error:
        raise Lacking(message) from error
