"""Continuous latents that each row has of its own, drawn by the guide: against a linear model of which everything is known."""

import dataclasses

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.nn import PyroParam
from torch import Tensor
from torch.distributions import constraints

import inference
from inference import as_table, memory
from inference.amortised import given_rows
from inference.answers import predictive, refill
from inference.program import Program
from tests.linear import BIAS, NOISE, WEIGHT, Linear, exact, filled, posterior_of, rows


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
    monkeypatch.setattr(refill, "log_weight", lambda program, values, x: (given_rows(program, values, x)[0], x.new_zeros(len(x))))
    x = rows(6, holes=True)
    _, sd = posterior_of(Linear(1.6), x).impute(x)
    assert (sd - filled(x)[1]).abs().max() > 0.06


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


def test_a_frame_comes_back_as_a_frame():
    x = as_table(rows(4).numpy())
    frame = dataclasses.replace(x, frame=True)
    posterior = posterior_of(Linear(), rows())
    assert list(posterior.reconstruct(frame).columns) == ["0", "1", "2", "3"]
    assert list(posterior.encode(frame).mean.columns) == ["0", "1"]
