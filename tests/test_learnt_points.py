"""Weights learnt as a point, beside latents of rows: fitted, saved, reported, and refused what it cannot do."""

import numpy as np
import pytest
import torch

import inference
from inference import as_table
from inference.diagnostics.codes import by_row, used
from tests.linear import Linear, exact, posterior_of, rows


def test_a_fit_finds_the_law_of_the_rows_and_the_encoder(caplog):
    x = rows(200)
    pair = Linear(off=0.5)
    with torch.no_grad():
        pair.decoder.weight.mul_(0.2)
        pair.q_encoder.weight.zero_()
    before = {name: value.clone() for name, value in pair.state_dict().items()}
    posterior = inference.svi(pair, x, objective="mean_field", lr=0.02, particles=1, steps=2000, device="cpu", compile=False)
    assert posterior.shape == (1, 1)
    assert posterior.draws == {}
    assert set(posterior.stats) == {"loss"}
    assert all(torch.equal(value, before[name]) for name, value in pair.state_dict().items())
    # No density of this form gives the rows more than the truth by much.
    assert posterior.score(x).mean() > exact().log_prob(x).mean() - 0.03
    torch.testing.assert_close(posterior.score(x, samples=1).mean(), posterior.score(x).mean(), rtol=0, atol=0.1)
    assert not caplog.records


@pytest.fixture
def point() -> inference.Posterior:
    return posterior_of(Linear(off=1.3), rows(30))


def test_a_point_is_saved_and_loaded_with_its_weights(point, tmp_path):
    with torch.no_grad():
        point.pair.decoder.bias.add_(1.0)
    again = inference.load(point.save(tmp_path / "saved"), pair=Linear)
    x = point.table.x
    assert again.draws == {}
    assert again.like.dtype == torch.float64
    assert torch.equal(again.score(x), point.score(x))
    assert torch.equal(again.generate(3), point.generate(3))
    assert torch.equal(again.table.x, x)


def test_a_point_tells_arviz_of_its_rows(point):
    tree = point.to_arviz(groups="all", draws=5)
    assert "posterior" not in tree.children
    assert tree["log_likelihood"]["x"].shape == (1, 1, 30)
    np.testing.assert_allclose(tree["log_likelihood"]["x"][0, 0], point.score(point.table.x))
    assert tree["posterior_predictive"]["x"].shape == (1, 1, 30, 4)
    assert tree["prior_predictive"]["x"].shape == (1, 5, 30, 4)


def test_a_point_has_a_report(point, tmp_path):
    report = inference.diagnose(point)
    assert report.ok
    assert {f.name: f.severity for f in report.findings} == {
        "loss": "good",
        "active latents": "good",
        "k-hat by row": "good",
        "density": "note",
        "predictive checks": "good",
    }
    assert "2 of 2 latents" in str(report)
    assert "Empty" not in str(report)
    page = report.to_html(tmp_path / "report.html").read_text()
    assert "k-hat by row" in page
    assert "Parameters" not in page
    assert repr(point) == "<Posterior of Linear by svi: a point>"


def test_latents_that_tell_nothing_are_found():
    pair, x = Linear(), rows(60)
    with torch.no_grad():
        pair.q_encoder.weight[1] = 0.0
        pair.q_scale = torch.tensor([0.3, 1.0])
    assert used(posterior_of(pair, x), as_table(x))["z"].tolist() == [True, False]
    assert "1 of 2 latents" in str(inference.diagnose(posterior_of(pair, x)))
    with torch.no_grad():
        pair.q_encoder.weight[0] = 0.0
    report = inference.diagnose(posterior_of(pair, x))
    assert [f.name for f in report.findings if f.severity == "failure"] == ["active latents"]


def test_k_hat_of_every_row_tells_a_guide_that_is_too_narrow():
    x = rows(50)
    exact_guide, wide, narrow = (by_row(posterior_of(Linear(off), x), as_table(x)) for off in (1.0, 1.3, 0.4))
    assert np.isneginf(exact_guide.khat).all()
    np.testing.assert_allclose(exact_guide.elbo, exact().log_prob(x))
    assert (wide.khat < 0.5).mean() > 0.95
    assert (narrow.khat > 0.5).mean() > 0.8
    finding = next(f for f in inference.diagnose(posterior_of(Linear(0.4), x)).findings if f.name == "k-hat by row")
    assert finding.severity == "warning"


REFUSED = {
    "mcmc": (TypeError, lambda p: inference.mcmc(p.pair, p.table.x, device="cpu"), ["Linear.model", "'z'", "mcmc", "svi", "integrate"]),
    "map": (TypeError, lambda p: inference.svi(p.pair, p.table.x, guide="map", device="cpu"), ["'z'", "guide='map'", "own guide"]),
    "automatic": (TypeError, lambda p: inference.svi(p.pair, p.table.x, guide="AutoNormal", device="cpu"), ["'z'", "AutoNormal"]),
    "calibrate": (TypeError, lambda p: inference.calibrate(p.pair, rows=p.table.x, simulations=20), ["'z'", "calibrate"]),
    "loo": (ValueError, lambda p: p.loo(), ["point", "no draws", "validation", "score"]),
    "sensitivity": (ValueError, lambda p: p.sensitivity(), ["point", "no draws"]),
    "resampled": (ValueError, lambda p: p.resampled(), ["not known"]),
    "compare": (ValueError, lambda p: inference.compare({"a": p, "b": p}), ["point", "score"]),
    "no samples": (ValueError, lambda p: p.score(p.table.x, samples=0), ["samples=0"]),
}


@pytest.mark.parametrize("door", REFUSED)
def test_what_cannot_be_done_is_refused_with_the_way_out(point, door):
    error, call, parts = REFUSED[door]
    with pytest.raises(error) as caught:
        call(point)
    assert [part for part in parts if part not in str(caught.value)] == []
