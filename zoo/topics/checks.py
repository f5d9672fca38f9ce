"""Checks that topic models ask of counts; each names the text or word, what is wrong and what to do."""

import logging
from typing import Any

import torch
from torch import Tensor

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


def corpus(table: Table, topics: int, vocabulary: int, fitting: bool) -> None:
    """All that is asked of rows for so many topics. Raises ValueError."""
    checks.two_dimensional(table, vocabulary)
    whole_counts(table)
    if fitting:
        checks.no_empty_rows(table)
        any_words(table)
        checks.enough_rows(table, topics, f"there are {topics} topics; ask for fewer")


def named(table: Table, words: list[str]) -> None:
    """The columns are these words, in their order. Raises ValueError that names the first that is not."""
    for number, (column, word) in enumerate(zip(table.columns, words, strict=True)):
        if column != word:
            raise ValueError(f"column {number} counts {column!r} and the vector there is of {word!r}; hand in vectors.loc[counts.columns]")


def responses(table: Table, vocabulary: int, wrong: Tensor, why: str, fitting: bool) -> None:
    """Of so many words and a response behind them, of which none is `wrong` (rows, 1) and some is known. Raises ValueError."""
    checks.two_dimensional(table, vocabulary + 1, "the response, `NaN` where it is not known")
    checks.allowed(table, torch.cat([torch.zeros_like(table.x[:, :-1], dtype=torch.bool), wrong], 1), why)
    if fitting and table.x[:, -1].isnan().all():
        raise ValueError(f"column {table.columns[-1]!r}, the last, holds the responses, and none is known; the pair 'lda' needs none")


def sizes(table: Table) -> dict[str, Any]:
    """The vocabulary of counts, and what is known of texts' lengths: their mean, and the shape of the Gamma law of their rates."""
    # What `corpus` refuses must not stop us here.
    lengths = table.x.flatten(1).nansum(1).double()
    mean = lengths.mean().clamp(min=1.0)
    extra = (lengths.square().mean() - mean.square() - mean).clamp(min=1e-3 * mean)
    return {"vocabulary": table.x.shape[1], "length": mean.item(), "length_shape": (mean.square() / extra).item()}
