"""Latent Dirichlet allocation: against brute force, other libraries' figures, and texts whose topics are known."""

import itertools
import logging

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from scipy.stats import gamma
from torch import Tensor

import inference
import zoo
from inference.diagnostics.convergence import convergence
from tests.oracles import lda as oracle
from zoo.fold_in import _dense, fold_in
from zoo.topic_answers import halves
from zoo.topic_gibbs import TopicGibbs
from zoo.word_counts import WordCounts

GIVEN = {"concentration": 0.7, "topic_concentration": 0.9}


def bars(texts: int = 300, words: int = 60) -> tuple[Tensor, Tensor]:
    """Texts over a 5 x 5 grid of words, whose ten topics are its rows and columns (Griffiths & Steyvers 2004), and these topics."""
    grid = torch.arange(25).reshape(5, 5)
    topics = torch.stack([torch.zeros(25).index_fill(0, line, 0.2) for line in [*grid, *grid.T]])
    torch.manual_seed(1)
    mixture = torch.distributions.Dirichlet(torch.full((10,), 0.1)).sample((texts,))
    return torch.distributions.Multinomial(words, mixture @ topics).sample(), topics


def off(found: Tensor, topics: Tensor) -> float:
    """The largest total variation between a true topic and the one found that is nearest."""
    return float(0.5 * torch.cdist(topics, found.to(topics), p=1).amin(1).max())


def overlap(topics: Tensor) -> Tensor:
    """(...) a number that is the same however the two topics are numbered."""
    return (topics[..., 0, :] * topics[..., 1, :]).sum(-1)


def by_brute_force(x: np.ndarray, alpha: float, beta: float) -> tuple[float, float]:
    """log of the sum over the topics of all words of their joint density with the words, and E[overlap | x]."""
    texts, words = (a.repeat(x[x > 0].astype(int)) for a in x.nonzero())
    logs, overlaps = [], []
    for assigned in itertools.product(range(2), repeat=len(words)):
        by_text, by_topic = np.zeros((len(x), 2)), np.zeros((2, x.shape[1]))
        np.add.at(by_text, (texts, assigned), 1)
        np.add.at(by_topic, (assigned, words), 1)
        logs.append(oracle._log_polya(by_text, np.full(2, alpha)) + oracle._log_polya(by_topic, np.full(x.shape[1], beta)))
        mean = (by_topic + beta) / (by_topic + beta).sum(1, keepdims=True)
        overlaps.append(mean[0] @ mean[1])
    total = np.logaddexp.reduce(logs)
    return float(total), float(np.exp(np.array(logs) - total) @ np.array(overlaps))


def near(draws: Tensor, truth: float, least: float) -> None:
    """Draws (chain, draw) have the mean `truth`, up to four standard errors, of which there are at least so many effective ones."""
    found = convergence(draws[..., None].double().numpy())
    ess, sd = found["ess_bulk"][0], found["sd"][0]
    assert ess > least
    assert abs(found["mean"][0] - truth) < 4 * sd / ess**0.5


SMALL = oracle.COUNTS[:3]


@pytest.mark.parametrize(("kernel", "chains", "warmup", "draws"), [("gibbs", 4, 50, 1000), ("nuts", 64, 50, 20)])
def test_chains_draw_from_the_posterior_that_brute_force_knows(kernel, chains, warmup, draws):
    pair = zoo.create("lda", topics=2, vocabulary=4, **GIVEN)
    posterior = inference.mcmc(pair, SMALL, kernel=kernel, chains=chains, warmup=warmup, draws=draws, device="cpu", compile=False)
    assert set(posterior.draws) == {"topics"}
    near(overlap(posterior.draws["topics"]), by_brute_force(SMALL, 0.7, 0.9)[1], 400)


def test_concentrations_are_drawn_from_their_posterior():
    # One by one: the topics' by quadrature over it, with the texts' given.
    grid = np.linspace(0.02, 8, 200)
    logs = np.array([by_brute_force(SMALL, 0.7, beta)[0] for beta in grid]) + gamma.logpdf(grid, 2.0, scale=0.5)
    weights = np.exp(logs - logs.max())
    pair = zoo.create("lda", topics=2, vocabulary=4, concentration=0.7)
    posterior = inference.mcmc(pair, SMALL, kernel="gibbs", chains=4, warmup=50, draws=2000, device="cpu")
    near(posterior.draws["topic_concentration"], float(weights @ grid / weights.sum()), 400)


def test_concentrations_of_mixtures_are_those_of_texts_that_have_them():
    # Two words, one for each topic, so that the topic of a word is known, and the sum over it is one over texts.
    x = np.array([[3.0, 0], [0, 2], [4, 1], [0, 3]])
    grid = np.linspace(0.02, 6, 120)
    first, second = np.meshgrid(grid, grid, indexing="ij")
    logs = sum(gamma.logpdf(a, 2.0, scale=0.5) for a in (first, second))
    for row in x:
        logs = logs + np.vectorize(lambda a, b, row=row: oracle._log_polya(row[None], np.array([a, b])))(first, second)
    weights = np.exp(logs - logs.max())
    chain = TopicGibbs(torch.as_tensor(x), 4, 2, None, 0.5, 2.0)
    chain.by_text[:] = x
    drawn = []
    for _ in range(3000):
        chain.concentration = chain._drawn(chain.by_text, chain.concentration)
        drawn.append(chain.concentration)
    near(torch.as_tensor(np.stack(drawn, 1)[:, 100:, 0]), float((weights * first).sum() / weights.sum()), 1000)


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


def test_gibbs_refuses_what_it_does_not_know():
    x, _ = bars(20)
    pair = zoo.create("lda", x, topics=3)
    with pytest.raises(ValueError, match="checkpoint nor start"):
        inference.mcmc(pair, x, kernel="gibbs", checkpoint="nowhere")
    x[2, 3] = torch.nan
    with pytest.raises(ValueError, match="row 2.*missing.*nuts"):
        inference.mcmc(pair, x, kernel="gibbs")
    with pytest.raises(TypeError, match="PPCA has no Gibbs sampler of its own"):
        inference.mcmc(zoo.create("ppca", dim=3), torch.randn(9, 3), kernel="gibbs")


def test_a_report_has_a_picture_of_topics(tmp_path):
    x, _ = bars(100)
    posterior = inference.mcmc(zoo.create("lda", x, topics=6), x, kernel="gibbs", chains=4, warmup=50, draws=50, device="cpu")
    report = inference.diagnose(posterior)
    assert "R-hat" in {f.name for f in report.findings}
    assert "Topics on a map" in report.to_html(tmp_path / "report.html").read_text()
    again = inference.load(posterior.save(tmp_path / "saved"))
    pd.testing.assert_frame_equal(again.topics(), posterior.topics())
