"""The restricted Boltzmann machine: its normaliser and chains against all states, fits to digits, clamped pixels."""

import functools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.neural_network import BernoulliRBM
from torch import Tensor

import inference
import zoo
from inference import Posterior, as_table
from tests.benchmarks import rbm as benchmark
from tests.oracles import rbm as oracle


def strong(visible: int = 12, hidden: int = 10, scale: float = 1.0, **given) -> Posterior:
    """A machine whose units lean on each other strongly, as a posterior."""
    torch.manual_seed(4)
    pair = zoo.create("rbm", hidden=hidden, dim=visible, **given)
    with torch.no_grad():
        for value in (pair.weights, pair.visible_bias, pair.hidden_bias):
            value.copy_(scale * torch.randn_like(value))
    return Posterior.of(pair, {}, {}, {"method": "hand"}, as_table(np.zeros((1, visible))))


def states(units: int) -> Tensor:
    return torch.tensor(oracle.states(units))


def truth(posterior: Posterior) -> float:
    """log Z by brute force over the hidden units."""
    return oracle.log_mass(posterior.pair, np.full(posterior.pair.dim, np.nan))


def test_log_z_of_12_by_10_units_is_that_of_brute_force_from_either_side():
    posterior = strong()
    log_z = truth(posterior)
    assert posterior.normalised().how["normaliser"]["by"] == "all 2^10 states of the latents"
    assert posterior.normalised().how["normaliser"]["log_z"] == pytest.approx(log_z, abs=1e-9)
    turned = strong(hidden=13).normalised()
    assert turned.how["normaliser"]["by"] == "all 2^12 states of the rows"
    assert turned.how["normaliser"]["log_z"] == pytest.approx(truth(turned), abs=1e-9)
    # And then all rows there are have a density of one together, and a row has the brute force's.
    scores = turned.score(states(12))
    assert scores.logsumexp(0).item() == pytest.approx(0.0, abs=1e-9)
    row = states(12)[77].numpy()
    assert scores[77].item() == pytest.approx(oracle.log_mass(turned.pair, row) - truth(turned), abs=1e-9)


@pytest.mark.parametrize("units", ["binary", "gaussian"])
def test_annealing_there_and_back_holds_the_truth_between_them(units):
    posterior = strong(8, 6, 1.0 if units == "binary" else 0.5, units=units)
    known = posterior.normalised(exact=False, places=300, chains=200).how["normaliser"]
    assert known["effective"] > 50
    assert known["low"] <= truth(posterior) <= known["high"]
    assert known["high"] - known["low"] < 0.5
    assert known["log_z"] == pytest.approx(truth(posterior), abs=0.2)


def test_too_few_places_are_told_by_the_report():
    posterior = strong(40, 30, 1.0).normalised(places=3, chains=20)
    found = {f.name: f for f in inference.diagnose(posterior).findings}["normaliser"]
    assert found.severity == "warning"
    assert "posterior.normalised(places=30)" in found.advice
    exact = {f.name: f for f in inference.diagnose(strong().normalised()).findings}["normaliser"]
    assert (exact.severity, "all 2^10 states" in exact.evidence) == ("good", True)
    unknown = {f.name: f for f in inference.diagnose(strong()).findings}["normaliser"]
    assert (unknown.severity, "posterior.normalised()" in unknown.advice) == ("warning", True)


def test_rows_of_a_frame_are_held_against_those_drawn():
    posterior = strong(6, 4).normalised()
    posterior = replace(posterior, table=as_table(pd.DataFrame(posterior.generate(60).numpy(), columns=list("abcdef"))))
    assert {f.name: f.severity for f in inference.diagnose(posterior).findings}["mass"] == "good"


def far_apart() -> Posterior:
    """Two modes, all zeros and all ones, that plain Gibbs hardly moves between; the second has a weight of about 0.7."""
    pair = zoo.create("rbm", hidden=2, dim=8)
    with torch.no_grad():
        pair.weights.fill_(4.0)
        pair.visible_bias.fill_(0.1)
        pair.hidden_bias.zero_()
    return Posterior.of(pair, {}, {}, {"method": "hand"}, as_table(np.zeros((1, 8))))


def test_generated_rows_have_the_shares_of_the_states():
    posterior = far_apart()
    shares = posterior.normalised().score(states(8)).exp()
    drawn = posterior.generate(4000) @ (2.0 ** torch.arange(7, -1, -1))
    found = torch.bincount(drawn.long(), minlength=256) / 4000
    assert 0.5 < shares[255] < 0.9
    torch.testing.assert_close(found, shares, rtol=0, atol=4 * (0.25 / 4000) ** 0.5)


def test_clamped_pixels_stay_and_the_others_follow_them():
    posterior = strong(8, 5).normalised()
    given = torch.full((1000, 8), torch.nan)
    given[:, 0], given[:, 3] = 1.0, 0.0
    drawn = posterior.generate(given=given)
    assert torch.equal(drawn[:, [0, 3]], given[:, [0, 3]])
    every = states(8)
    allowed = (every[:, 0] == 1) & (every[:, 3] == 0)
    shares = (posterior.score(every).exp() * allowed) / posterior.score(every).exp()[allowed].sum()
    torch.testing.assert_close(drawn.mean(0), shares @ every, rtol=0, atol=4 * (0.25 / 1000) ** 0.5)
    imputed = posterior.impute(given[:30])
    torch.testing.assert_close(imputed.mean.mean(0), shares @ every, rtol=0, atol=0.05)


@functools.cache
def digits() -> tuple[Tensor, Tensor]:
    x = (zoo.data.load("digits").x > 0.5).double()
    return x[:1200], x[1200:]


@functools.cache
def fitted() -> Posterior:
    train, _ = digits()
    return inference.svi(zoo.create("rbm", train, hidden=12), train, batch=100, steps=800, device="cpu", compile=False)


def test_digits_are_told_better_than_by_scikit_learn_and_far_better_than_by_their_columns():
    train, test = digits()
    theirs = []
    for rate in (0.3, 0.1, 0.03):
        rbm = BernoulliRBM(12, learning_rate=rate, batch_size=100, n_iter=67, random_state=0).fit(train.numpy())
        made, _ = benchmark.machine(rbm.components_.T, rbm.intercept_visible_, rbm.intercept_hidden_, train.mean(0).numpy())
        theirs.append(made.normalised().score(test).mean())
    mean = train.mean(0).clamp(1e-3, 1 - 1e-3)
    columns = (test * mean.log() + (1 - test) * (1 - mean).log()).sum(1).mean()
    ours = fitted().score(test).mean()
    assert ours > max(theirs) + 0.1
    assert max(theirs) > columns + 2


def test_the_report_believes_the_fit_and_shows_filters(tmp_path):
    report = inference.diagnose(fitted())
    severities = {f.name: f.severity for f in report.findings}
    assert severities["normaliser"] == severities["mass"] == severities["active latents"] == severities["beside the start"] == "good"
    figure = fitted().pair.picture(fitted())
    assert [axes.get_title() for axes in figure.axes if axes.get_title()] != []
    assert "unit" in figure.axes[0].get_title()
    assert "mass" in report.to_html(tmp_path / "report.html").read_text()


def test_covered_pixels_are_filled_better_than_by_their_means():
    train, test = digits()
    covered = test[:40].clone()
    covered[:, 24:40] = torch.nan
    found = fitted().impute(covered)
    error, naive = ((guess - test[:40])[:, 24:40].square().mean() for guess in (found.mean, train.mean(0).expand(40, -1)))
    assert error < 0.8 * naive
    assert fitted().encode(test[:3]).mean.shape == (3, 12)


def test_rows_are_reconstructed_as_by_all_states_of_their_hidden_units():
    pair, rows, hidden = fitted().pair, digits()[1][:50], states(12)
    with torch.no_grad():
        logits = pair.logits(rows)[:, None]
        shares = torch.distributions.Bernoulli(logits=logits).log_prob(hidden).sum(-1).exp()
        pixels = pair.field(hidden).sigmoid()
    mean, square = shares @ pixels, shares @ pixels.square()
    off = (fitted().reconstruct(rows) - mean) / ((square - mean.square()) / 100).sqrt()
    assert off.abs().max() < 6
    assert 0.8 < off.square().mean() < 1.2


def test_divergence_is_found_and_said():
    train, _ = digits()
    pair = zoo.create("rbm", train[:300], hidden=12, weight_decay=0.0)
    posterior = inference.svi(pair, train[:300], steps=100, lr=3.0, schedule="constant", device="cpu", compile=False)
    report = inference.diagnose(posterior)
    found = {f.name: f for f in report.findings}["mass"]
    assert found.severity == "failure"
    assert "diverged" in found.advice
    assert not report.ok


def test_a_fit_that_says_less_than_where_it_set_out_from_is_told():
    train, _ = digits()
    posterior = strong(64, 6).normalised()
    found = {f.name: f for f in inference.diagnose(replace(posterior, table=as_table(train[:300]))).findings}["beside the start"]
    mean = train[:300].mean(0).clamp(1e-3, 1 - 1e-3)
    columns = (train[:300] * mean.log() + (1 - train[:300]) * (1 - mean).log()).sum(1).mean()
    gained = float(posterior.score(train[:300]).mean() - columns)
    assert found.severity == "warning"
    assert float(found.evidence.split("gain ")[1].split()[0]) == pytest.approx(gained, rel=0.02)


def test_gaussian_units_learn_clusters_and_their_noise():
    torch.manual_seed(0)
    x = torch.tensor([[-2.0, 0.0], [2.0, 1.0]])[torch.randint(2, (600,))] + 0.3 * torch.randn(600, 2)
    pair = zoo.create("rbm", x, hidden=2, units="gaussian")
    posterior = inference.svi(pair, x, batch=100, steps=1500, lr=0.02, device="cpu", compile=False)
    normal = torch.distributions.MultivariateNormal(x.mean(0), x.mT.cov())
    # Two clusters of sd 0.3 each: the best there is, against one Gaussian.
    best = -(torch.tensor([0.5]).log().item() * -1) - 2 * (np.log(0.3) + 0.5 * np.log(2 * np.pi * np.e))
    assert posterior.score(x).mean() > 0.5 * (best + normal.log_prob(x).mean())
    new = posterior.generate(500)
    assert (new[:, 0].abs() > 1).double().mean() > 0.85
    assert (posterior.pair.units.noise < 0.7).any()
