"""Continuous latents that each row has of its own, drawn by the guide: against a linear model of which everything is known."""

import dataclasses

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.nn import PyroParam
from torch import Tensor
from torch.distributions import constraints
from torch.func import grad_and_value

import inference
from inference import as_table, memory, predictive, refill
from inference.diagnostics.codes import by_row, used
from inference.functorch import traceable
from inference.graph import batched
from inference.objectives import OBJECTIVES, MeanFieldELBO, NegativeELBO
from inference.program import Program
from tests.linear import BIAS, NOISE, WEIGHT, Linear, exact, filled, posterior_of, rows
from tests.test_objectives import Pathless


@pytest.mark.parametrize("holes", [False, True])
def test_the_density_of_a_row_is_that_with_its_latents_integrated_out(holes):
    x = rows(40, holes)
    truth = exact().log_prob(x)
    found = posterior_of(Linear(off=1.4), x).score(x, samples=20_000)
    complete = ~x.isnan().any(1)
    torch.testing.assert_close(found[complete], truth[complete], rtol=0, atol=0.05)
    if holes:  # of those the guide knows less
        torch.testing.assert_close(found, truth, rtol=0, atol=0.3)


def test_an_exact_guide_needs_one_draw_whatever_fits_into_memory(monkeypatch):
    x, posterior = rows(), posterior_of(Linear(), rows())
    truth = exact().log_prob(x)
    torch.testing.assert_close(posterior.score(x, samples=1), truth, rtol=1e-10, atol=0)
    monkeypatch.setattr(memory, "CELLS", 8 * 4 * 5 * 3)
    assert [len(part.x) for part in predictive.row_chunks(Program(posterior.pair, x), 5)] == [3, 3, 3, 3]
    torch.testing.assert_close(posterior.log_likelihood(x, samples=5)[0, 0], truth, rtol=1e-10, atol=0)


def test_more_samples_come_nearer_to_the_density_from_below():
    x = rows(400)
    posterior, truth = posterior_of(Linear(off=2.0), x), exact().log_prob(x).mean()
    one, ten, hundred = (posterior.score(x, samples=k).mean() for k in (1, 10, 100))
    assert one < ten - 0.1 < hundred < truth + 0.01


def test_a_row_of_which_nothing_was_seen_has_density_one():
    x = torch.cat([rows(2), torch.full((1, 4), torch.nan)])
    assert posterior_of(Linear(off=2.0), rows()).score(x)[2] == 0


def test_encode_gives_the_guides_mean_and_sd():
    x = rows()
    found, law = posterior_of(Linear(), x).encode(x), exact().latents(x)["z"]
    torch.testing.assert_close(found.mean, law.mean)
    torch.testing.assert_close(found.sd, law.variance.sqrt().expand(len(x), 2))


def test_reconstruct_gives_the_mean_of_a_row_through_its_latents():
    x = rows()
    found = posterior_of(Linear(), x).reconstruct(x, samples=4000)
    torch.testing.assert_close(found, exact().reconstruct(x), rtol=0, atol=0.03)


def test_rows_generated_have_the_law_of_the_model():
    new = posterior_of(Linear(), rows()).generate(20_000)
    covariance = WEIGHT @ WEIGHT.mT + NOISE**2 * torch.eye(4)
    torch.testing.assert_close(new.mean(0), BIAS, rtol=0, atol=0.05)
    torch.testing.assert_close(new.mT.cov(), covariance, rtol=0, atol=0.08)


@pytest.mark.parametrize("off", [1.0, 1.6])
def test_holes_are_filled_by_their_law_whatever_the_guide(off, monkeypatch):
    monkeypatch.setattr(refill, "CHAINS", 400)
    x = rows(6, holes=True)
    mean, sd = posterior_of(Linear(off), x).impute(x)
    true_mean, true_sd = filled(x)
    torch.testing.assert_close(mean, true_mean, rtol=0, atol=0.03)
    torch.testing.assert_close(sd, true_sd, rtol=0, atol=0.03)


def test_without_acceptance_holes_would_be_filled_wrong(monkeypatch):
    monkeypatch.setattr(refill, "CHAINS", 400)
    monkeypatch.setattr(refill, "log_weight", lambda program, values, x: (refill.given_rows(program, values, x)[0], x.new_zeros(len(x))))
    x = rows(6, holes=True)
    _, sd = posterior_of(Linear(1.6), x).impute(x)
    assert (sd - filled(x)[1]).abs().max() > 0.06


@pytest.mark.parametrize("batch", [12, 5])
def test_a_divergence_in_closed_form_leaves_no_noise_where_the_decoder_is_blind(batch):
    pair = Linear(off=1.4)
    with torch.no_grad():
        pair.decoder.weight.zero_()
    x = rows()
    program = Program(pair, x)
    objective = MeanFieldELBO(program, pair.guide)
    assert objective.closed == ["z"]
    values = {n: p.detach() for n, p in objective.named_parameters()}
    some = x[:batch]
    found = torch.stack([objective.loss(values, some) for _ in range(3)])
    q = dist.Normal(pair.q_encoder(some), pair.q_scale)
    loss = torch.distributions.kl_divergence(q, dist.Normal(torch.zeros(2), 1.0)).sum() - dist.Normal(BIAS, NOISE).log_prob(some).sum()
    torch.testing.assert_close(found, (loss * 12 / batch).detach().expand(3), rtol=1e-10, atol=0)


ORDERS = [("iwae", {}, 0.0), ("renyi", {"alpha": 0.5}, 0.5), ("renyi", {"alpha": 2.0}, 2.0)]


@pytest.mark.parametrize(("name", "given", "order"), ORDERS)
def test_each_row_has_a_bound_of_its_own(name, given, order):
    pair, x = Linear(), rows(6)
    objective = OBJECTIVES[name](Program(pair, x), pair.guide, particles=3, **given)
    values = {n: p.detach() for n, p in objective.named_parameters()}
    for some in (x, x[:2]):
        with traceable():
            grads, loss = grad_and_value(objective.loss)(values, some)
        torch.testing.assert_close(loss, -exact().log_prob(some).sum() * 6 / len(some), rtol=1e-10, atol=0)
        assert grads["pair.q_scale_unconstrained"].abs().max() < 1e-8


class Score(Linear):
    """Its guide's draws have no gradient."""

    law = Pathless


@pytest.mark.parametrize("cls", [Linear, Score])
@pytest.mark.parametrize(("name", "given", "order"), ORDERS)
def test_the_bounds_of_rows_and_their_gradients_are_right_on_average(name, given, order, cls):
    pair, x = cls(off=1.3), rows(3)
    objective = OBJECTIVES[name](Program(pair, x), pair.guide, particles=2, **given)
    values = {n: p.detach().expand(20_000, *p.shape) for n, p in objective.named_parameters()}

    def total(values: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        each = torch.func.vmap(objective.loss, (0, None), randomness="different")(values, x)
        return each.sum(), each

    with traceable():
        grads, (_, losses) = grad_and_value(total, has_aux=True)(values)
    by_hand = _bound_by_hand(pair, x, order, 200_000)
    slopes = torch.autograd.grad(-by_hand.mean(0).sum(), [pair.q_scale_unconstrained, pair.decoder.weight])
    _near(losses.detach(), -by_hand.detach().sum(1))
    for parameter, slope in zip(("q_scale_unconstrained", "decoder.weight"), slopes, strict=True):
        found = grads[f"pair.{parameter}"]
        error = found.std(0) / len(found) ** 0.5
        assert ((found.mean(0) - slope).abs() < 5 * error + 0.01).all()


def _bound_by_hand(pair: Linear, x: Tensor, order: float, count: int) -> Tensor:
    """(count, rows) the bound of each row by two draws of the guide."""
    q = dist.Normal(pair.q_encoder(x).expand(count, 2, -1, -1), pair.q_scale)
    z = q.rsample()
    log_p = dist.Normal(0.0, 1.0).log_prob(z).sum(-1) + dist.Normal(pair.decoder(z), NOISE).log_prob(x).sum(-1)
    log_w = (1 - order) * (log_p - q.log_prob(z).sum(-1))
    return (log_w.logsumexp(1) - np.log(2)) / (1 - order)


def _near(one: Tensor, other: Tensor) -> None:
    """Two samples have the same mean, up to four standard errors."""
    error = (one.var() / len(one) + other.var() / len(other)).sqrt()
    assert (one.mean() - other.mean()).abs() < 4 * error


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


def test_a_guide_that_draws_a_rows_latents_outside_the_plate_is_refused():
    class Outside(Linear):
        def guide(self, x: Tensor, size: int | None = None) -> None:
            pyro.sample("z", dist.Normal(self.q_encoder(x), 1.0).to_event(2))

    with pytest.raises(ValueError, match="Outside.guide draws 'z' on the other side of the plate 'data'; draw it inside"):
        inference.svi(Outside(), rows(), device="cpu")


class Shared(Linear):
    """The same with an offset that rows share, whose prior is Normal(0, 2); the guide is right about both."""

    def __init__(self) -> None:
        super().__init__(learnt=False)
        self.q_loc = PyroParam(torch.tensor(0.0), constraints.real)
        self.q_width = PyroParam(torch.tensor(0.1), constraints.positive)

    def model(self, x: Tensor, size: int | None = None) -> None:
        offset = pyro.sample("offset", dist.Normal(x.new_zeros(()), 2.0))
        self.decode(x, size, offset)

    def guide(self, x: Tensor, size: int | None = None) -> None:
        offset = pyro.sample("offset", dist.Normal(self.q_loc, self.q_width))
        self.encode(x, size, offset)


def _posterior_of_offset(x: Tensor) -> tuple[Tensor, Tensor]:
    precision = torch.linalg.inv(WEIGHT @ WEIGHT.mT + NOISE**2 * torch.eye(4)).sum(0)
    variance = 1 / (len(x) * precision.sum() + 0.25)
    return variance * ((x - BIAS) @ precision).sum(), variance.sqrt()


def test_what_rows_share_has_draws_beside():
    x = rows(80)
    loc, scale = _posterior_of_offset(x)
    pair = Shared()
    pair.q_loc, pair.q_width = loc, scale
    offset = loc + scale * torch.randn(1, 400)
    posterior = posterior_of(pair, x, {"offset": offset})
    likelihood = posterior.log_likelihood(x[:5], samples=1)
    assert likelihood.shape == (1, 400, 5)
    torch.testing.assert_close(likelihood[0], exact().log_prob(x[:5] - offset[0][:, None, None]), rtol=1e-9, atol=0)
    found = posterior.encode(x)
    means = exact().latents(x - offset[0][:, None, None])["z"]
    torch.testing.assert_close(found.mean, means.mean.mean(0))
    torch.testing.assert_close(found.sd, (means.variance[0] + means.mean.var(0, correction=0)).sqrt())
    assert {"k-hat by row", "left out"} <= {f.name for f in inference.diagnose(posterior).findings}
    assert posterior.impute(rows(3, holes=True)).mean.isfinite().all()


def test_what_rows_share_is_fitted_together_with_the_encoder():
    x = rows(80) + 1.0
    loc, scale = _posterior_of_offset(x)
    posterior = inference.svi(Shared(), x, steps=1500, lr=0.02, device="cpu", compile=False)
    offset = posterior.draws["offset"]
    assert offset.shape == (1, 1000)
    assert set(posterior.stats) == {"loss"}
    assert (offset.mean() - loc).abs() < 5 * scale / 1000**0.5 + 0.1 * scale
    assert offset.std().item() == pytest.approx(scale.item(), rel=0.15)


def test_rows_with_holes_in_a_minibatch_keep_the_loss_unbiased():
    x = rows(12, holes=True)
    pair = Linear()
    program = Program(pair, x)
    objective = NegativeELBO(program, pair.guide)
    values = {n: p.detach() for n, p in objective.named_parameters()}

    def losses(some: Tensor) -> Tensor:
        return batched(lambda _: objective.loss(values, some), missing=True)(torch.zeros(4000))

    whole, parts = losses(x), torch.cat([losses(part) for part in x.split(3)])
    error = (whole.var() / len(whole) + parts.var() / len(parts)).sqrt()
    assert error < 0.005 * whole.mean().abs()
    assert (whole.mean() - parts.mean()).abs() < 4 * error


def test_a_frame_comes_back_as_a_frame():
    x = as_table(rows(4).numpy())
    frame = dataclasses.replace(x, frame=True)
    posterior = posterior_of(Linear(), rows())
    assert list(posterior.reconstruct(frame).columns) == ["0", "1", "2", "3"]
    assert list(posterior.encode(frame).mean.columns) == ["0", "1"]
