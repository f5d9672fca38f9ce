"""Topics that are Dirichlet a priori, their concentration given or learnt; and a guide that takes natural gradient steps."""

import pyro
import pyro.distributions as dist
import torch
from pyro.nn import PyroModule, PyroParam
from torch import Tensor
from torch.distributions import constraints

# The guide has at least so many of each word in each topic.
FEW = 1e-4
# Shape and rate of the Gamma prior on concentrations that are learnt.
PRIOR = 2.0


class DirichletTopics(PyroModule):
    """The sites `topics` (K, V) and, where it is learnt, `topic_concentration` ().

    The guide is Gamma for the concentration, and given it Dirichlet for each topic: in q_words (K, V), how many words each has.
    """

    def __init__(self, topics: int, vocabulary: int, concentration: float | None) -> None:
        super().__init__()
        self.learnt = concentration is None
        self.q_words = PyroParam(torch.ones(topics, vocabulary), constraints.positive)
        if self.learnt:
            self.q_shape = PyroParam(torch.tensor(10.0), constraints.positive)
            self.q_rate = PyroParam(torch.tensor(100.0), constraints.positive)
            self.register_buffer("prior", torch.tensor(PRIOR))
        else:
            self.register_buffer("concentration", torch.tensor(concentration))

    def sample(self) -> Tensor:
        """A draw (K, V) from the prior."""
        smoothing = pyro.sample("topic_concentration", dist.Gamma(self.prior, self.prior)) if self.learnt else self.concentration
        return pyro.sample("topics", dist.Dirichlet(smoothing.expand(self.q_words.shape)).to_event(1))

    def guided(self) -> Tensor:
        """A draw (K, V) from the guide."""
        smoothing = pyro.sample("topic_concentration", dist.Gamma(self.q_shape, self.q_rate)) if self.learnt else self.concentration
        return pyro.sample("topics", dist.Dirichlet(self.q_words + smoothing).to_event(1))

    @property
    def shapes(self) -> Tensor:
        """(K, V) of the guide's Dirichlet distributions, at the mean of the concentration."""
        return self.q_words + self._smoothing

    def drawn(self) -> Tensor:
        """Topics from the guide, through which no gradient goes: `solve` asks what mixtures texts have of a draw, because the guide has
        mixtures that lean on the topics drawn: given their mean they would be too sure of themselves.

        Source: Hoffman & Blei 2015, "Structured stochastic variational inference", AISTATS.
        """
        return dist.Dirichlet(self.shapes.detach()).sample()

    def solve(self, words: Tensor, name: str) -> dict[str, Tensor]:
        """What the guide's parameters should be where topics have so many `words` (K, V); `name` is the pair's of this module."""
        found = {f"{name}.q_words": words.clamp(min=FEW)}
        if self.learnt:
            tables, left = tables_of(self.shapes, self._smoothing.expand(self.q_words.shape[1]))
            found |= {f"{name}.q_shape": PRIOR + tables.sum(), f"{name}.q_rate": PRIOR + self.q_words.shape[1] * left}
        return found

    def start(self, words: Tensor, concentration: float) -> None:
        """The guide as the posterior given how many words each topic has (K, V)."""
        self.q_words = words.clamp(min=FEW)
        if self.learnt:
            self.q_rate = self.q_shape / concentration

    @property
    def _smoothing(self) -> Tensor:
        return self.q_shape / self.q_rate if self.learnt else self.concentration


def tables_of(shapes: Tensor, concentration: Tensor) -> tuple[Tensor, Tensor]:
    """What a Gamma posterior of `concentration` (column,) adds to its prior's shape (column,) and rate (), for rows whose Dirichlet
    posteriors have `shapes` (row, column).

    Source: Teh, Kurihara & Welling 2007, "Collapsed variational inference for HDP", NeurIPS.
    """
    tables = concentration * (shapes.digamma() - concentration.digamma())
    return tables.sum(0), (shapes.sum(1).digamma() - concentration.sum().digamma()).sum()
