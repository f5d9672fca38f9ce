"""Embedded topics on texts whose embeddings are known; words that no text counts; vectors by word, large ones saved."""

import numpy as np
import pandas as pd
import pytest
import torch

import inference
import zoo
from tests.bars import bars, off
from tests.oracles.etm import unit

HIDDEN = 7
WORDS = [f"w{i}" for i in range(40)]


def planted() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Texts, word vectors (40, 3), embeddings (3, 3) and topics."""
    torch.manual_seed(0)
    vectors = torch.as_tensor(unit(torch.randn(40, 3).numpy()))
    embeddings = torch.tensor([[3.0, 0, 0], [0, 3, 0], [-2, -2, 2]])
    topics = (embeddings @ vectors.mT).softmax(-1)
    mixture = torch.distributions.Dirichlet(torch.full((3,), 0.3)).sample((200,))
    return torch.distributions.Multinomial(80, mixture @ topics).sample(), vectors, embeddings, topics


@pytest.fixture(scope="module")
def fit() -> inference.Posterior:
    torch.set_default_dtype(torch.float64)
    x, vectors, _, _ = planted()
    x[:, HIDDEN] = torch.nan
    return inference.svi(zoo.create("etm", x, topics=3, vectors=vectors), x, steps=200, device="cpu", compile=False)


def test_embeddings_are_found(fit):
    _, _, embeddings, topics = planted()
    found = torch.as_tensor(fit.mean("embeddings"))
    order = torch.cdist(embeddings, found).argmin(1)
    assert sorted(order.tolist()) == [0, 1, 2]
    assert (found[order] - embeddings).abs().max() < 0.25
    assert off(torch.as_tensor(fit.mean("topics")), topics) < 0.05


def test_a_word_that_no_text_counts_is_as_likely_as_its_vector_says(fit):
    _, _, embeddings, topics = planted()
    order = torch.cdist(embeddings, torch.as_tensor(fit.mean("embeddings"))).argmin(1)
    ratio = fit.mean("topics")[order][:, HIDDEN] / topics[:, HIDDEN].numpy()
    assert topics[:, HIDDEN].max() / topics[:, HIDDEN].min() > 5, "the word is to tell topics apart"
    np.testing.assert_allclose(ratio, 1, atol=0.25)


def test_vectors_that_are_learnt_put_words_of_a_topic_together():
    x, topics = bars()
    fit = inference.svi(zoo.create("etm", x, topics=10, embedding=8), x, steps=100, device="cpu", compile=False)
    assert off(torch.as_tensor(fit.mean("topics")), topics) < 0.15
    vectors = torch.nn.functional.normalize(torch.as_tensor(fit.mean("vectors")), dim=1)
    near = vectors @ vectors.mT
    together = (topics.mT @ topics > 0) & ~torch.eye(25, dtype=torch.bool)
    apart = ~together & ~torch.eye(25, dtype=torch.bool)
    assert near[together].mean() > near[apart].mean() + 0.3


def test_vectors_by_word_are_held_against_the_columns_and_saved(tmp_path):
    x, _, _, _ = planted()
    counts = pd.DataFrame(x.numpy(), columns=WORDS)
    # So many numbers are more than an attribute of netCDF holds.
    vectors = pd.DataFrame(np.random.default_rng(0).normal(size=(40, 200)), WORDS)
    with pytest.raises(ValueError, match=r"column 0 counts 'w0'.*of 'w39'.*vectors.loc\[counts.columns\]"):
        zoo.create("etm", counts, topics=3, vectors=vectors[::-1])
    pair = zoo.create("etm", counts, topics=3, vectors=vectors[::-1].loc[counts.columns])
    posterior = inference.svi(pair, counts, steps=1, draws=2, device="cpu", compile=False)
    again = inference.load(posterior.save(tmp_path / "fit"))
    assert again.pair.hyperparameters == pair.hyperparameters
    torch.testing.assert_close(again.pair.given, torch.as_tensor(unit(vectors.to_numpy())))
    torch.testing.assert_close(again.draws, posterior.draws)
    assert inference.diagnose(again).to_html(tmp_path / "report.html").stat().st_size < 2_000_000


@pytest.mark.parametrize(
    ("vectors", "words"),
    [
        (np.ones((3, 2)), "3 word vectors and 25 words"),
        (pd.DataFrame(np.ones((30, 2))), r"30 word vectors and 25 words; hand in vectors.loc\[counts.columns\]"),
        ([[1.0, 2.0]] * 24 + [[1.0]], "from 1 to 2 numbers"),
        (np.zeros((25, 2)), "all word vectors are zero"),
        (np.full((25, 2), np.nan), r"25 of 25 word vectors are not finite, those of 0, 1, 2, \.\.\.; drop"),
        (pd.DataFrame(np.diag([1.0] * 23 + [np.inf] * 2), WORDS[:25]), "2 of 25 word vectors are not finite, those of 'w23', 'w24'; drop"),
        (pd.DataFrame(np.ones((25, 2)), ["a"] * 25), "more than one row 'a'"),
    ],
)
def test_vectors_that_are_none_are_refused(vectors, words):
    x, _ = bars(30)
    with pytest.raises(ValueError, match=words):
        zoo.create("etm", x, topics=3, vectors=vectors)
