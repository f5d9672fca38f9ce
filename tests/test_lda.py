"""Latent Dirichlet allocation on texts whose topics are known, and on what is no corpus."""

import logging

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch

import inference
import zoo
from tests.bars import bars, off
from zoo.topics.answers import halves
from zoo.topics.fold_in import fold_in


def test_topics_of_bars_are_found_whatever_the_method():
    x, topics = bars()
    pair = zoo.create("lda", x, topics=10)
    chains = inference.mcmc(pair, x, kernel="gibbs", chains=4, warmup=200, draws=20, device="cpu")
    chain = chains.keep([int(chains.stats["lp"].mean(1).argmax())])  # others may have two bars in one topic
    fit = inference.svi(pair, x, steps=30, restarts=4, device="cpu", compile=False)
    assert fit.draws["topics"].shape == (1, 100, 10, 25)  # the pair's own number of draws
    for posterior in (chain, fit):
        assert off(torch.as_tensor(posterior.mean("topics")), topics) < 0.05
    assert off(torch.as_tensor(fit.mean("topics"))[:9], topics) > 0.3  # nine of them are not enough


def test_minibatches_of_sparse_rows_find_the_same_topics():
    x, topics = bars(600)
    sparse = pd.DataFrame.sparse.from_spmatrix(scipy.sparse.csr_matrix(x.numpy()), columns=[f"w{i}" for i in range(25)])
    pair = zoo.create("lda", sparse, topics=10)
    posterior = inference.svi(pair, sparse, batch=50, steps=100, restarts=4, device="cpu", compile=False)
    assert off(torch.as_tensor(posterior.mean("topics")), topics) < 0.05
    assert posterior.table is None
    assert posterior.how["columns"][3] == "w3"
    assert posterior.encode(sparse[:5]).mean.shape == (5, 10)


def test_texts_never_seen_are_completed_nearly_as_well_as_by_the_truth():
    x, topics = bars(400)
    posterior = inference.svi(zoo.create("lda", x[:300], topics=10), x[:300], steps=30, restarts=4, device="cpu", compile=False)
    first, second = halves(x[300:])
    assert torch.equal(first + second, x[300:])
    assert torch.equal(first.sum(1), torch.full((100,), 30.0))
    found = posterior.completion(first, second)
    shapes, _ = fold_in(first, topics, torch.full((10,), 0.1))
    mixture = shapes / shapes.sum(1, keepdim=True)
    truth = float(torch.xlogy(second, mixture @ topics).sum() / second.sum())
    blind = float(torch.xlogy(second, x[:300].sum(0) / x[:300].sum()).sum() / second.sum())
    assert blind < truth - 0.03 < found.per_word < truth + 0.02
    assert found.perplexity == pytest.approx(np.exp(-found.per_word))
    assert posterior.completion(x[300:]).per_word == pytest.approx(found.per_word)
    assert found.by_text.sum() / found.words.sum() == pytest.approx(found.per_word)


REFUSED = {
    "negative": (lambda x: x.index_put((torch.tensor(1), torch.tensor(2)), torch.tensor(-1.0)), "column '2', row 1: -1 is not a count"),
    "fraction": (lambda x: x + 0.5, "is not a count of words"),
    "nothing": (lambda x: x * 0, "no text has any word"),
    "few": (lambda x: x[:4], "4 rows cannot be fitted: there are 10 topics"),
    "vocabulary": (lambda x: x[:, :7], "rows of 25 columns, and these have 7"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_corpus_is_refused(what):
    x, _ = bars(30)
    change, words = REFUSED[what]
    with pytest.raises(ValueError, match=words):
        inference.svi(zoo.create("lda", x, topics=10), change(x), steps=1)


def test_a_text_without_words_is_kept_and_told_and_predicted_by_the_prior(caplog):
    x, _ = bars(40)
    x[7] = 0
    with caplog.at_level(logging.WARNING, "zoo"):
        posterior = inference.svi(zoo.create("lda", x, topics=5, concentration=0.3), x, steps=5, device="cpu", compile=False)
    assert "row 7 has no words (1 such in all)" in caplog.text
    torch.testing.assert_close(posterior.encode(x).mean[7], torch.full((5,), 0.2))


def test_a_report_has_a_picture_of_topics(tmp_path):
    x, _ = bars(100)
    posterior = inference.mcmc(zoo.create("lda", x, topics=6), x, kernel="gibbs", chains=4, warmup=50, draws=50, device="cpu")
    report = inference.diagnose(posterior)
    assert "R-hat" in {f.name for f in report.findings}
    assert "Topics on a map" in report.to_html(tmp_path / "report.html").read_text()
    again = inference.load(posterior.save(tmp_path / "saved"))
    pd.testing.assert_frame_equal(again.topics(), posterior.topics())


def test_texts_without_words_are_remarked_of_a_users_and_not_of_simulated_ones(caplog):
    from inference.diagnostics.calibration.simulate import check_each

    counts = torch.tensor([[0.0, 0.0, 0.0], [1.0, 2.0, 0.0]])
    pair = zoo.create("lda", counts, topics=2)
    caplog.clear()
    check_each(pair, counts[None])
    assert not caplog.records
    inference.svi(pair, counts, steps=2, progress=False)
    assert "row 0 has no words" in caplog.text
