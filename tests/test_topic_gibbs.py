"""Chains of topics, by Gibbs sampling and by NUTS: against brute force, quadrature, and one another."""

import itertools

import numpy as np
import pytest
import torch
from scipy.stats import gamma
from torch import Tensor

import inference
import zoo
from inference.diagnostics.convergence import convergence
from tests.bars import bars
from tests.oracles import lda as oracle
from zoo.topics.gibbs import TopicGibbs

GIVEN = {"concentration": 0.7, "topic_concentration": 0.9}
SMALL = oracle.COUNTS[:3]


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
        logs.append(oracle.log_polya(by_text, np.full(2, alpha)) + oracle.log_polya(by_topic, np.full(x.shape[1], beta)))
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


@pytest.mark.parametrize(("kernel", "chains", "warmup", "draws"), [("gibbs", 4, 50, 1000), ("nuts", 32, 50, 30)])
def test_chains_draw_from_the_posterior_that_brute_force_knows(kernel, chains, warmup, draws):
    pair = zoo.create("lda", topics=2, vocabulary=4, **GIVEN)
    posterior = inference.mcmc(pair, SMALL, kernel=kernel, chains=chains, warmup=warmup, draws=draws, device="cpu", compile=False)
    assert set(posterior.draws) == {"topics"}
    near(overlap(posterior.draws["topics"]), by_brute_force(SMALL, 0.7, 0.9)[1], 400)


def test_gibbs_and_nuts_agree_where_brute_force_would_never_end():
    torch.manual_seed(0)
    topics = torch.tensor([[0.5, 0.3, 0.1, 0.05, 0.05], [0.05, 0.05, 0.2, 0.3, 0.4]])
    mixture = torch.distributions.Dirichlet(torch.tensor([0.5, 0.5])).sample((8,))
    x = torch.distributions.Multinomial(12, mixture @ topics).sample()
    pair = zoo.create("lda", x, topics=2, concentration=0.5)
    found = []
    for settings in ({"kernel": "gibbs", "warmup": 100, "draws": 1500}, {"kernel": "nuts", "chains": 32, "warmup": 50, "draws": 15}):
        draws = inference.mcmc(pair, x, device="cpu", compile=False, **settings).draws
        both = torch.stack([overlap(draws["topics"]), draws["topic_concentration"]], -1)
        found.append(convergence(both.double().numpy()))
    gibbs, nuts = found
    for k in range(2):
        variance = sum(one["sd"][k] ** 2 / one["ess_bulk"][k] for one in found)
        assert min(one["ess_bulk"][k] for one in found) > 100
        assert abs(gibbs["mean"][k] - nuts["mean"][k]) < 4 * variance**0.5


def test_concentrations_are_drawn_from_their_posterior():
    # One by one: the topics' by quadrature over it, with the texts' given.
    grid = np.linspace(0.02, 8, 200)
    logs = np.array([by_brute_force(SMALL, 0.7, beta)[0] for beta in grid]) + gamma.logpdf(grid, 2.0, scale=0.5)
    weights = np.exp(logs - logs.max())
    pair = zoo.create("lda", topics=2, vocabulary=4, concentration=0.7)
    posterior = inference.mcmc(pair, SMALL, kernel="gibbs", chains=4, warmup=50, draws=1500, device="cpu")
    near(posterior.draws["topic_concentration"], float(weights @ grid / weights.sum()), 400)


def test_concentrations_of_mixtures_are_those_of_texts_that_have_them():
    # Two words, one for each topic, so that the topic of a word is known, and the sum over it is one over texts.
    x = np.array([[3.0, 0], [0, 2], [4, 1], [0, 3]])
    grid = np.linspace(0.02, 6, 120)
    first, second = np.meshgrid(grid, grid, indexing="ij")
    logs = sum(gamma.logpdf(a, 2.0, scale=0.5) for a in (first, second))
    for row in x:
        logs = logs + np.vectorize(lambda a, b, row=row: oracle.log_polya(row[None], np.array([a, b])))(first, second)
    weights = np.exp(logs - logs.max())
    chain = TopicGibbs(torch.as_tensor(x), 4, 2, None, 0.5, 2.0)
    chain.by_text[:] = x
    drawn = []
    for _ in range(3000):
        chain.concentration = chain._drawn(chain.by_text, chain.concentration)
        drawn.append(chain.concentration)
    near(torch.as_tensor(np.stack(drawn, 1)[:, 100:, 0]), float((weights * first).sum() / weights.sum()), 1000)


def test_gibbs_refuses_what_it_does_not_know():
    x, _ = bars(20)
    pair = zoo.create("lda", x, topics=3)
    with pytest.raises(ValueError, match="no checkpoint, start or target_acceptance"):
        inference.mcmc(pair, x, kernel="gibbs", checkpoint="nowhere")
    x[2, 3] = torch.nan
    with pytest.raises(ValueError, match="row 2.*missing.*nuts"):
        inference.mcmc(pair, x, kernel="gibbs")
    with pytest.raises(TypeError, match="PPCA has no Gibbs sampler of its own"):
        inference.mcmc(zoo.create("ppca", dim=3), torch.randn(9, 3), kernel="gibbs")
