"""R-hat and effective draws of many parameters at once are ArviZ's."""

import tracemalloc
import warnings

import arviz_stats
import numpy as np
import pytest

from inference.diagnostics import convergence as module
from inference.diagnostics.convergence import COLUMNS, convergence, ess_bulk, ess_mean

AXES = {"chain_axis": 0, "draw_axis": 1}


def _arviz(draws: np.ndarray) -> dict[str, np.ndarray]:
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return {
            "ess_mean": arviz_stats.ess(draws, method="mean", **AXES),
            "mcse_mean": arviz_stats.mcse(draws, method="mean", **AXES),
            "ess_bulk": arviz_stats.ess(draws, method="bulk", **AXES),
            "ess_tail": arviz_stats.ess(draws, method="tail", prob=(0.05, 0.95), **AXES),
            "rhat": arviz_stats.rhat(draws, **AXES),
        }


def _every_kind(chains: int, draws: int) -> np.ndarray:
    """(chain, draw, parameter): of every kind that chains can be."""
    random = np.random.default_rng(0)
    kinds = list(random.normal(size=(4, chains, draws)))
    for correlation in (-0.95, -0.5, 0.3, 0.9, 0.99):
        chain = random.normal(size=(chains, draws))
        for t in range(1, draws):
            chain[:, t] += correlation * chain[:, t - 1]
        kinds.append(chain)
    noise = random.normal(size=(chains, draws))
    stuck, apart = noise.copy(), noise.copy()
    stuck[0], apart[0] = 1.0, apart[0] + 3.0
    held = noise.copy()
    for t in range(1, draws):
        held[:, t] = np.where(random.random(chains) < 0.6, held[:, t - 1], held[:, t])
    rounded, coins, walks, tails = np.round(noise), noise > 0, noise.cumsum(1), np.exp(3 * noise)
    constant, each_its_own = np.full_like(noise, 0.5), np.arange(chains)[:, None] + np.zeros(draws)
    kinds += [stuck, apart, held, rounded, coins, walks, tails, constant, each_its_own, 1e-17 * noise, 1e6 + 1e-3 * noise]
    return np.stack(kinds, -1)


@pytest.mark.parametrize("shape", [(4, 250), (4, 251), (1, 100), (2, 4), (3, 5), (2, 6), (2, 7), (8, 12), (64, 100)], ids=str)
def test_numbers_are_arvizs(shape):
    draws = _every_kind(*shape)
    found = {**convergence(draws), "ess_mean": ess_mean(draws)}
    np.testing.assert_array_equal(ess_bulk(draws), found["ess_bulk"])
    for name, expected in _arviz(draws).items():
        np.testing.assert_allclose(found[name], expected, rtol=1e-10, atol=0, err_msg=name)


@pytest.mark.parametrize("draws", [100, 101])
def test_moments_and_quantiles_are_numpys(draws):
    draws = _every_kind(4, draws)
    found, flat = convergence(draws), draws.reshape(-1, draws.shape[2])
    np.testing.assert_allclose(found["mean"], flat.mean(0), rtol=1e-12)
    np.testing.assert_allclose(found["q5"], np.quantile(flat, 0.05, axis=0), rtol=1e-12)
    np.testing.assert_allclose(found["q95"], np.quantile(flat, 0.95, axis=0), rtol=1e-12)
    varies = np.ptp(flat, axis=0) > 0
    np.testing.assert_allclose(found["sd"][varies], flat[:, varies].std(0, ddof=1), rtol=1e-12)
    assert found["sd"][~varies].tolist() == [0.0]


def test_parameters_are_judged_each_by_itself(monkeypatch):
    draws = _every_kind(4, 50)
    together = convergence(draws)
    monkeypatch.setattr(module, "CELLS", 1)
    for name, alone in convergence(draws).items():
        np.testing.assert_allclose(alone, together[name], rtol=1e-10, err_msg=name)


@pytest.mark.parametrize("shape", [(1, 1), (4, 1), (1, 3), (4, 3)], ids=str)
def test_too_few_draws_have_no_convergence(shape):
    found = convergence(np.random.default_rng(0).normal(size=(*shape, 2)))
    assert all(np.isnan(found[name]).all() for name in COLUMNS[4:])
    assert np.isnan(ess_mean(np.ones((*shape, 2)))).all()
    assert np.isfinite(found["mean"]).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_draws_that_are_not_finite_have_no_convergence_and_spoil_no_others(value):
    draws = np.random.default_rng(0).normal(size=(4, 100, 3))
    expected = convergence(draws)
    draws[1, 2, 1] = value
    found = convergence(draws)
    for name in COLUMNS[4:]:
        assert np.isnan(found[name][1])
        assert found[name][[0, 2]].tolist() == expected[name][[0, 2]].tolist()


def test_no_parameters_are_no_rows():
    assert {name: len(column) for name, column in convergence(np.empty((4, 100, 0))).items()} == dict.fromkeys(COLUMNS, 0)


def test_memory_does_not_grow_with_the_parameters():
    draws = np.random.default_rng(0).normal(size=(16, 250, 1000)).astype(np.float32)
    convergence(draws[..., :10])
    tracemalloc.start()
    convergence(draws)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 * 8 * module.CELLS
    assert draws.size >= 4 * module.CELLS


def test_equal_numbers_have_no_spread_though_their_rounded_mean_is_another_number():
    draws = np.full((4, 25, 1), 0.1)
    assert draws.std(ddof=1) > 0
    found = convergence(draws)
    assert found["sd"].tolist() == found["mcse_mean"].tolist() == [0.0]
