"""Parameters that a pair solves for, against closed forms."""

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.nn import PyroParam
from torch import Tensor
from torch.distributions import constraints

import inference
from inference import Pair

COUNTS = torch.tensor([3.0, 1, 4, 1, 5, 9, 2, 6])[:, None]


class Rate(Pair):
    """Counts of one rate ~ Gamma(2, 1), and an offset that the guide fits by gradient.

    Arguments:
        wrong: how `solve` errs, if it does.
    """

    def __init__(self, wrong: str = "") -> None:
        self.wrong = wrong
        self.q_shape = PyroParam(torch.tensor(1.0), constraints.positive)
        self.q_rate = PyroParam(torch.tensor(1.0), constraints.positive)
        self.q_loc = PyroParam(torch.tensor(2.0), constraints.real)

    def model(self, x: Tensor, size: int | None = None) -> None:
        rate = pyro.sample("rate", dist.Gamma(2.0, 1.0))
        pyro.sample("free", dist.Normal(0.5, 1.0))
        with self.rows(x, size):
            pyro.sample("x", dist.Poisson(rate), obs=x[:, 0])

    def guide(self, x: Tensor, size: int | None = None) -> None:
        pyro.sample("rate", dist.Gamma(self.q_shape, self.q_rate))
        pyro.sample("free", dist.Normal(self.q_loc, 1.0))

    def solve(self, x: Tensor, size: int) -> dict[str, Tensor]:
        found = {"q_shape": 2 + x.sum() * (size / len(x)), "q_rate": x.new_tensor(1.0 + size)}
        planted = {"name": {"q_shap": x.sum()}, "shape": {"q_rate": x[:, 0]}, "range": {"q_rate": -found["q_rate"]}}
        return planted.get(self.wrong, found)


@pytest.mark.parametrize("restarts", [1, 3])
def test_a_conjugate_guide_is_exact_after_one_step_and_the_rest_follows_its_gradient(restarts):
    posterior = inference.svi(Rate(), COUNTS, steps=400, restarts=restarts, draws=50, seed=1)
    assert posterior.pair.q_shape.item() == pytest.approx(33)
    assert posterior.pair.q_rate.item() == pytest.approx(9)
    assert posterior.pair.q_loc.item() == pytest.approx(0.5, abs=0.02)
    one = inference.svi(Rate(), COUNTS, steps=1, draws=50)
    assert one.pair.q_shape.item() == pytest.approx(33)


def test_minibatches_step_by_the_rate_towards_solutions_that_are_right_on_average():
    torch.manual_seed(0)
    x = torch.poisson(torch.full((500, 1), 3.0))
    posterior = inference.svi(Rate(), x, batch=50, steps=1500, draws=50, schedule="cosine", seed=2)
    assert posterior.pair.q_rate.item() == pytest.approx(501)
    assert posterior.pair.q_shape.item() == pytest.approx(float(2 + x.sum()), rel=0.02)


def test_a_run_goes_on_from_its_checkpoint(tmp_path):
    run = dict(batch=4, steps=100, draws=20, seed=3, schedule="cosine")
    whole = inference.svi(Rate(), COUNTS, **run)
    kept = inference.svi(Rate(), COUNTS, **run, checkpoint=tmp_path / "run")
    again = inference.svi(Rate(), COUNTS, **run, checkpoint=tmp_path / "run")
    assert torch.equal(whole.draws["rate"], kept.draws["rate"])
    assert torch.equal(whole.draws["rate"], again.draws["rate"])


def test_another_guide_has_nothing_to_solve_for():
    posterior = inference.svi(Rate(), COUNTS, guide="map", steps=300)
    # The mode of log rate under Gamma(33, 9): that of the unconstrained density without its Jacobian is of the rate itself.
    assert posterior.draws["rate"].item() == pytest.approx(32 / 9, abs=0.02)


@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        ("name", LookupError, "'q_shap', which is no PyroParam"),
        ("shape", ValueError, r"shape \(8,\); the parameter has \(\)"),
        ("range", ValueError, "outside its constraint"),
    ],
)
def test_a_wrong_solution_is_refused_by_name(wrong, error, words):
    with pytest.raises(error, match=words):
        inference.svi(Rate(wrong), COUNTS, steps=5)
