"""Published posteriors, with their exact priors, against their published reference draws, for every kernel.

Set ZOO_DATA to a folder that holds `posteriordb`, with data.json and reference_summary.json of each posterior below.
"""

from collections.abc import Callable, Iterator, Mapping

import arviz_stats
import numpy as np
import pytest
import torch
from torch import Tensor

from inference import Pair, mcmc
from inference.mcmc import KERNELS

from .published import FOLDER, REFERENCE_DRAWS, EightSchools, OrderedChain, OrderedMixture, published

MIXTURE, SCHOOLS = "low_dim_gauss_mix-low_dim_gauss_mix", "eight_schools-eight_schools_noncentered"
CHAIN = "hmm_example-hmm_example"
RUN = {"chains": 8, "warmup": 250, "draws": 250, "seed": 1}

pytestmark = [
    pytest.mark.skipif(not FOLDER.is_dir(), reason="ZOO_DATA does not hold posteriordb"),
    pytest.mark.parametrize("kernel", list(KERNELS)),
]


def _mixture() -> tuple[Pair, Tensor]:
    return OrderedMixture(), torch.tensor(published(MIXTURE, "data.json")["y"])[:, None]


def _schools() -> tuple[Pair, Tensor]:
    data = published(SCHOOLS, "data.json")
    return EightSchools(), torch.tensor([data["y"], data["sigma"]], dtype=torch.get_default_dtype()).mT


def _chain() -> tuple[Pair, Tensor]:
    return OrderedChain(), torch.tensor(published(CHAIN, "data.json")["y"])[None]


@pytest.mark.parametrize(("name", "given"), [(MIXTURE, _mixture), (SCHOOLS, _schools), (CHAIN, _chain)])
def test_posterior_agrees_with_the_reference_draws(kernel: str, name: str, given: Callable[[], tuple[Pair, Tensor]]):
    reference = published(name, "reference_summary.json")["parameters"]
    posterior = mcmc(*given(), kernel=kernel, **RUN)
    # The schools diverge now and then whatever the sampler, where tau is next to nothing.
    assert posterior.stats["diverging"].double().mean() < 0.01
    checked = set()
    for theirs, draws in _numbers(posterior.draws):
        if theirs not in reference:  # theta_trans: they publish theta
            continue
        truth = reference[theirs]
        checked.add(theirs)
        assert float(arviz_stats.rhat(draws, chain_axis=0, draw_axis=1)) < 1.03, theirs
        effective = _effective(draws)
        assert effective > 200, theirs
        mcse = draws.std() / effective**0.5 + truth["sd"] / REFERENCE_DRAWS**0.5
        assert abs(draws.mean() - truth["mean"]) < 4 * mcse, theirs
        squares = draws**2
        mcse = squares.std() * (_effective(squares) ** -0.5 + REFERENCE_DRAWS**-0.5)
        assert abs(squares.mean() - truth["mean_sq"]) < 4 * mcse, theirs
    assert checked == set(reference)


def _numbers(draws: Mapping[str, Tensor]) -> Iterator[tuple[str, np.ndarray]]:
    """Every number (chain, draw) by the name that they give it: they count from one."""
    for site, values in draws.items():
        for index in np.ndindex(*values.shape[2:]):
            name = site + "".join(f"[{i + 1}]" for i in index)
            yield name, values[(..., *index)].numpy()


def _effective(draws: np.ndarray) -> float:
    return float(arviz_stats.ess(draws, method="mean", chain_axis=0, draw_axis=1))
