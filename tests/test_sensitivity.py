"""Prior sensitivity: conflicts are named, and the numbers are those of ArviZ."""

import dataclasses

import arviz_base
import arviz_stats
import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from inference import Posterior
from inference.answers import predictive
from tests.conjugate import Location, by_chains, by_guide, location, rows
from tests.normals import normal_rows, one_normal

PAIR = Location()


def conflicting() -> Posterior:
    """Ten numbers about 1, and a prior as sure that they lie about 6."""
    pair, x = Location(center=6.0, width=0.3), rows(10)
    return by_chains(pair, x)


def test_a_prior_in_conflict_with_the_data_is_named():
    found = conflicting().sensitivity()
    assert list(found.columns) == ["prior", "likelihood", "diagnosis"]
    assert found["diagnosis"]["loc"] == "prior-data conflict"


def test_a_vague_prior_is_not():
    found = by_chains(Location(width=100.0), rows()).sensitivity()
    assert found["prior"]["loc"] < 0.01
    assert found["likelihood"]["loc"] > 0.05
    assert found["diagnosis"]["loc"] == ""


def test_a_prior_stronger_than_the_rows_is_named():
    found = by_chains(Location(width=0.02), rows(3)).sensitivity()
    assert found["prior"]["loc"] > 0.05 > found["likelihood"]["loc"]
    assert found["diagnosis"]["loc"] == "strong prior or weak likelihood"


@pytest.mark.parametrize("make", [conflicting, lambda: one_normal(normal_rows)], ids=["location", "mixture"])
def test_sensitivity_is_arvizs(make):
    posterior = make()
    prior = {name: logs.numpy() for name, logs in predictive.log_prior(posterior).items()}
    groups = {
        "posterior": {name: draws.numpy() for name, draws in posterior.draws.items()},
        "log_likelihood": {"x": posterior.log_likelihood(posterior.table).numpy()},
        "log_prior": prior,
    }
    tree, found = arviz_base.from_dict(groups), posterior.sensitivity()
    site = "loc" if "loc" in posterior.draws else "locs"
    for group in ("prior", "likelihood"):
        theirs = arviz_stats.psense(tree, group=group, var_names=site)
        mine = found[group][[name for name in found.index if name.startswith(site)]]
        np.testing.assert_allclose(mine, np.asarray(theirs[site]).flatten(), rtol=1e-6)


def test_arvizs_summary_reads_a_mixture():
    posterior = one_normal(normal_rows)
    table, found = arviz_stats.psense_summary(posterior.to_arviz(), var_names="locs", round_to=12), posterior.sensitivity()
    mine = found.loc[[name for name in found.index if name.startswith("locs")]]
    np.testing.assert_allclose(table[["prior", "likelihood"]].astype(float), mine[["prior", "likelihood"]], rtol=1e-6)


def test_prior_and_rows_make_the_joint_density():
    posterior = one_normal(normal_rows)
    prior = predictive.log_prior(posterior)
    assert set(prior) == {"weights", "locs", "precision_trils"}
    total = sum(prior.values()) + posterior.log_likelihood(posterior.table).sum(-1)
    np.testing.assert_allclose(total, posterior.stats["lp"], rtol=1e-10)


class Flat(Location):
    """Numbers of a location of which nothing is known but its range."""

    def model(self, x: Tensor, size: int | None = None) -> None:
        loc = pyro.sample("loc", dist.Uniform(x.new_tensor(-50.0), 50.0))
        pyro.sample("spare", dist.Delta(x.new_ones(2)).to_event(1))
        with self.rows(x, size):
            pyro.sample("x", dist.Normal(loc, 1.0), obs=x[:, 0])


def test_nothing_hangs_on_a_flat_prior_nor_does_a_number_that_does_not_vary_move():
    posterior = by_chains(PAIR, rows())
    draws = {**posterior.draws, "spare": torch.ones(4, 1000, 2)}
    found = dataclasses.replace(posterior, pair=Flat(), draws=draws).sensitivity()
    assert found["prior"]["loc"] == 0
    assert found["likelihood"]["loc"] > 0.05
    assert found["likelihood"][["spare[0]", "spare[1]"]].isna().all()
    assert not found["diagnosis"].any()


def test_sensitivity_wants_draws_and_rows():
    with pytest.raises(ValueError, match="80 draws, too few"):
        by_chains(PAIR, rows(), draws=20).sensitivity()
    with pytest.raises(ValueError, match="kept no rows"):
        dataclasses.replace(by_guide(PAIR, rows(), location(PAIR, rows())), table=None).sensitivity()
