"""Hierarchical Dirichlet process over topics: as many topics as the texts need."""

from typing import Any

import pyro
import pyro.distributions as dist
import torch
from pydantic import PositiveFloat, PositiveInt
from pyro.nn import PyroParam
from torch import Tensor
from torch.distributions import constraints

from inference import Pair, Permutation, Table

from .distributions.word_counts import WordCounts
from .topics import checks, pictures
from .topics.answers import ANSWERS
from .topics.dirichlet_topics import PRIOR, DirichletTopics, tables_of
from .topics.fold_in import fold_in
from .topics.gibbs import refuse_missing
from .topics.hierarchical_gibbs import FEWEST, HierarchicalGibbs

# Sweeps of the Gibbs sampler from which a guide sets out, and how many tables a topic has that is used.
SWEEPS, LEAST = 50, 1.0


class HierarchicalTopics(Pair):
    """Texts are mixtures of topics, of which there are as many as they need, up to K; what is not needed has next to no weight.

    | symbol              | distribution                            | shape  | meaning                                             |
    |---------------------|-----------------------------------------|--------|-----------------------------------------------------|
    | breadth             | Gamma(2, 2)                             | ()     | how many topics have weight                         |
    | weights             | Dirichlet(breadth / K, ...)             | (K,)   | weight of each topic                                |
    | strength            | Gamma(2, 2)                             | ()     | how closely texts keep to these weights             |
    | concentration       | strength weights                        | (K,)   | how much of each topic texts have, and how evenly   |
    | topic_concentration | Gamma(2, 2), or as given                | ()     | how evenly topics use the vocabulary                |
    | topics              | Dirichlet(topic_concentration, ...)     | (K, V) | probability of each word in each topic              |
    | mixture             | Dirichlet(concentration)                | (N, K) | share of each topic in each text                    |
    | x                   | WordCounts(mixture @ topics, ...)       | (N, V) | counts of words; `NaN` is integrated out            |

    With K without bound that is the hierarchical Dirichlet process; `lda` has a weight for each topic too, of its own and nothing that
    draws it to zero. A report tells how many topics the texts use: as long as that is less than K, K is large enough. A
    concentration below a millionth counts as that. The guide is as that of `lda`, with natural gradient steps for all of its parameters.
    It keeps to the number of topics that it sets out with, after sweeps of the sampler and merges: steps alone do not find it.

    `mcmc` with kernel="gibbs" draws the topic of each word in turn, topics and mixtures integrated out
    (`zoo/topics/hierarchical_gibbs.py`).

    Reference: Teh, Jordan, Beal & Blei 2006, "Hierarchical Dirichlet processes", JASA 101, section 6 for the finite one; Teh, Kurihara
    & Welling 2007, "Collapsed variational inference for HDP", NeurIPS.

    Limits:
        - K is a bound, and the work of a sweep grows with it.
        - Gibbs chains merge topics before they are under way and never after, and divide none: they may differ in how many they use.
        - Topics know of each other only that their shares add up to one: which go together is for `ctm`.
        - Kernel "gibbs" takes no missing counts, and holds the topic of every word of every text.

    Arguments:
        topics: K, more than there are thought to be.
        vocabulary: V, how many words. Read off the data.
        topic_concentration: of the Dirichlet prior on topics, the same for all words; learnt if it is not given.
        length: how many words a text has, on average. Read off the data.
        length_shape: of the Gamma distribution of texts' rates; large where texts are equally long. Read off the data.
    """

    recipe = {"particles": 1, "schedule": "cycles", "steps": 500, "draws": 100}

    def __init__(
        self,
        topics: PositiveInt = 30,
        vocabulary: PositiveInt = 100,
        *,
        topic_concentration: PositiveFloat | None = None,
        length: PositiveFloat = 100.0,
        length_shape: PositiveFloat = 1.0,
    ) -> None:
        self.topics, self.vocabulary = topics, vocabulary
        self.register_buffer("length", torch.tensor(length))
        self.register_buffer("length_shape", torch.tensor(length_shape))
        self.dirichlet = DirichletTopics(topics, vocabulary, topic_concentration)
        self.q_weights = PyroParam(torch.ones(topics), constraints.positive)
        for name in ("breadth", "strength"):
            setattr(self, f"q_{name}_shape", PyroParam(torch.tensor(10.0), constraints.positive))
            setattr(self, f"q_{name}_rate", PyroParam(torch.tensor(10.0), constraints.positive))

    def model(self, x: Tensor, size: int | None = None) -> None:
        prior = torch.full_like(self.length, PRIOR)
        breadth = pyro.sample("breadth", dist.Gamma(prior, prior))
        weights = pyro.sample("weights", dist.Dirichlet((breadth / self.topics).expand(self.topics)))
        strength = pyro.sample("strength", dist.Gamma(prior, prior))
        concentration = pyro.deterministic("concentration", (strength * weights).clamp(min=FEWEST), event_dim=1)
        topics = self.dirichlet.sample()
        with self.rows(x, size):
            mixture = pyro.sample("mixture", dist.Dirichlet(concentration.expand(len(x), -1)))
            pyro.sample("x", WordCounts(mixture @ topics, self.length, self.length_shape), obs=x)

    def guide(self, x: Tensor, size: int | None = None) -> None:
        pyro.sample("breadth", dist.Gamma(self.q_breadth_shape, self.q_breadth_rate))
        weights = pyro.sample("weights", dist.Dirichlet(self.q_weights))
        strength = pyro.sample("strength", dist.Gamma(self.q_strength_shape, self.q_strength_rate))
        topics = self.dirichlet.guided()
        with self.rows(x, size):
            pyro.sample("mixture", dist.Dirichlet(fold_in(x, self._used(topics), (strength * weights).clamp(min=FEWEST))[0]))

    def solve(self, x: Tensor, size: int) -> dict[str, Tensor]:
        """The guide's parameters, each given the others: how many words each topic has, given a draw of the topics, and how many tables
        restaurants would have needed for them."""
        scale, weights = size / len(x), self.q_weights / self.q_weights.sum()
        concentration = (self.q_strength_shape / self.q_strength_rate * weights).clamp(min=FEWEST)
        even = (self.q_breadth_shape / self.q_breadth_rate / self.topics).expand(self.topics)
        mixtures, words = fold_in(x, self._used(self.dirichlet.drawn()), concentration)
        tables, left = tables_of(mixtures, concentration)
        again, left_again = tables_of((even + scale * tables)[None], even)
        return self.dirichlet.solve(scale * words, "dirichlet") | {
            "q_weights": even + scale * tables,
            "q_strength_shape": PRIOR + scale * tables.sum(),
            "q_strength_rate": PRIOR + scale * left,
            "q_breadth_shape": PRIOR + again.sum(),
            "q_breadth_rate": PRIOR + left_again,
        }

    def _used(self, topics: Tensor) -> Tensor:
        """The topics (K, V), with nothing in those that have less than a table in all texts: a draw of them from the prior would take
        the words that it happens to be rich in, another each time, and be kept alive by them."""
        return topics * (self.q_weights >= LEAST)[:, None]

    def start(self, x: Tensor) -> None:
        """The posterior given the topic of every word, as the Gibbs sampler has it after some sweeps."""
        chain = self._chains(x, 1).swept(SWEEPS)
        self.dirichlet.start(x.new_tensor(chain.by_word[0]).mT, chain.topic_concentration[0])
        breadth, strength = (float(value[0]) for value in (chain.breadth, chain.strength))
        self.q_weights = breadth / self.topics + x.new_tensor(chain.tables[0])
        self.q_breadth_rate, self.q_strength_rate = self.q_breadth_shape / breadth, self.q_strength_shape / strength

    def gibbs(self, x: Tensor, chains: int) -> HierarchicalGibbs:
        """A sampler of the topic of each word. Raises ValueError for missing counts, of which it knows nothing."""
        refuse_missing(x)
        return self._chains(x, chains)

    def _chains(self, x: Tensor, chains: int) -> HierarchicalGibbs:
        found = HierarchicalGibbs(x, chains, self.topics, self.hyperparameters["topic_concentration"], PRIOR)
        found.set_out()
        return found

    @classmethod
    def read(cls, table: Table) -> dict[str, Any]:
        return checks.sizes(table)

    def check(self, table: Table, fitting: bool) -> None:
        checks.corpus(table, 1, self.vocabulary, fitting)

    @property
    def symmetries(self) -> tuple[Permutation, ...]:
        axes = {"topics": 0, "weights": 0, "concentration": 0, "mixture": 1}
        return (Permutation(axes, order="weights", told_by=("topics",), weighed_by="weights"),)

    @property
    def dims(self) -> dict[str, tuple[str, ...]]:
        one = dict.fromkeys(("weights", "concentration", "mixture"), ("topic",))
        return {"topics": ("topic", "word"), **one}

    def coords(self, columns: list[str]) -> dict[str, list[Any]]:
        return {"topic": list(range(self.topics)), "word": columns}

    restated = ("concentration",)
    answers = ANSWERS
    picture = staticmethod(pictures.topics)
