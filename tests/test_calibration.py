"""Calibration: right pairs pass, and every planted fault is caught."""

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

import zoo
from inference import calibrate
from inference.mcmc import KERNELS, hmc
from tests.calibrated import CHAINS, QUICK, Conjugate, Fitted, named, said

# Right pairs pass


def test_an_exact_guide_is_calibrated():
    found = calibrate(Conjugate(), simulations=300, **QUICK)
    assert found.ok and not [f for f in found.findings if f.severity != "good"], str(found)
    assert set(found.ranks) == {"loc", "log joint", "log likelihood"}
    posterior = 1 / (1 + 20 / 4)
    assert abs(found.table.loc["loc", "contraction"] - (1 - posterior)) < 0.05
    assert abs(found.table.loc["loc", "z_sd"] - 1) < 4 / np.sqrt(600)


def test_a_guide_that_is_fitted_to_every_data_set_is_calibrated():
    found = calibrate(Fitted(), simulations=100, rows=5, particles=1, **QUICK)
    assert found.ok, str(found)


def test_chains_that_each_have_a_data_set_are_calibrated():
    found = calibrate(Conjugate(), **{**CHAINS, "method": "nuts"})
    assert found.ok, str(found)
    assert named(found, "effective draws")[0].severity == "good"


def test_a_mixture_by_chains_is_calibrated_though_its_components_have_no_order():
    pair = zoo.create("gmm", components=2, dim=1, covariance="spherical", concentration=5.0, shrinkage=0.5, freedom=8.0)
    found = calibrate(pair, **{**CHAINS, "rows": 15, "warmup": 120, "draws": 600})
    assert found.ok, str(found)
    assert {"weights[0]", "weights[1]", "locs[0, 0]", "locs[1, 0]"} <= set(found.ranks)


# Planted faults are caught


@pytest.mark.parametrize("pair", [Conjugate(prior=3.0), Conjugate(scale=4.0)], ids=["prior", "scale of the rows"])
def test_data_from_another_model_are_caught(pair):
    found = calibrate(Conjugate(), simulator=pair, simulations=200, **QUICK)
    assert not found.ok and named(found, "ranks")[0].severity == "failure", str(found)


def test_a_wrong_prior_shows_in_the_data_averaged_posterior():
    found = calibrate(Conjugate(), simulator=Conjugate(prior=3.0), simulations=200, rows=2, **QUICK)
    assert named(found, "prior")[0].severity == "failure", str(found)


@pytest.mark.parametrize(("width", "deviation"), [(0.5, "overconfident"), (2.0, "underconfident")])
def test_a_guide_of_the_wrong_width_is_caught_and_is_not_called_biased(width, deviation):
    found = calibrate(Conjugate(width=width), simulations=200, **QUICK)
    assert found.table.loc["loc", "deviation"] == deviation and f"({deviation})" in said(found, "ranks")
    assert found.table.loc["loc", "p_centre"] > 0.05, "symmetric ranks are not biased"
    assert not found.ok


@pytest.mark.parametrize(("shift", "deviation"), [(0.7, "high"), (-0.7, "low")])
def test_a_guide_off_its_centre_is_called_biased(shift, deviation):
    found = calibrate(Conjugate(shift=shift), simulations=200, **QUICK)
    assert found.table.loc["loc", "deviation"] == deviation
    assert named(found, "bias")[0].severity == "failure" and "loc" in said(found, "bias")


def test_a_guide_that_ignores_the_data_is_seen_by_the_densities_alone():
    found = calibrate(Conjugate(blind=True), simulations=200, **QUICK)
    assert found.table.loc["loc", "p_ranks"] > 0.05, "the prior's draws rank the truth uniformly"
    assert found.table.loc["log likelihood", "p_ranks"] < 0.001 and not found.ok


class Failing(Conjugate):
    """A guide that is lost where the rows are high."""

    def __init__(self) -> None:
        super().__init__()

    def guide(self, x: Tensor, size: int | None = None) -> None:
        mean, sd = self.posterior(x)
        pyro.sample("loc", dist.Normal(torch.where(mean > 1.0, torch.nan, mean), sd))

    def check(self, table, fitting):
        """Counts the rows that the guide is lost with."""
        Failing.lost += bool(self.posterior(table.x)[0] > 1.0)


def test_fits_that_failed_are_counted_and_left_out():
    Failing.lost = 0
    found = calibrate(Failing(), simulations=100, **QUICK)
    assert Failing.lost > 0 and not found.ok
    assert f"{Failing.lost} simulations had draws that are not finite" in said(found, "fits")
    assert len(found.ranks["loc"]) == 100 - Failing.lost


class Drifting(hmc.Kernel):
    """A sampler that records where it never was."""

    def advance(self, *args):
        state, positions, info = super().advance(*args)
        return state, positions + 0.7, info


def test_a_biased_sampler_is_caught(monkeypatch):
    monkeypatch.setitem(KERNELS, "hmc", Drifting)
    found = calibrate(Conjugate(), **CHAINS)
    assert found.table.loc["loc", "deviation"] == "high" and not found.ok, str(found)


def test_chains_of_too_few_effective_draws_are_no_verdict(monkeypatch):
    class Crawling(hmc.Kernel):
        def advance(self, state, first, count, step_size, space):
            return super().advance(state, first, count, 0.03 * step_size, space)

        def learn(self):
            self.memory["length"] = 0.05

    monkeypatch.setitem(KERNELS, "hmc", Crawling)
    found = calibrate(Conjugate(), **CHAINS)
    assert not found.ok and named(found, "effective draws")[0].severity == "failure"
    assert not named(found, "ranks"), "no word on ranks that mean nothing"


# What is shown


def test_a_calibration_reads_well_and_has_a_picture():
    found = calibrate(Conjugate(width=0.5), simulations=100, **QUICK)
    text, page = str(found), found._repr_html_()
    assert text.startswith("Conjugate by svi: 100 simulations, ranks among 100 draws\nNot calibrated")
    assert "too narrow (overconfident)" in text and "too narrow (overconfident)" in page and "<table" in page
    axes = found.picture().axes
    assert [a.get_title() for a in axes] == list(found.ranks)
    colours = {a.get_title(): a.lines[0].get_color() for a in axes if a.lines}
    assert colours["loc"] == "C3", "a line outside its band stands out"
