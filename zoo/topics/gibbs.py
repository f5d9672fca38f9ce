"""Collapsed Gibbs sampling of topic models: the topic of each word in turn, topics and mixtures of texts integrated out.

Concentrations that are learnt are drawn too, given how many tables a Chinese restaurant would have needed for the counts.

Source: Griffiths & Steyvers 2004, "Finding scientific topics", PNAS 101; Teh, Jordan, Beal & Blei 2006, "Hierarchical Dirichlet
processes", JASA 101, appendix, for the concentrations.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Self

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Beta, Dirichlet, Gamma

# Sweeps for a start, and what a word is taken to have beside its counts in each topic.
SWEEPS, FEW = 50, 0.1


class TopicGibbs:
    """Chains on their way; random numbers follow from torch's.

    by_text (chain, N, K), by_word (chain, V, K), totals (chain, K): how many words have each topic.
    concentration (chain, K), topic_concentration (chain,): as they are given, or where they have got to. prior: shape and rate of the
    Gamma prior of those that are not given.
    """

    def __init__(
        self, x: Tensor, chains: int, topics: int, concentration: float | None, topic_concentration: float | None, prior: float
    ) -> None:
        counts = x.nan_to_num(nan=0.0).long().cpu().numpy()
        texts, words = counts.nonzero()
        times = counts[texts, words]
        self._texts, self._words = (a.repeat(times).astype(np.int32) for a in (texts, words))
        self._like, self._prior, self._learnt = x, prior, (concentration is None, topic_concentration is None)
        self.concentration = np.full((chains, topics), 1 / topics if concentration is None else concentration)
        self.topic_concentration = np.full(chains, 0.1 if topic_concentration is None else topic_concentration)
        self._topics = torch.randint(topics, (chains, len(self._words))).numpy().astype(np.int32)
        self.by_text = np.zeros((chains, counts.shape[0], topics), np.int32)
        self.by_word = np.zeros((chains, counts.shape[1], topics), np.int32)
        for chain, drawn in enumerate(self._topics):
            np.add.at(self.by_text[chain], (self._texts, drawn), 1)
            np.add.at(self.by_word[chain], (self._words, drawn), 1)
        self.totals = self.by_word.sum(1)
        threads = min(chains, torch.get_num_threads())
        self._map = map if threads == 1 else ThreadPoolExecutor(threads).map

    def sweep(self) -> None:
        """One transition of every chain."""
        from .gibbs_kernels import sweep

        def one(chain: int, seed: int) -> None:
            given = self._texts, self._words, self._topics[chain], self.by_text[chain], self.by_word[chain], self.totals[chain]
            sweep(seed, *given, self.concentration[chain], self.topic_concentration[chain])

        self._each(one)
        if self._learnt[0]:
            self._learn()
        if self._learnt[1]:
            # One number for all words: a table for any of them counts, and each topic is a row.
            words = np.repeat(self.topic_concentration[:, None], self.by_word.shape[1], 1)
            self.topic_concentration = self._drawn(self.by_word.transpose(0, 2, 1), words, shared=True)

    def swept(self, sweeps: int) -> Self:
        """The chains after so many sweeps."""
        for _ in range(sweeps):
            self.sweep()
        return self

    def _learn(self) -> None:
        """Draw the concentrations of mixtures."""
        self.concentration = self._drawn(self.by_text, self.concentration)

    def values(self) -> dict[str, Tensor]:
        """A draw of each site that texts share, (chain, ...), given the topics of all words."""
        known = {"concentration": self.concentration, "topic_concentration": self.topic_concentration}
        found = {name: self._tensor(value) for (name, value), learnt in zip(known.items(), self._learnt, strict=True) if learnt}
        shapes = self._tensor(self.by_word).mT + self._tensor(self.topic_concentration)[:, None, None]
        return found | {"topics": Dirichlet(shapes).sample()}

    def log_density(self) -> Tensor:
        """(chain,) log of the joint density of all words and their topics, and of what is learnt; a constant of x is left out."""
        mixtures, topics = self._tensor(self.by_text), self._tensor(self.by_word).mT
        alpha, beta = self._tensor(self.concentration), self._tensor(self.topic_concentration)
        each = _polya(mixtures, alpha[:, None]) + _polya(topics, beta[:, None, None].expand_as(topics[:, :1]))
        prior = Gamma(*alpha.new_full((2,), self._prior))
        logs = prior.log_prob(alpha).sum(1), prior.log_prob(beta)
        return each + sum(log for log, learnt in zip(logs, self._learnt, strict=True) if learnt)

    def _drawn(self, counts: np.ndarray, concentration: np.ndarray, shared: bool = False) -> np.ndarray:
        """(chain, column) concentrations given counts (chain, row, column); `shared`: (chain,), one for all columns."""
        shape, rate = self._tables(counts, concentration), self._rate(counts, concentration.sum(1))
        # Of one for all columns the total is so many times as much.
        return self._gamma(shape.sum(1), concentration.shape[1] * rate) if shared else self._gamma(shape, rate[:, None])

    def _tables(self, counts: np.ndarray, concentration: np.ndarray) -> np.ndarray:
        """(chain, column) how many of the counts (chain, row, column) were new tables."""
        from .gibbs_kernels import tables

        new = np.zeros(concentration.shape, np.int64)
        self._each(lambda chain, seed: tables(seed, counts[chain], concentration[chain], new[chain]))
        return new

    def _rate(self, counts: np.ndarray, total: np.ndarray) -> np.ndarray:
        """(chain,) what rows say of the rate of the `total` (chain,) of concentrations."""
        rows = torch.as_tensor(counts.sum(2), dtype=torch.double)
        left = Beta(torch.as_tensor(total)[:, None].expand_as(rows), rows.clamp(min=1)).sample()
        # A row without words says nothing.
        return -torch.where(rows > 0, left.clamp(min=1e-300).log(), 0.0).sum(1).numpy()

    def _gamma(self, shape: np.ndarray, rate: np.ndarray) -> np.ndarray:
        """A draw from the Gamma posterior, given what there is beside its prior."""
        shape, rate = np.broadcast_arrays(self._prior + shape, self._prior + rate)
        return Gamma(torch.as_tensor(shape.copy()).double(), torch.as_tensor(rate.copy())).sample().numpy()

    def _each(self, function: Callable[[int, int], None]) -> None:
        """Call `function(chain, seed)` for every chain, in as many threads as torch may use."""
        seeds = torch.randint(2**31, (len(self.totals),)).tolist()
        list(self._map(function, range(len(seeds)), seeds))

    def _tensor(self, values: np.ndarray) -> Tensor:
        return torch.as_tensor(values, dtype=self._like.dtype, device=self._like.device)


def _polya(counts: Tensor, concentration: Tensor) -> Tensor:
    """(chain,) log density of sequences of draws from Polya urns, whose counts are (chain, row, column)."""
    cells = (concentration + counts).lgamma() - concentration.lgamma()
    whole = concentration.sum(-1)
    return cells.sum((-2, -1)) + (whole.lgamma() - (whole + counts.sum(-1)).lgamma()).sum(-1)


def swept(x: Tensor, topics: int, concentration: float) -> Tensor:
    """(K, V) how many of each word have each topic, after a few sweeps, and a little more."""
    chain = TopicGibbs(x, 1, topics, concentration, FEW, 1.0).swept(SWEEPS)
    return x.new_tensor(chain.by_word[0]).mT + FEW


def refuse_missing(x: Tensor) -> None:
    """Refuse missing counts. Raises ValueError that names the row."""
    incomplete = x.isnan().any(1).nonzero()
    if len(incomplete):
        raise ValueError(f"row {int(incomplete[0])} has missing counts, of which this sampler knows nothing; use kernel='nuts', or svi")
