"""The statistics of calibration: ranks, bands, tests of uniformity."""

import numpy as np
from arviz_stats.ecdf_utils import simulate_confidence_bands

from inference.diagnostics.calibration.ranks import Uniformity, asymmetry, averaged, holm, ranks
from inference.diagnostics.calibration.thinning import thinned


def test_the_rank_is_how_many_draws_are_below_and_ties_fall_to_chance():
    draws = np.array([[[1.0], [2.0], [3.0]]] * 3000)
    rng = np.random.default_rng(0)
    assert (ranks(np.full((3000, 1), 2.5), draws, rng) == 2).all()
    tied = ranks(np.full((3000, 1), 2.0), draws, rng)
    assert set(np.unique(tied)) == {1, 2} and abs((tied == 1).mean() - 0.5) < 4 * 0.5 / np.sqrt(3000)


def test_the_bands_are_those_of_arviz():
    test = Uniformity(50, 19, np.random.default_rng(0))
    theirs = 1 - simulate_confidence_bands(50, 1, test.points, 0.95, 4000, np.random.default_rng(0))
    ours = np.quantile(test._chance, 0.05)
    assert abs(ours - theirs) < 0.15 * theirs


def test_p_values_of_uniform_ranks_are_honest_and_the_bands_hold():
    rng = np.random.default_rng(1)
    test, found = Uniformity(100, 49, rng), rng.integers(50, size=(100, 2000))
    low, high = test.band(0.95)
    share = test.below(found) / 100
    inside = ((share >= low - 1e-9) & (share <= high + 1e-9)).all(1).mean()
    for rate, expected in [((test.p(found) < 0.05).mean(), 0.05), (inside, 0.95), ((asymmetry(found, 49, rng) < 0.05).mean(), 0.05)]:
        assert abs(rate - expected) < 4 * np.sqrt(0.05 * 0.95 / 2000) + 0.01, "discrete statistics may be a little off their level"


def test_the_data_averaged_test_keeps_its_level_and_sees_a_shift():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(100, 500))
    mean = (truth + rng.normal(size=truth.shape)) / 2
    draws = mean[:, None] + np.sqrt(0.5) * rng.normal(size=(100, 20, 500))
    assert abs((averaged(truth, draws) < 0.05).mean() - 0.05) < 4 * np.sqrt(0.05 * 0.95 / 500)
    assert (averaged(truth, draws + 0.4) < 0.01).mean() > 0.9
    assert (averaged(truth, 1.6 * draws) < 0.01).mean() > 0.9


def test_holm_multiplies_the_least_by_all_and_keeps_the_order():
    assert np.allclose(holm(np.array([0.04, 0.01, 0.03])), [0.06, 0.03, 0.06])


def test_draws_are_thinned_to_those_that_are_effective():
    rng = np.random.default_rng(0)
    noise, chain = rng.normal(size=(30, 1000, 1)), np.zeros((30, 1000, 1))
    for i in range(1, 1000):
        chain[:, i] = 0.8 * chain[:, i - 1] + 0.6 * noise[:, i]
    kept, effective = thinned(chain)
    assert 60 < effective.least < 111, "1000 draws of lag-one correlation 0.8 are worth 111"
    assert kept.shape[1] == effective.kept <= effective.least
    assert thinned(noise)[1].kept > 400
