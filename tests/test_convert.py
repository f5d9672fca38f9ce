"""A posterior as ArviZ reads it."""

import arviz_stats
import numpy as np
import pytest

from inference import diagnose

from .posteriors import SITES, by_svi, chains, switched


def test_to_arviz_is_what_arviz_reads():
    posterior = chains()
    tree = posterior.to_arviz()
    assert {"posterior", "sample_stats", "log_likelihood", "observed_data"} <= set(tree.children)
    summary = arviz_stats.summary(tree, var_names=SITES)
    assert len(summary) == len(diagnose(posterior).table)
    loo = arviz_stats.loo(tree)
    log_likelihood = posterior.log_likelihood(posterior.table)
    assert loo.n_data_points == 60
    assert loo.elpd == pytest.approx(float(log_likelihood.mean((0, 1)).sum()), abs=1.0)


def test_the_draws_that_arviz_gets_are_aligned():
    tree = switched(chains()).to_arviz(log_likelihood=False)
    np.testing.assert_allclose(tree["posterior/locs"], chains().draws["locs"])
    assert "log_likelihood" not in tree.children


def test_the_loss_of_a_fit_by_steps_is_in_optimization():
    posterior = by_svi()
    tree = posterior.to_arviz()
    assert tree["optimization/loss"].dims == ("step",)
    np.testing.assert_array_equal(tree["optimization/loss"], posterior.stats["loss"])
    assert set(tree["sample_stats"].data_vars) == {"lp", "log_q"}
