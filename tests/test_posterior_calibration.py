"""Calibration given the data at hand: of a posterior by what its own draws simulate."""

from dataclasses import replace

import pytest
import torch

from inference import calibrate, mcmc
from inference.diagnostics.calibration import calibration
from tests.calibrated import CHAINS, QUICK, Conjugate


@pytest.fixture(scope="module")
def posterior():
    """Of ten rows, by chains."""
    return mcmc(Conjugate(), torch.linspace(-2, 4, 10), kernel="hmc", chains=4, warmup=100, draws=250, **QUICK)


def test_a_posterior_is_calibrated_given_its_data(posterior):
    found = calibrate(posterior, method="svi", simulations=200, **QUICK)
    assert found.ok, str(found)
    assert calibration._simulated(posterior, posterior.pair, 3, 30, posterior.device).rows.shape == (30, 13, 1)


def test_a_posterior_that_is_too_narrow_is_caught_given_its_data(posterior):
    draws = posterior.draws["loc"]
    narrow = replace(posterior, draws={"loc": draws.mean() + 0.3 * (draws - draws.mean())})
    found = calibrate(narrow, method="svi", simulations=200, **QUICK)
    assert not found.ok and found.table.loc["loc", "deviation"] == "underconfident", str(found)


def test_chains_judge_the_posterior_that_they_made(posterior):
    found = calibrate(posterior, **{**CHAINS, "method": None, "rows": 3}, seed=1)
    assert found.title.startswith("Conjugate by hmc: 50 simulations") and found.ok, str(found)


def test_a_posterior_without_its_rows_is_refused(posterior):
    with pytest.raises(ValueError, match="has not kept its rows"):
        calibrate(replace(posterior, table=None))
