"""A random order without a list of it: every row once, and any row as likely anywhere."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest
from scipy.stats import chisquare

from inference.rows.shuffle import orders, shuffled


@pytest.mark.parametrize("count", [1, 2, 3, 10, 97, 1000, 65537])
def test_an_order_has_every_row_once(count):
    found = shuffled(np.arange(count), count, seed=5, epoch=1)
    np.testing.assert_array_equal(np.sort(found), np.arange(count))


def test_an_order_of_very_many_rows_can_be_entered_anywhere():
    count = 10**12
    positions = np.concatenate([np.arange(1000), count - 1 - np.arange(1000)])
    found = shuffled(positions, count, 1, 2)
    assert len(set(found.tolist())) == 2000
    assert found.min() >= 0
    assert found.max() < count
    assert chisquare(np.bincount(found * 20 // count, minlength=20)).pvalue > 1e-4


@pytest.mark.parametrize("count", [2, 3, 5, 8])
def test_rows_and_pairs_of_rows_are_equally_likely_anywhere(count):
    found = np.stack([shuffled(np.arange(count), count, seed, 0) for seed in range(2500)])
    for place in range(count):
        assert chisquare(np.bincount(found[:, place], minlength=count)).pvalue > 1e-4
    pairs = Counter(zip(found[:, 0].tolist(), found[:, -1].tolist(), strict=True))
    assert chisquare([pairs[p] for p in itertools.permutations(range(count), 2)]).pvalue > 1e-4


def test_rows_side_by_side_are_mixed_by_distance():
    count = 10_000
    order = shuffled(np.arange(count), count, seed=1, epoch=0)
    assert abs(np.corrcoef(order[1:], order[:-1])[0, 1]) < 4 / math.sqrt(count)
    assert abs(np.corrcoef(order, np.arange(count))[0, 1]) < 4 / math.sqrt(count)
    assert abs(np.corrcoef(order, shuffled(np.arange(count), count, seed=1, epoch=1))[0, 1]) < 4 / math.sqrt(count)
    assert sum(order[1:] - order[:-1] == 1) < 10


def test_batches_of_many_rows_are_ordered_alike_however_many_are_made_at_once():
    some = list(itertools.islice(orders(100_000, 5000, 0), 25))
    assert all(map(np.array_equal, some[7:], itertools.islice(orders(100_000, 5000, 0, start=7), 18)))
    assert len(set(np.concatenate(some[:20]).tolist())) == 100_000
