"""The correlated topic model: its Gaussians of logits against automatic differentiation, its chains against quadrature, topics that go
together found again."""

import numpy as np
import pytest
import torch
from scipy.special import expit, roots_jacobi
from scipy.stats import multivariate_t, wishart
from torch import Tensor

import inference
import zoo
from inference.supports import CholeskyToMatrix, positive_definite
from tests.oracles import ctm as oracle
from tests.test_topic_gibbs import near, overlap
from zoo.distributions.softmax_gaussian import SoftmaxGaussian
from zoo.distributions.softmax_normal import SoftmaxNormal
from zoo.distributions.wishart import WishartTril
from zoo.distributions.word_counts import WordCounts
from zoo.topics.answers import halves
from zoo.topics.laplace import laplace
from zoo.topics.logit_law import LogitLaw, correlations


def texts(count: int = 400, words: int = 60) -> tuple[Tensor, Tensor, Tensor]:
    """Texts of five topics, each of four words of its own; the first two go together, and so do the next two, and the last is alone.

    Returns counts, topics and the correlations of centred logits."""
    topics = torch.block_diag(*[torch.full((1, 4), 0.25)] * 5)
    covariance = 4 * torch.block_diag(torch.tensor([[1.0, 0.6], [0.6, 1.0]]), torch.tensor([[1.0, 0.6], [0.6, 1.0]]), torch.eye(1))
    torch.manual_seed(3)
    mixture = torch.distributions.MultivariateNormal(torch.zeros(5), covariance).sample((count,)).softmax(-1)
    return torch.distributions.Multinomial(words, mixture @ topics).sample(), topics, correlations(torch.linalg.inv(covariance))


def test_the_gaussian_of_a_text_sits_at_the_mode_and_bends_as_the_density_does():
    torch.manual_seed(0)
    topics = torch.distributions.Dirichlet(torch.full((7,), 0.3)).sample((4,))
    x = torch.poisson(torch.full((20, 7), 3.0))
    x[0] = 0
    x[1] *= 40
    tril = torch.randn(4, 4).tril(-1) * 0.3 + torch.eye(4)
    precision, loc = tril @ tril.mT, torch.randn(4)
    found = laplace(x, topics, loc, precision)

    def density(logits: Tensor, row: Tensor) -> Tensor:
        away = logits - loc
        return (row * (logits.softmax(-1) @ topics).log()).sum() - 0.5 * away @ precision @ away

    for logits, factor, row in zip(found.mode, found.precision_tril, x, strict=True):
        assert torch.func.grad(density)(logits, row).abs().max() < 1e-3
        torch.testing.assert_close(factor @ factor.mT, -torch.func.jacrev(torch.func.jacrev(density))(logits, row), rtol=1e-2, atol=1e-2)
    torch.testing.assert_close(found.mode[0], loc)
    torch.testing.assert_close(found.words.sum(0), x.sum(0))


def test_a_text_is_encoded_and_scored_as_by_quadrature():
    torch.manual_seed(0)
    topics, x = torch.tensor([[0.1, 0.3, 0.6], [0.6, 0.3, 0.1]]), torch.tensor([[7.0, 4, 2], [1, 0, 0], [0, 0, 0]])
    pair = zoo.create("ctm", topics=2, vocabulary=3, topic_concentration=1.0, length=10.0, length_shape=2.0)
    precision, loc = torch.tensor([[1.0, 0.2], [0.2, 0.5]]), torch.tensor([0.4, -0.3])
    draws = {"topics": topics, "precision": precision, "loc": loc, "correlations": correlations(precision)}
    posterior = inference.Posterior.of(
        pair, {name: value[None, None] for name, value in draws.items()}, {}, {"method": "svi"}, inference.as_table(x)
    )
    line = torch.linspace(-25, 25, 4001)
    covariance = torch.linalg.inv(precision)
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    prior = torch.distributions.Normal(loc[0] - loc[1], variance.sqrt()).log_prob(line)
    mixture = torch.stack([line.sigmoid(), (-line).sigmoid()], -1)
    words = mixture @ topics
    given = WordCounts(words[:, None], pair.length, pair.length_shape).log_prob(x)  # (difference, text)
    log = prior[:, None] + given
    truth = log.logsumexp(0) + (line[1] - line[0]).log()
    torch.testing.assert_close(posterior.score(x, samples=20_000), truth, rtol=0, atol=0.03)
    mean = (log.softmax(0)[..., None] * mixture[:, None]).sum(0)
    torch.testing.assert_close(posterior.encode(x).mean, mean, rtol=0, atol=0.05)


def test_chains_draw_from_the_posterior_that_quadrature_knows():
    case = oracle.cases()[0]
    pair, smoothing = zoo.create("ctm", **case.hyperparameters), case.hyperparameters["topic_concentration"]
    posterior = inference.mcmc(pair, case.x, chains=16, warmup=50, draws=50, device="cpu", compile=False)
    nodes, weights = roots_jacobi(oracle.NODES, smoothing - 1, smoothing - 1)
    chance = (nodes + 1) / 2
    scale = np.linspace(-oracle.FAR, oracle.FAR, oracle.GRID)
    line, steps = np.sinh(scale), np.cosh(scale)
    words = expit(line)[:, None, None] * chance[:, None] + expit(-line)[:, None, None] * chance
    text = [words ** row[0] * (1 - words) ** row[1] for row in case.x]
    pairs = np.stack(np.meshgrid(line, line, indexing="ij"), -1)
    density = multivariate_t.pdf(pairs, np.zeros(2), 8 / 3 * (np.eye(2) + 1), df=3) * np.outer(steps, steps)
    joint = np.einsum("de,djk,ejk,j,k->jk", density, *text, weights, weights)
    alike = np.outer(chance, chance) + np.outer(1 - chance, 1 - chance)
    near(overlap(posterior.draws["topics"]), float((joint * alike).sum() / joint.sum()), 400)


@pytest.fixture(scope="module")
def fit() -> inference.Posterior:
    torch.set_default_dtype(torch.float64)
    x, _, _ = texts()
    return inference.svi(zoo.create("ctm", x[:300], topics=5), x[:300], steps=30, device="cpu", compile=False)


def test_topics_that_go_together_are_found(fit):
    _, topics, truth = texts()
    distances = 0.5 * torch.cdist(topics, torch.as_tensor(fit.mean("topics")), p=1)
    order = distances.argmin(1)
    assert distances.amin(1).max() < 0.05
    found = torch.as_tensor(fit.mean("correlations"))[order][:, order]
    assert found[0, 1] > 0.25 and found[2, 3] > 0.25
    torch.testing.assert_close(found, truth, rtol=0, atol=0.15)
    assert inference.matched(fit, fit)["apart"].max() == 0


def test_texts_never_seen_are_completed_better_than_without_correlations(fit):
    x, topics, _ = texts()
    first = x[300:] * 0
    first[:, :4], first[:, 8:12] = x[300:, :4], x[300:, 8:12]  # of each two that go together one is seen
    held = x[300:] - first
    plain = inference.svi(zoo.create("lda", x[:300], topics=5), x[:300], steps=30, device="cpu", compile=False)
    assert fit.completion(first, held).per_word > plain.completion(first, held).per_word + 0.1
    one, two = halves(x[300:])
    blind = float(torch.xlogy(two, x[:300].sum(0) / x[:300].sum()).sum() / two.sum())
    assert fit.completion(one, two).per_word > blind + 0.5


def test_minibatches_lead_to_the_same_law_of_logits(fit):
    x, _, _ = texts()
    batches = inference.svi(fit.pair, x[:300], batch=100, steps=60, device="cpu", compile=False)
    order = inference.matched(fit, batches)["match"].to_numpy(int)
    np.testing.assert_allclose(batches.mean("correlations")[order][:, order], fit.mean("correlations"), atol=0.15)


def test_the_law_of_logits_is_the_conjugate_posterior():
    torch.manual_seed(0)
    law, logits = LogitLaw(3, 1.5), torch.randn(50, 3) @ torch.randn(3, 3)
    law.q_count, law.q_sum = torch.tensor(50.0), logits.sum(0)
    law.q_square = logits.mT @ logits
    scatter = logits - logits.mean(0)
    rate = 1.5**2 * torch.eye(3) + scatter.mT @ scatter + 50 / 51 * torch.outer(logits.mean(0), logits.mean(0))
    expected = law.expected()
    torch.testing.assert_close(expected.loc, logits.sum(0) / 51)
    torch.testing.assert_close(expected.precision, 55 * torch.linalg.inv(rate))


def test_matrices_have_the_density_that_scipy_gives_them():
    scale = torch.tensor([[1.0, 0.0, 0.0], [0.4, 0.8, 0.0], [-0.3, 0.2, 0.5]])
    law = torch.distributions.TransformedDistribution(WishartTril(torch.tensor(5.0), scale), [CholeskyToMatrix()])
    drawn = law.rsample((10,))
    truth = wishart.logpdf(drawn.movedim(0, -1).numpy(), 5, (scale @ scale.mT).numpy())
    torch.testing.assert_close(law.log_prob(drawn), torch.as_tensor(truth))
    bijection = torch.distributions.biject_to(positive_definite)
    flat = torch.randn(6)
    rows, columns = torch.tril_indices(3, 3)
    jacobian = torch.func.jacrev(lambda u: bijection(u)[rows, columns])(flat)
    torch.testing.assert_close(bijection.log_abs_det_jacobian(flat, bijection(flat)), jacobian.det().abs().log())
    torch.testing.assert_close(bijection.inv(bijection(flat)), flat)
    assert positive_definite.check(drawn).all() and not positive_definite.check(-drawn).any()


def test_shares_without_correlations_are_those_of_independent_logits():
    loc, scale = torch.tensor([0.3, -0.5, 1.0]), torch.tensor([0.8, 1.7, 0.4])
    one, other = SoftmaxGaussian(loc, torch.diag(1 / scale)), SoftmaxNormal(loc, scale)
    drawn = other.rsample((20,))
    torch.testing.assert_close(one.log_prob(drawn), other.log_prob(drawn))
    torch.manual_seed(0)
    mean = one.mean
    torch.manual_seed(0)
    torch.testing.assert_close(mean, other.mean)


def test_one_topic_is_refused():
    with pytest.raises(ValueError, match="topics=1.*greater than or equal to 2"):
        zoo.create("ctm", topics=1)
