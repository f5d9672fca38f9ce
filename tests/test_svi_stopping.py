"""What ends a fit: rows held out, a loss that is not finite, an interruption; and going on after it."""

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.nn import PyroParam
from torch import Tensor
from torch.distributions import constraints

import inference
from inference.fitting.blame import blame
from inference.fitting.restarts import Batch
from inference.objectives import NegativeELBO
from inference.program import Program
from tests.test_svi import Normal, _findings


def _loss_of_a_point(loc: float, x: Tensor, rows: int) -> float:
    """Minus the log joint density, with the rows `x` standing for `rows`."""
    scale = rows / len(x)
    return -(dist.Normal(0.0, 10.0).log_prob(torch.tensor(loc)) + scale * dist.Normal(loc, 1.0).log_prob(x).sum()).item()


def test_rows_held_out_stop_a_fit_and_choose_its_parameters():
    # The fit goes from 5 to the mean of its rows, about 0; those held out would have it stay.
    x, held = torch.randn(20), torch.full((4,), 5.0)
    posterior = inference.svi(Normal(loc=5.0), x, guide="map", validation=held, patience=3, device="cpu")
    curve = posterior.stats["validation"]
    seen = curve[~curve.isnan()]
    assert posterior.how["steps"] == len(curve) == 50 * len(seen) == 200
    assert posterior.how["stopped"] == "converged after 200 steps: the rows held out have gained nothing for 3 times 50 steps"
    assert seen.argmin() == 0
    assert seen[0].item() == pytest.approx(_loss_of_a_point(posterior.draws["loc"].item(), held, len(x)), rel=1e-12)
    assert posterior.how["restarts"] == [seen[0].item()]
    assert posterior.how["rows"] == 20
    assert _findings(posterior)["loss"].severity == "good"


def test_a_fraction_of_the_rows_is_held_out():
    x = torch.arange(20.0)
    posterior = inference.svi(Normal(), x, guide="map", validation=0.25, steps=50, device="cpu")
    rest = torch.as_tensor(posterior.table.x[:, 0])
    assert len(rest) == 15
    held = torch.tensor([v for v in x.tolist() if v not in rest.tolist()])
    assert posterior.table.index.tolist() == rest.tolist()
    assert posterior.stats["validation"][-1].item() == pytest.approx(_loss_of_a_point(posterior.draws["loc"].item(), held, 15), rel=1e-12)


@pytest.mark.parametrize(
    ("validation", "said"),
    [(0.0, "between 0 and 1"), (1.5, "between 0 and 1"), (True, "bool"), (0.01, "holds out 0"), (torch.ones(2, 3), r"\(3,\).*\(1,\)")],
    ids=str,
)
def test_bad_rows_to_hold_out(validation, said):
    with pytest.raises((ValueError, TypeError), match=said):
        inference.svi(Normal(), torch.randn(9), validation=validation, device="cpu")


class Rooted(Normal):
    """The scale of its rows is the root of loc, which has none below zero."""

    def model(self, x: Tensor, size: int | None = None) -> None:
        loc = pyro.sample("loc", dist.Normal(0.0, 10.0))
        with self.rows(x, size):
            pyro.sample("x", dist.Normal(0.0, loc.sqrt()), obs=x[:, 0])


def test_a_loss_that_is_not_finite_names_the_site_that_made_it():
    with pytest.raises(ValueError, match=r"became nan at step \d+ of 50: the model's site 'x', Normal\(.*: its scale is nan\. Lower lr"):
        inference.svi(Rooted(loc=1e-3), torch.zeros(9), device="cpu")


@pytest.mark.parametrize(
    ("loc", "scale", "said"),
    [
        (torch.inf, 1.0, "the guide's site 'loc', Normal(loc: inf, scale: 1.0): its loc is inf"),
        (0.0, torch.nan, "the guide's site 'loc', Normal(loc: 0.0, scale: nan): its scale is nan"),
        (1e200, 1.0, "the model's site 'loc', Normal(loc: 0.0, scale: 10.0): its log density is -inf"),
        (0.0, 1.0, ""),
    ],
)
def test_the_first_site_in_order_is_to_blame(loc, scale, said):
    pair, x = Normal(), torch.randn(9, 1)
    objective = NegativeELBO(Program(pair, x), pair.guide)
    at = {"pair.q_loc_unconstrained": torch.tensor(loc), "pair.q_scale_unconstrained": torch.tensor(scale).log()}
    assert blame(objective, at, x) == said


class Rate(inference.Pair):
    """Counts of one rate, whose posterior the guide contains; it sets out far too wide."""

    def __init__(self) -> None:
        self.q_shape = PyroParam(torch.tensor(1.0), constraints.positive)
        self.q_rate = PyroParam(torch.tensor(1.0), constraints.positive)

    def model(self, x: Tensor, size: int | None = None) -> None:
        rate = pyro.sample("rate", dist.Gamma(2.0, 1.0))
        with self.rows(x, size):
            pyro.sample("x", dist.Poisson(rate), obs=x[:, 0])

    def guide(self, x: Tensor, size: int | None = None) -> None:
        pyro.sample("rate", dist.Gamma(self.q_shape, self.q_rate))


def test_a_guide_that_sets_out_far_too_wide_is_not_stopped_before_it_is_there():
    counts = [3, 1, 4, 1, 5, 9, 2, 6]
    fitted = inference.svi(Rate(), counts, draws=5, device="cpu").pair
    assert fitted.q_shape.item() == pytest.approx(2 + sum(counts), rel=0.02)
    assert fitted.q_rate.item() == pytest.approx(1 + len(counts), rel=0.02)


def _fit(folder, **given) -> inference.Posterior:
    x = torch.arange(12.0)[torch.randperm(12, generator=torch.Generator().manual_seed(0))]
    settings = {"steps": 200, "batch": 5, "restarts": 2, "validation": 0.25, "draws": 20} | given
    return inference.svi(Normal(), x, device="cpu", checkpoint=folder, **settings)


def test_an_interrupted_fit_is_saved_and_the_same_call_ends_as_if_nothing_had_been(tmp_path, monkeypatch):
    whole, advance = _fit(None), Batch.advance

    def interrupted(self: Batch, count: int) -> None:
        advance(self, count if self.done < 100 else 7)
        if self.done > 100:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Batch, "advance", interrupted)
        part = _fit(tmp_path / "run")
    assert part.how["stopped"] == "interrupted after 100 of 200 steps"
    assert len(part.stats["loss"]) == 100
    assert _findings(part)["loss"].severity == "failure"
    for again in (_fit(tmp_path / "run"), _fit(tmp_path / "run")):
        assert again.how["stopped"] == whole.how["stopped"]
        for name, stat in whole.stats.items():
            assert torch.equal(again.stats[name].nan_to_num(0), stat.nan_to_num(0)), name
        assert torch.equal(again.draws["loc"], whole.draws["loc"])


def test_an_interruption_before_the_first_window_is_the_callers(monkeypatch):
    def interrupted(self: Batch, count: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Batch, "advance", interrupted)
    with pytest.raises(KeyboardInterrupt):
        _fit(None)


def test_a_checkpoint_of_other_settings_is_refused(tmp_path):
    _fit(tmp_path / "run", steps=50)
    with pytest.raises(ValueError, match=r"is of another run: settings.lr is 0.05 there and 0.1 here"):
        _fit(tmp_path / "run", steps=50, lr=0.1)
