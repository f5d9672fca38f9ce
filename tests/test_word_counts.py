"""The law of counts of words in a text of random length."""

import pytest
import torch

from zoo.distributions.word_counts import WordCounts


def test_counts_of_words_are_negative_binomial_in_number_and_filled_by_their_law():
    p, length, shape = torch.tensor([0.5, 0.3, 0.2]), torch.tensor(6.0), torch.tensor(2.0)
    law = WordCounts(p, length, shape)
    drawn = law.expand(torch.Size([40_000])).sample()
    total = drawn.sum(1)
    assert total.mean().item() == pytest.approx(6, abs=0.15)
    assert total.var().item() == pytest.approx(6 + 36 / 2, rel=0.05)
    row = torch.tensor([4.0, torch.nan, 1.0])
    # The words seen are as many as they are: the rate of those that are not is Gamma(2 + 5, 2 / 6 + 0.7).
    filled = law.fill(row.expand(40_000, 3))
    assert torch.equal(filled[:, 0].unique(), row[:1])
    assert filled[:, 1].mean().item() == pytest.approx(0.3 * 7 / (2 / 6 + 0.7), rel=0.03)
