"""Distributions whose draws torch cannot batch by itself: under `traceable` they can be, each draw is its own, and the law is the same."""

import pyro.distributions as dist
import pytest
import torch
from scipy import stats
from torch.func import vmap

from inference.graphs.functorch import traceable

LAWS = {
    "cauchy": (lambda: dist.Cauchy(torch.tensor(1.0), torch.tensor(2.0)), stats.cauchy(1.0, 2.0)),
    "half-cauchy": (lambda: dist.HalfCauchy(torch.tensor(2.0)), stats.halfcauchy(0.0, 2.0)),
    "exponential": (lambda: dist.Exponential(torch.tensor(3.0)), stats.expon(0.0, 1 / 3)),
    "laplace": (lambda: dist.Laplace(torch.tensor(-1.0), torch.tensor(0.5)), stats.laplace(-1.0, 0.5)),
    "gamma": (lambda: dist.Gamma(torch.tensor(2.0), torch.tensor(3.0)), stats.gamma(2.0, scale=1 / 3)),
}


@pytest.mark.parametrize("law", LAWS)
def test_the_law_is_the_same(law):
    make, truth = LAWS[law]
    ours = make()
    with traceable():
        draws = vmap(lambda _: ours.rsample(), randomness="different")(torch.zeros(20_000))
    assert draws.unique().numel() > 19_990
    assert stats.kstest(draws.numpy(), truth.cdf).pvalue > 0.01
