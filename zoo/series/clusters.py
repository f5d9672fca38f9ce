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


def clusters(series: Tensor, features: Tensor, count: int, parts: int = 1) -> Clusters:
    """By one run of k-means on some of the steps of series (N, T, D); features: (n, F) of those of which something is seen.

    parts: of how many kinds the steps of one state may be. So many times as many clusters are then put together by what follows them,
    as that depends on the state alone.
    """
    seen = (~series.isnan()).any(-1)
    # Steps that show the same can then fall into several clusters, as states may show the same.
    found = features.double() + 0.01 * torch.randn_like(features.double())
    found = found.cpu().numpy()
    some = torch.randperm(len(found))[:SAMPLE].numpy()
    means = KMeans(min(count * parts, len(some)), n_init=1, random_state=int(torch.randint(2**31, ()))).fit(found[some])
    member = series.new_full((*series.shape[:2], count), 1 / count)
    labels = torch.as_tensor(means.predict(found), device=series.device).long()
    labels = _put_together(labels, seen, means.n_clusters, count) if parts > 1 else labels
    member[seen] = torch.nn.functional.one_hot(labels, count).to(series.dtype)
    both = (seen[:, :-1] & seen[:, 1:]).to(series.dtype)
    return Clusters(member, torch.einsum("nt,ntj,ntk->jk", both, member[:, :-1], member[:, 1:]))


def _put_together(labels: Tensor, seen: Tensor, kinds: int, count: int) -> Tensor:
    """(n,) which of `count` groups the kind of each step belongs to. seen: (N, T), where the n steps are."""
    path = torch.full_like(seen, -1, dtype=torch.long).masked_scatter(seen, labels)
    both = seen[:, :-1] & seen[:, 1:]
    moves = torch.zeros(kinds, kinds, device=labels.device, dtype=torch.double)
    moves.index_put_((path[:, :-1][both], path[:, 1:][both]), moves.new_ones(()), accumulate=True)
    after = ((moves + 1 / kinds) / (moves.sum(1, keepdim=True) + 1)).sqrt().cpu().numpy()
    weights = (moves.sum(1) + 1e-6).cpu().numpy()
    groups = KMeans(min(count, kinds), n_init=10, random_state=0).fit_predict(after, sample_weight=weights)
    return torch.as_tensor(groups, device=labels.device).long()[labels]


def stochastic_em(pair: "Pair", x: Tensor, refit: Callable[["HiddenMarkov"], None]) -> None:
    """Rounds of drawing from the guide and refitting it to what the chain with the values drawn says of the states.

    Source: Celeux & Diebolt 1985, "The SEM algorithm", Computational Statistics Quarterly 2.
    """
    for _ in range(ROUNDS):
        drawn = poutine.trace(pair.guide).get_trace(x)
        refit(poutine.trace(poutine.condition(pair.model, drawn)).get_trace(x).nodes["x"]["fn"])
