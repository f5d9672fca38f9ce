"""Collapsed Gibbs sampling where texts share the weights of topics: these, and how strongly texts keep to them, are drawn too, given how
many tables Chinese restaurants would have needed.

Source: Teh, Jordan, Beal & Blei 2006, "Hierarchical Dirichlet processes", JASA 101, section 5.3, direct assignment, and the appendix.
"""

import numpy as np
from scipy.special import gammaln
from torch import Tensor
from torch.distributions import Dirichlet, Gamma

from .gibbs import TopicGibbs

# A concentration that is less counts as this, and a weight as that: logarithms are taken of both.
FEWEST, TINY = 1e-6, 1e-30
# How often topics are merged before a chain is under way, and sweeps between.
ROUNDS, BETWEEN = 10, 10


class HierarchicalGibbs(TopicGibbs):
    """Chains on their way; weights and tables (chain, K), strength and breadth (chain,): where they have got to."""

    def __init__(self, x: Tensor, chains: int, topics: int, topic_concentration: float | None, prior: float) -> None:
        super().__init__(x, chains, topics, None, topic_concentration, prior)
        self.weights = np.full((chains, topics), 1 / topics)
        self.tables = np.zeros((chains, topics), np.int64)
        self.strength, self.breadth = np.ones(chains), np.ones(chains)

    def set_out(self) -> None:
        """Sweeps in which topics are merged that are likelier as one: sweeps alone hardly ever join what chance has divided."""
        for _ in range(ROUNDS):
            self.swept(BETWEEN)
            for chain in range(len(self.totals)):
                self._merge(chain)

    def _merge(self, chain: int) -> None:
        """Make one of pairs of topics that are likelier so, beginning with those that gain most; each topic but once."""
        gains = np.triu(self._gains(chain), 1)
        free = np.ones(len(gains), bool)
        for i in np.argsort(-gains, axis=None):
            kept, gone = np.unravel_index(i, gains.shape)
            if gains[kept, gone] <= 0:
                break
            if free[kept] and free[gone]:
                free[[kept, gone]] = False
                for counts in (self.by_text[chain], self.by_word[chain], self.totals[chain][None]):
                    counts[:, kept] += counts[:, gone]
                    counts[:, gone] = 0
                self._topics[chain][self._topics[chain] == gone] = kept

    def _gains(self, chain: int) -> np.ndarray:
        """(K, K) what the log density of all words and their topics gains where two topics with words are one; zero for others."""
        texts, words, totals = self.by_text[chain], self.by_word[chain], self.totals[chain]
        alpha, beta = self.concentration[chain], self.topic_concentration[chain]
        found = np.zeros((len(totals), len(totals)))
        one = (gammaln(alpha + texts) - gammaln(alpha)).sum(0)
        other = (gammaln(beta + words) - gammaln(beta)).sum(0) - _rising(beta * len(words), totals)
        for k in np.flatnonzero(totals):
            in_texts = (gammaln(alpha + alpha[k] + texts + texts[:, k, None]) - gammaln(alpha + alpha[k])).sum(0)
            in_topics = (gammaln(beta + words + words[:, k, None]) - gammaln(beta)).sum(0) - _rising(beta * len(words), totals + totals[k])
            found[k] = np.where(totals > 0, in_texts - one - one[k] + in_topics - other - other[k], 0.0)
        return found

    def _learn(self) -> None:
        self.tables = tables = self._tables(self.by_text, self.concentration)
        self.strength = self._gamma(tables.sum(1), self._rate(self.by_text, self.strength))
        drawn, even = tables[:, None], np.repeat(self.breadth[:, None] / tables.shape[1], tables.shape[1], 1)
        again = self._tables(drawn, even)
        self.breadth = self._gamma(again.sum(1), self._rate(drawn, self.breadth))
        shapes = self._tensor(tables).double() + self._tensor(self.breadth).double()[:, None] / tables.shape[1]
        self.weights = Dirichlet(shapes).sample().cpu().numpy()
        self.concentration = np.maximum(self.strength[:, None] * self.weights, FEWEST)

    def values(self) -> dict[str, Tensor]:
        found = super().values()
        found.pop("concentration")
        return found | {name: self._tensor(getattr(self, name)) for name in ("weights", "strength", "breadth")}

    def log_density(self) -> Tensor:
        found = super().log_density()
        weights, strength, breadth, concentration = (
            self._tensor(value) for value in (self.weights, self.strength, self.breadth, self.concentration)
        )
        prior = Gamma(*strength.new_full((2,), self._prior))
        shape = (breadth[:, None] / weights.shape[1]).expand_as(weights)
        of_weights = Dirichlet(shape).log_prob(weights.clamp(min=TINY))
        return found - prior.log_prob(concentration).sum(1) + prior.log_prob(strength) + prior.log_prob(breadth) + of_weights


def _rising(concentration: float, counts: np.ndarray) -> np.ndarray:
    """The log of Gamma(concentration + count) / Gamma(concentration)."""
    return gammaln(concentration + counts) - gammaln(concentration)
