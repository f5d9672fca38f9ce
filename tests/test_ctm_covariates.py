"""Topics of texts whose mixtures depend on who wrote them and when."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

import inference
import zoo
from inference.diagnostics.convert import entries
from inference.rows.stream import as_stream
from zoo.topics.logit_law import LogitLaw

EFFECTS = torch.tensor([[1.0, -1.0, 0.0], [0.0, 0.0, 0.0]])


def texts(count: int = 300, words: int = 40) -> tuple[Tensor, Tensor]:
    """Texts of three topics, each of four words of its own, and two covariates, of which the first favours a topic over another."""
    torch.manual_seed(2)
    given = torch.stack([torch.randint(0, 2, (count,)).double(), 2000 + 5 * torch.randn(count)], 1)
    topics = torch.block_diag(*[torch.full((1, 4), 0.25)] * 3)
    logits = 0.5 * torch.randn(count, 3) + (given - given.mean(0)) @ EFFECTS
    return torch.distributions.Multinomial(words, logits.softmax(-1) @ topics).sample(), given


@pytest.fixture(scope="module")
def fit() -> inference.Posterior:
    x = torch.cat(texts(), 1)
    return inference.svi(zoo.create("ctm", x, topics=3, covariates=2), x, steps=100, device="cpu", compile=False)


def _order(posterior: inference.Posterior) -> list[int]:
    return [int(np.argmax(posterior.mean("topics")[:, 4 * k])) for k in range(3)]


def test_planted_effects_are_found(fit):
    found = fit.mean("effects")[:, _order(fit)]
    sd = fit.aligned["effects"].flatten(0, 1).std(0).numpy()
    np.testing.assert_allclose(found[0], EFFECTS[0], atol=0.25)
    np.testing.assert_allclose(found[1], EFFECTS[1], atol=0.03)
    assert (sd[0] < 0.2).all()
    assert (sd[1] < 0.02).all()


def test_the_words_of_new_texts_are_those_of_their_covariates(fit):
    told = torch.full((2000, 14), torch.nan)
    told[:, 12], told[:1000, 12], told[:, 13] = 1.0, 0.0, 2000.0
    new = fit.generate(given=told)
    shares = [(part[:, :12].sum(0) / part[:, :12].sum()).reshape(3, 4).sum(1) for part in new.split(1000)]
    assert shares[1][0] > shares[0][0] + 0.15
    assert shares[1][1] < shares[0][1] - 0.15
    texts_only = torch.cat([torch.zeros(2, 12), torch.tensor([[0.0, 2000.0], [1.0, 2000.0]])], 1)
    expected = fit.encode(texts_only).mean[:, _order(fit)]
    assert expected[1, 0] > expected[0, 0] + 0.2


def test_the_law_of_logits_is_the_conjugate_regression():
    torch.manual_seed(0)
    given, spreads, scale = torch.randn(50, 2) @ torch.tensor([[1.0, 0.4], [0.0, 3.0]]), torch.tensor([0.5, 2.0]), 0.7
    logits = torch.randn(50, 3) + given @ torch.randn(2, 3)
    law = LogitLaw(3, 1.5, spreads, scale)
    law.start(logits, given)
    law.q_square = logits.mT @ logits
    # A ridge regression with one text of nothing at the means, by augmented rows.
    design = torch.cat([torch.cat([torch.ones(50, 1), given], 1), torch.diag(torch.cat([torch.ones(1), spreads / scale]))])
    shown = torch.cat([logits, torch.zeros(3, 3)])
    best = torch.linalg.lstsq(design, shown).solution
    left = shown - design @ best
    expected = law.expected()
    torch.testing.assert_close(expected.loc, best[0], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(expected.slopes, best[1:], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(expected.precision, 55 * torch.linalg.inv(1.5**2 * torch.eye(3) + left.mT @ left), rtol=1e-5, atol=1e-5)


def test_words_are_told_apart_from_covariates(fit):
    x, _ = texts()
    assert fit.topics(2)["word"].isin([str(i) for i in range(12)]).all()
    completion = fit.completion(fit.table)
    assert completion.words.sum() == x.sum() / 2
    # Of twelve words as likely as each other, each has log probability -2.48.
    assert -2.48 < completion.per_word < -1.5
    told = [label for label in entries(fit) if label.startswith(("effects", "slopes"))]
    assert told == [f"effects[{covariate}, {topic}]" for covariate in (12, 13) for topic in range(3)]


def test_sparse_columns_stay_sparse_beside_covariates():
    x, given = texts(60)
    counts = pd.DataFrame(x.numpy().astype(int), columns=[f"w{i}" for i in range(12)]).astype(pd.SparseDtype(int, 0))

    def beside(given: Tensor) -> pd.DataFrame:
        columns = zip(("party", "year"), given.T, strict=True)
        return counts.assign(**{name: pd.arrays.SparseArray(column.numpy(), fill_value=0.0) for name, column in columns})

    pair = zoo.create("ctm", beside(given), topics=3, covariates=2)
    assert pair.vocabulary == 12
    torch.testing.assert_close(pair.means, given.mean(0))
    batch = next(as_stream(beside(given)).batches(30, seed=0))
    assert {tuple(row) for row in batch[:, 12:].tolist()} <= {tuple(row) for row in given.tolist()}
    given[3, 1] = torch.nan
    with pytest.raises(ValueError, match="column 'year', row 3: missing"):
        zoo.create("ctm", beside(given), topics=3, covariates=2)
