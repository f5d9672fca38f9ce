"""What series look like before anything is known of their states, and rounds of finding states and refitting."""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import torch
from pyro import poutine
from sklearn.cluster import KMeans
from torch import Tensor

if TYPE_CHECKING:
    from inference import Pair

    from .hidden_markov import HiddenMarkov

ROUNDS, SAMPLE = 30, 10_000


class Clusters(NamedTuple):
    """(N, T, K) one for the cluster of each step, equal shares where nothing is seen; and how many move from each to each (K, K)."""

    member: Tensor
    moves: Tensor


def clusters(series: Tensor, features: Tensor, count: int) -> Clusters:
    """By one run of k-means on some of the steps of series (N, T, D); features: (n, F) of those of which something is seen."""
    seen = (~series.isnan()).any(-1)
    # Steps that show the same can then fall into several clusters, as states may show the same.
    found = features.double() + 0.01 * torch.randn_like(features.double())
    found = found.cpu().numpy()
    some = torch.randperm(len(found))[:SAMPLE].numpy()
    means = KMeans(count, n_init=1, random_state=int(torch.randint(2**31, ()))).fit(found[some])
    member = series.new_full((*series.shape[:2], count), 1 / count)
    labels = torch.as_tensor(means.predict(found), device=series.device).long()
    member[seen] = torch.nn.functional.one_hot(labels, count).to(series.dtype)
    both = (seen[:, :-1] & seen[:, 1:]).to(series.dtype)
    return Clusters(member, torch.einsum("nt,ntj,ntk->jk", both, member[:, :-1], member[:, 1:]))


def stochastic_em(pair: "Pair", x: Tensor, refit: Callable[["HiddenMarkov"], None]) -> None:
    """Rounds of drawing from the guide and refitting it to what the chain with the values drawn says of the states.

    Source: Celeux & Diebolt 1985, "The SEM algorithm", Computational Statistics Quarterly 2.
    """
    for _ in range(ROUNDS):
        drawn = poutine.trace(pair.guide).get_trace(x)
        refit(poutine.trace(poutine.condition(pair.model, drawn)).get_trace(x).nodes["x"]["fn"])
