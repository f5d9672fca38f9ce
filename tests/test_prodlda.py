"""ProdLDA on texts whose topics are known, and on texts that have none; the law of its mixtures."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.integrate import quad

import inference
import zoo
from inference.diagnostics.codes import codes
from tests.bars import bars
from zoo.distributions.softmax_normal import SoftmaxNormal
from zoo.topics.answers import halves


@pytest.fixture(scope="module")
def fit() -> inference.Posterior:
    torch.set_default_dtype(torch.float64)
    x, _ = bars(400)
    return inference.svi(zoo.create("prodlda", x[:300], topics=10), x[:300], steps=300, device="cpu", compile=False)


def test_the_words_of_each_topic_are_those_of_a_bar(fit):
    _, topics = bars()
    found = fit.topics(5)
    bars_found = {frozenset(int(word) for word in words["word"]) for _, words in found.groupby(level="topic")}
    assert bars_found == {frozenset(topic.nonzero()[:, 0].tolist()) for topic in topics}
    assert fit.diversity(5) == 0.5  # each word is in a row and in a column
    assert next(codes(fit)).evidence == "10 of 10 latents of a row tell rows apart."


def test_texts_never_seen_are_completed(fit):
    x, _ = bars(400)
    first, second = halves(x[300:])
    blind = float(torch.xlogy(second, x[:300].sum(0) / x[:300].sum()).sum() / second.sum())
    assert fit.completion(first, second).per_word > blind + 0.4
    mean, sd = fit.encode(x[300:])
    torch.testing.assert_close(mean.sum(1), torch.ones(100))
    assert (sd > 0).all()


def test_topics_that_are_lost_are_found_by_the_diagnosis(fit):
    def lost(topics: list[int]) -> inference.Posterior:
        weights = fit.draws["weights"].clone()
        weights[:, :, topics] = 0
        return replace(fit, draws={"weights": weights, "topics": (fit.pair.background + weights).softmax(-1)})

    finding = next(codes(lost(list(range(10)))))
    assert (finding.name, finding.severity) == ("active latents", "failure")
    assert "collapsed to the prior" in finding.evidence
    # Where some are lost they are those whose words are no likelier than in all texts.
    lifts = lost([1, 4]).topics(5)["lift"].groupby(level="topic").max()
    assert (lifts < 1.5).sum() == 2
    assert (fit.topics(5)["lift"].groupby(level="topic").max() > 2).all()


def test_minibatches_of_sparse_rows_are_streamed_and_saved(tmp_path):
    x, _ = bars(60)
    sparse = pd.DataFrame(x.numpy(), columns=[f"w{i}" for i in range(25)]).astype(pd.SparseDtype("float", 0))
    posterior = inference.svi(zoo.create("prodlda", sparse, topics=3), sparse, batch=20, steps=20, device="cpu", compile=False)
    again = inference.load(posterior.save(tmp_path / "saved"))
    pd.testing.assert_frame_equal(again.topics(4), posterior.topics(4))
    assert set(again.topics(4)["word"]) <= set(sparse.columns)


def test_the_density_of_shares_is_that_of_their_log_ratio():
    law = SoftmaxNormal(torch.tensor([0.3, -0.5]), torch.tensor([0.8, 1.7]))

    def density(p: float) -> float:
        return float(law.log_prob(torch.tensor([p, 1 - p])).exp())

    assert quad(density, 0, 1)[0] == pytest.approx(1, abs=1e-6)
    mean = quad(lambda p: p * density(p), 0, 1)[0]
    square = quad(lambda p: p * p * density(p), 0, 1)[0]
    torch.manual_seed(0)
    drawn = law.rsample((100_000,))[:, 0]
    assert drawn.mean().item() == pytest.approx(mean, abs=0.004)
    found = np.array([[law.mean[0], law.variance[0]] for _ in range(200)])
    error = found.std(0) / 200**0.5
    assert abs(found.mean(0) - [mean, square - mean**2])[0] < 4 * error[0]
    # Of n draws about their own mean a variance is too small by one part in n.
    assert abs(found[:, 1].mean() - (square - mean**2)) < 4 * error[1] + 0.01 * square


def test_one_topic_is_refused():
    x, _ = bars(30)
    with pytest.raises(ValueError, match="topics=1.*greater than or equal to 2"):
        zoo.create("prodlda", x, topics=1)
