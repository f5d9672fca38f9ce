"""As many topics as texts need: how many bars there are, and chains against every assignment of topics."""

import itertools

import numpy as np
import pytest
import torch
from scipy.special import logsumexp

import inference
import zoo
from inference.diagnostics.parts import parts
from tests.bars import bars, off
from tests.oracles import hdp as oracle
from tests.oracles.lda import log_polya
from tests.test_topic_gibbs import near, overlap
from zoo.topics.hierarchical_gibbs import HierarchicalGibbs

SMALL = oracle.COUNTS[:3]


def told(posterior: inference.Posterior) -> str:
    return next(finding.evidence for finding in parts(posterior) if "used" in finding.evidence)


def test_the_number_of_bars_is_found_by_chains_and_kept_by_steps():
    x, topics = bars()
    pair = zoo.create("hdp", x, topics=20)
    chains = inference.mcmc(pair, x, kernel="gibbs", chains=2, warmup=20, draws=50, device="cpu")
    fit = inference.svi(pair, x, steps=200, device="cpu", compile=False)
    for posterior in (chains, fit):
        assert told(posterior).startswith("10 of 20 topics are used by the rows; not ")
        used = np.sort(posterior.mean("weights").argsort()[-10:])
        assert off(torch.as_tensor(posterior.mean("topics")[used]), topics) < 0.1
        assert posterior.mean("weights")[used].sum() > 0.99
    used = chains.mean("weights").argsort()[-10:]
    assert (inference.matched(chains, fit)["apart"][used] < 0.15).all()


def test_what_is_gained_by_merging_is_what_the_density_gains():
    x, _ = bars(40)
    torch.manual_seed(0)
    chain = HierarchicalGibbs(x, 1, 6, None, 2.0)
    for _ in range(5):
        chain.sweep()
    gains = chain._gains(0)

    def density(by_text: np.ndarray, by_topic: np.ndarray, concentration: np.ndarray) -> float:
        return log_polya(by_text, concentration) + log_polya(by_topic, np.full(25, chain.topic_concentration[0]))

    texts, topics, alpha = chain.by_text[0], chain.by_word[0].T, chain.concentration[0]
    joined = [np.delete(values, 4, axis) for values, axis in ((texts, 1), (topics, 0), (alpha, 0))]
    joined[0][:, 1], joined[1][1], joined[2][1] = texts[:, 1] + texts[:, 4], topics[1] + topics[4], alpha[1] + alpha[4]
    assert gains[1, 4] == pytest.approx(density(*joined) - density(texts, topics, alpha))
    np.testing.assert_allclose(gains, gains.T)
    words = chain.totals.sum()
    chain._merge(0)
    assert chain.totals.sum() == words == chain.by_text[0].sum()
    np.testing.assert_array_equal(np.bincount(chain._topics[0], minlength=6), chain.totals[0])


def test_chains_draw_from_the_posterior_that_brute_force_knows():
    pair = zoo.create("hdp", topics=2, vocabulary=4, topic_concentration=0.9)
    posterior = inference.mcmc(pair, SMALL, kernel="gibbs", chains=4, warmup=50, draws=1500, device="cpu")
    assert set(posterior.draws) == {"topics", "weights", "strength", "breadth", "concentration"}
    logs, overlaps, strengths = [], [], []
    strength, weights, mass = oracle.grid()
    for (by_text, log_words), by_topic in zip(oracle.assigned(SMALL, 0.9), _by_topic(SMALL), strict=True):
        log = oracle.log_given(by_text, strength, weights) + mass
        logs.append(logsumexp(log) + log_words)
        strengths.append((np.exp(log - logsumexp(log)).sum(1) * strength).sum())
        mean = (by_topic + 0.9) / (by_topic + 0.9).sum(1, keepdims=True)
        overlaps.append(mean[0] @ mean[1])
    share = np.exp(np.array(logs) - logsumexp(logs))
    near(overlap(posterior.draws["topics"]), float(share @ overlaps), 400)
    near(posterior.draws["strength"], float(share @ strengths), 400)
    near(posterior.draws["weights"].square().sum(-1), _evenness(share), 400)


def _by_topic(x: np.ndarray):
    """For each way to give words one of two topics, in the order of the oracle: how many each topic has of each word."""
    words = x.nonzero()[1].repeat(x[x > 0].astype(int))
    for topics in itertools.product(range(2), repeat=len(words)):
        found = np.zeros((2, x.shape[1]))
        np.add.at(found, (topics, words), 1)
        yield found


def _evenness(share: np.ndarray) -> float:
    """E[sum of squared weights | x], from the probability of each assignment."""
    strength, weights, mass = oracle.grid()
    squares = np.exp(2 * weights).sum(0)
    total = 0.0
    for probability, (by_text, _) in zip(share, oracle.assigned(SMALL, 0.9), strict=True):
        log = oracle.log_given(by_text, strength, weights) + mass
        total += probability * float((np.exp(log - logsumexp(log)).sum(0) * squares).sum())
    return total


def test_missing_counts_and_a_corpus_of_nothing_are_refused():
    x, _ = bars(20)
    pair = zoo.create("hdp", x, topics=30)  # more topics than texts: what is not needed is not used
    x[2, 3] = torch.nan
    with pytest.raises(ValueError, match="row 2.*missing.*nuts"):
        inference.mcmc(pair, x, kernel="gibbs")
    with pytest.raises(ValueError, match="no text has any word"):
        inference.svi(pair, x * 0, steps=1)
