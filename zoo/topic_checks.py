"""Checks that topic models ask of counts; each names the text or word, what is wrong and what to do."""

import logging

from inference import Table, checks

log = logging.getLogger("zoo")


def whole_counts(table: Table) -> None:
    """Every count is a whole number from zero on. Raises ValueError."""
    checks.allowed(table, (table.x < 0) | (table.x != table.x.round()), "is not a count of words; hand in how often each word occurs")


def any_words(table: Table) -> None:
    """Some text has a word. Raises ValueError. Texts without one are kept, and told."""
    empty = (table.x.nansum(1) == 0).nonzero()[:, 0]
    if len(empty) == len(table):
        raise ValueError("no text has any word that is counted: is the vocabulary that of these texts?")
    if len(empty):
        named = table.row(int(empty[0]))
        log.warning("%s has no words (%d such in all): it is kept, and the prior speaks for it", named, len(empty))
