"""Mixtures of topics of texts, the topics given: against quadrature, and one way of computing them against the other."""

import pytest
import torch

from tests.bars import bars
from zoo.topics.fold_in import _dense, fold_in


def test_the_mixture_of_a_text_is_near_its_law_given_the_topics():
    # One text, its topics known: by quadrature over the share of the first.
    topics, x = torch.tensor([[0.6, 0.3, 0.1], [0.1, 0.3, 0.6]]), torch.tensor([[7.0, 4, 2]])
    shares = torch.linspace(0.0005, 0.9995, 1000)
    log = (torch.stack([shares, 1 - shares], 1) @ topics).log() @ x[0] + (0.5 - 1) * (shares.log() + (1 - shares).log())
    mean = float((log.softmax(0) * shares).sum())
    shapes, counts = fold_in(x, topics, torch.tensor([0.5, 0.5]))
    assert float(shapes[0, 0] / shapes.sum()) == pytest.approx(mean, abs=0.03)
    torch.testing.assert_close(counts.sum(0), x[0])
    torch.testing.assert_close(counts.sum(1), shapes[0] - 0.5, rtol=0, atol=0.01)


def test_loops_and_matrix_products_give_the_same_mixtures():
    x, topics = bars(20)
    x[3], x[4, 2] = 0.0, torch.nan
    given = x, topics + 0.01, torch.rand(10) + 0.05
    for one, other in zip(fold_in(*given), _dense(*given), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-2, atol=1e-2)
    batched = torch.func.vmap(fold_in, (None, 0, None))(x, torch.stack([given[1], given[1].flip(0)]), given[2])
    torch.testing.assert_close(batched[0][0], fold_in(*given)[0])
