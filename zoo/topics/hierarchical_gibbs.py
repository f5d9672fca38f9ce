"""Collapsed Gibbs sampling where texts share the weights of topics: these, and how strongly texts keep to them, are drawn too, given how
many tables Chinese restaurants would have needed.

Source: Teh, Jordan, Beal & Blei 2006, "Hierarchical Dirichlet processes", JASA 101, section 5.3, direct assignment, and the appendix.
"""

import numpy as np
from torch import Tensor
from torch.distributions import Dirichlet, Gamma

from .gibbs import TopicGibbs

# A concentration that is less counts as this, and a weight as that: logarithms are taken of both.
FEWEST, TINY = 1e-6, 1e-30


class HierarchicalGibbs(TopicGibbs):
    """Chains on their way; weights and tables (chain, K), strength and breadth (chain,): where they have got to."""

    def __init__(self, x: Tensor, chains: int, topics: int, topic_concentration: float | None, prior: float) -> None:
        super().__init__(x, chains, topics, None, topic_concentration, prior)
        self.weights = np.full((chains, topics), 1 / topics)
        self.tables = np.zeros((chains, topics), np.int64)
        self.strength, self.breadth = np.ones(chains), np.ones(chains)

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
