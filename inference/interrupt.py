"""Ctrl-C between two steps, where a run is whole and can be saved, and not in the middle of one."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, at a place where the run is whole."""


@contextmanager
def between_steps() -> Iterator[Callable[[], None]]:
    """Inside the block Ctrl-C waits: the function that it gives, called between steps, then raises `Interrupted`.

    A second Ctrl-C does not wait, and raises KeyboardInterrupt where it falls.
    """
    asked = False

    def note(*_: object) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True

    def look() -> None:
        if asked:
            raise Interrupted

    if threading.current_thread() is not threading.main_thread():
        yield look
        return
    before = signal.signal(signal.SIGINT, note)
    try:
        yield look
    finally:
        signal.signal(signal.SIGINT, before)
