"""Supervised topics on texts whose coefficients are known, beside regressions on the mixtures of `lda`; responses against quadrature."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.integrate import quad
from scipy.special import expit
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression, Ridge

import inference
import zoo
from tests.bars import bars
from zoo.text import with_response

KNOWN = slice(None, 200)
NEW = slice(200, None)
TRUTH = torch.tensor([-4.0, -1.0, 2.0, 5.0])


def planted() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Counts (400, 24), numbers that mixtures foretell, and categories."""
    torch.manual_seed(0)
    topics = torch.distributions.Dirichlet(torch.full((24,), 0.3)).sample((4,))
    mixture = (2.5**0.5 * torch.randn(400, 4)).softmax(-1)  # as of concentration 0.3
    x = torch.distributions.Multinomial(40, mixture @ topics).sample()
    numbers = mixture @ TRUTH + torch.randn(400)
    categories = torch.distributions.Categorical(
        logits=3 * mixture @ torch.tensor([[2.0, 0, -1], [2, -1, 0], [-1, 2, 0], [-1, 0, 2]])
    ).sample()
    return x, numbers, categories.to(x)


def rows(x: torch.Tensor, response: torch.Tensor) -> torch.Tensor:
    """The counts, with the responses of the first half."""
    return torch.cat([x, torch.where(torch.arange(len(x)) < 200, response, torch.nan)[:, None]], 1)


@pytest.fixture(scope="module")
def mixtures() -> np.ndarray:
    """Of all texts, by `lda`."""
    torch.set_default_dtype(torch.float64)
    x, _, _ = planted()
    return inference.svi(zoo.create("lda", x, topics=4), x, steps=100, device="cpu", compile=False).encode(x).mean.numpy()


def test_coefficients_are_found_and_responses_foretold_as_well_as_by_regression_on_mixtures(mixtures):
    x, numbers, _ = planted()
    pair = zoo.create("slda", rows(x, numbers), topics=4, concentration=0.3)
    fit = inference.svi(pair, rows(x, numbers), steps=200, schedule="cosine", device="cpu", compile=False)
    np.testing.assert_allclose(np.sort(fit.mean("coefficients")), TRUTH, atol=0.6)
    assert fit.mean("noise") == pytest.approx(1, abs=0.2)
    y = numbers.numpy()
    ridge = Ridge(0.1).fit(mixtures[KNOWN], y[KNOWN]).predict(mixtures[NEW])
    mean, sd = fit.thinned(5).responses(x[NEW]).numpy().T
    ours, theirs = (np.sqrt(np.square(found - y[NEW]).mean()) for found in (mean, ridge))
    assert ours < 1.05 * theirs
    assert 0.9 < (abs(mean - y[NEW]) < 1.96 * sd).mean() < 0.99
    imputed = fit.impute(rows(x, numbers)[200:230])
    np.testing.assert_allclose(imputed.mean[:, -1], mean[:30], atol=0.5)


def test_noise_is_as_wide_as_by_quadrature_after_few_steps():
    """Topics that share no word, so that mixtures are all but known; then coefficients are integrated out, and the noise by a grid."""
    torch.manual_seed(0)
    mixture = (2.5**0.5 * torch.randn(400, 2)).softmax(-1)
    words = torch.distributions.Multinomial(100, mixture @ torch.eye(2).repeat_interleave(3, 1) / 3).sample()
    x = torch.cat([words, (mixture @ torch.tensor([-1.0, 1.0]) + torch.randn(400))[:, None]], 1)
    pair = zoo.create("slda", x, topics=2, concentration=0.3)
    given, known = pair.hyperparameters, mixture.numpy()
    noise = np.linspace(0.7, 1.4, 500)
    values, axes = np.linalg.eigh(known @ known.T)
    scales = np.sqrt((given["coefficient_scale"] * given["spread"]) ** 2 * values.clip(0) + noise[:, None] ** 2)
    logs = norm.logpdf(axes.T @ (x[:, -1].numpy() - given["center"]), 0, scales).sum(1) + norm.logpdf(noise, 0, given["spread"])
    weights = np.exp(logs - logs.max())
    mean = np.average(noise, weights=weights)
    sd = np.sqrt(np.average(np.square(noise - mean), weights=weights))
    found = inference.svi(pair, x, steps=50, draws=1000, device="cpu", compile=False).draws["noise"]
    assert found.mean().item() == pytest.approx(mean, abs=0.5 * sd)
    assert found.std().item() == pytest.approx(sd, rel=0.2)


def test_categories_are_told_about_as_well_as_by_regression_on_mixtures(mixtures):
    x, _, categories = planted()
    known = rows(x, categories)
    pair = zoo.create("slda", known, topics=4, categories=3, concentration=0.3)
    fit = inference.svi(pair, known, steps=200, schedule="cosine", device="cpu", compile=False)
    found, y = fit.thinned(5).responses(x[NEW]).numpy(), categories.numpy().astype(int)
    np.testing.assert_allclose(found.sum(1), 1)
    theirs = LogisticRegression(C=10).fit(mixtures[KNOWN], y[KNOWN]).predict_proba(mixtures[NEW])
    losses = [-np.log(p[np.arange(200), y[NEW]]).mean() for p in (found, theirs)]
    assert losses[0] < 1.1 * losses[1]


def test_responses_are_those_of_quadrature():
    """Two topics of two words: the mean response given four words, over the one number that a mixture has."""
    pair = zoo.create("slda", topics=2, vocabulary=2, concentration=0.5, topic_concentration=1.0)
    topics, coefficients = torch.tensor([[0.9, 0.1], [0.3, 0.7]]), torch.tensor([-1.0, 2.0])
    x = torch.tensor([[3.0, 1.0, 0.4], [0.0, 4.0, torch.nan]])
    fit = inference.svi(pair, x, steps=1, draws=1, device="cpu", compile=False)
    fit = replace(fit, draws={"topics": topics[None, None], "coefficients": coefficients[None, None], "noise": torch.tensor([[0.5]])})
    truth = []
    for row in x.numpy():

        def density(logit: float, power: int, row: np.ndarray = row) -> float:
            share = expit(logit)
            first = share * 0.9 + (1 - share) * 0.3
            foretold = -share + 2 * (1 - share)
            return foretold**power * first ** row[0] * (1 - first) ** row[1] * norm.pdf(logit, 0, np.sqrt(2 * 0.5 / 0.5))

        mass, mean, square = (quad(density, -20, 20, (power,))[0] for power in range(3))
        truth.append([mean / mass, np.sqrt(square / mass - (mean / mass) ** 2 + 0.25)])
    found = fit.responses(x, samples=20000)
    np.testing.assert_allclose(found, truth, atol=0.03)
    np.testing.assert_allclose(fit.responses(x[:, :2], samples=20000), truth, atol=0.03)


def test_sparse_rows_with_some_responses_are_streamed_completed_and_saved(tmp_path):
    x, _ = bars(60)
    counts = pd.DataFrame(x.numpy(), [f"t{i}" for i in range(60)], [f"w{i}" for i in range(25)]).astype(pd.SparseDtype("float", 0))
    labelled = with_response(counts, pd.Series(np.arange(40.0), [f"t{i}" for i in range(40)]))
    assert all(isinstance(dtype, pd.SparseDtype) for dtype in labelled.dtypes)
    assert labelled["response"].isna().sum() == 20
    posterior = inference.svi(zoo.create("slda", labelled, topics=3), labelled, batch=20, steps=20, device="cpu", compile=False)
    again = inference.load(posterior.save(tmp_path / "saved"))
    pd.testing.assert_frame_equal(again.topics(4), posterior.topics(4))
    assert set(again.topics(4)["word"]) <= set(counts.columns)
    assert again.completion(labelled).words.sum() == 60 * 30
    assert list(again.responses(counts[:3]).columns) == ["mean", "sd"]


@pytest.mark.parametrize(
    ("column", "given", "words"),
    [
        (torch.full((30,), torch.nan), {}, "the last, holds the responses, and none is known"),
        (torch.full((30,), 3.0), {"categories": 3}, "3 is no response.*0, ..., 2"),
        (torch.full((30,), 0.5), {"categories": 3}, "0.5 is no response"),
    ],
)
def test_what_is_no_response_is_refused(column, given, words):
    x, _ = bars(30)
    with pytest.raises(ValueError, match=words):
        zoo.create("slda", torch.cat([x, column[:, None]], 1), topics=3, **given)


def test_numbers_among_the_words_are_refused():
    x, _ = bars(30)
    x[2, 3] = 0.5
    with pytest.raises(ValueError, match="column '3', row 2: 0.5 is not a count"):
        zoo.create("slda", torch.cat([x, x[:, :1]], 1), topics=3)
