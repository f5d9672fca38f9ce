"""Calibration of pairs whose rows have latents of their own, drawn by the guide or by chains."""

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

import inference
import zoo
from inference import Pair, calibrate
from tests.calibrated import CHAINS, QUICK, named


class Nested(Pair):
    """Rows about places of their own, which lie about one; the guide knows both posteriors, or has one too narrow.

    | symbol | distribution   | shape | meaning             |
    |--------|----------------|-------|---------------------|
    | loc    | Normal(0, 1)   | ()    | where places lie    |
    | z      | Normal(loc, 1) | (N,)  | the place of a row  |
    | x      | Normal(z, 1)   | (N,)  | the rows            |

    Arguments:
        width: of the guide of `loc`, of z: in posterior standard deviations.
    """

    def __init__(self, width: float = 1.0, row_width: float = 1.0) -> None:
        self.width, self.row_width = width, row_width

    def model(self, x: Tensor, size: int | None = None) -> None:
        loc = pyro.sample("loc", dist.Normal(x.new_zeros(()), 1.0))
        with self.rows(x, size):
            z = pyro.sample("z", dist.Normal(loc.expand(len(x)), 1.0))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x[:, 0])

    def guide(self, x: Tensor, size: int | None = None) -> None:
        precision = 1 + len(x) / 2
        loc = pyro.sample("loc", dist.Normal(x.sum() / 2 / precision, self.width * precision**-0.5))
        with self.rows(x, size):
            pyro.sample("z", dist.Normal((loc + x[:, 0]) / 2, self.row_width * 0.5**0.5))


def test_an_exact_guide_of_rows_is_calibrated():
    found = calibrate(Nested(), simulations=200, rows=6, **QUICK)
    assert found.ok and not [f for f in found.findings if f.severity != "good"], str(found)
    assert set(found.ranks) == {"loc", "log joint", "log likelihood"}


@pytest.mark.parametrize(("wrong", "shown"), [({"width": 0.5}, "loc"), ({"row_width": 0.5}, "log joint")])
def test_a_guide_too_narrow_is_caught_wherever_it_is(wrong, shown):
    found = calibrate(Nested(**wrong), simulations=200, rows=6, **QUICK)
    assert not found.ok
    assert found.table.loc[shown, "p_ranks"] < 0.001 and shown in named(found, "ranks")[0].evidence, str(found)
    assert (found.table.loc["loc", "p_ranks"] < 0.001) == (shown == "loc")


def test_chains_move_the_latents_of_rows_along():
    found = calibrate(Nested(), **{**CHAINS, "method": "nuts"})
    assert found.ok, str(found)


def test_of_topics_what_texts_share_is_ranked():
    pair = zoo.create("lda", topics=2, vocabulary=3, concentration=1.0, topic_concentration=1.0)
    found = calibrate(pair, rows=torch.tensor([[3.0, 2.0, 1.0], [2.0, 2.0, 2.0]]), simulations=20, steps=50, **QUICK)
    shared = {f"topics[{k}, {v}]" for k in range(2) for v in range(3)}
    assert set(found.ranks) == {*shared, "log joint", "log likelihood"}


def test_a_posterior_whose_rows_have_latents_is_refused():
    posterior = inference.mcmc(Nested(), torch.randn(5, 1), chains=1, warmup=5, draws=20, **QUICK)
    with pytest.raises(TypeError, match="'z' is continuous and one for each row, of which calibrating a posterior knows nothing"):
        calibrate(posterior, **QUICK)
