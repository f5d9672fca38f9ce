"""ArviZ's own plots work on what `to_arviz` gives, as it stands."""

import functools
from collections.abc import Iterator

import arviz_stats
import matplotlib
import matplotlib.pyplot as plt
import pytest
import xarray as xr

from .posteriors import chains, from_guide
from .targets import UnknownNormal, normal_rows

azp = pytest.importorskip("arviz_plots")

FEW = {"ecdf_pit": {"n_simulations": 20}}
PLOTS = {
    "trace": lambda tree: azp.plot_trace(tree, var_names="locs"),
    "rank": lambda tree: azp.plot_rank(tree, var_names="weights", stats=FEW),
    "forest": lambda tree: azp.plot_forest(tree, var_names=["weights", "locs", "scales"]),
    "energy": lambda tree: azp.plot_energy(tree),
    "ppc": lambda tree: azp.plot_ppc_dist(tree, num_samples=10),
    "prior predictive": lambda tree: azp.plot_ppc_dist(tree, group="prior_predictive", num_samples=10),
    "prior and posterior": lambda tree: azp.plot_prior_posterior(tree, var_names="weights"),
    "k-hat": lambda tree: azp.plot_khat(arviz_stats.loo(tree, pointwise=True)),
}


@functools.cache
def tree() -> xr.DataTree:
    return chains(2, 100).to_arviz(groups="all", draws=100)


@pytest.fixture(autouse=True)
def drawn_nowhere() -> Iterator[None]:
    matplotlib.use("agg")
    yield
    plt.close("all")


@pytest.mark.filterwarnings("default")  # of ArviZ's own
@pytest.mark.parametrize("name", PLOTS)
def test_a_plot_is_drawn(name):
    PLOTS[name](tree())
    assert plt.get_fignums()


@pytest.mark.filterwarnings("default")
def test_loo_pit_of_a_guides_draws():
    posterior = from_guide(UnknownNormal(), normal_rows(), draws=200)
    azp.plot_loo_pit(posterior.to_arviz(groups="posterior_predictive"), stats=FEW)
    assert plt.get_fignums()
