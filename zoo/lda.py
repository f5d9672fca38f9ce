"""Latent Dirichlet allocation."""

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
from .topics.gibbs import TopicGibbs, refuse_missing

# Sweeps of the Gibbs sampler from which a guide sets out.
SWEEPS = 100


class LatentDirichletAllocation(Pair):
    """Texts are mixtures of K topics, each a distribution over the words of a vocabulary.

    | symbol              | distribution                              | shape  | meaning                                       |
    |---------------------|-------------------------------------------|--------|-----------------------------------------------|
    | concentration       | Gamma(2, 2), or as given                  | (K,)   | how much of each topic texts have, and how evenly |
    | topic_concentration | Gamma(2, 2), or as given                  | ()     | how evenly topics use the vocabulary          |
    | topics              | Dirichlet(topic_concentration, ...)       | (K, V) | probability of each word in each topic        |
    | mixture             | Dirichlet(concentration)                  | (N, K) | share of each topic in each text              |
    | x                   | WordCounts(mixture @ topics, ...)         | (N, V) | counts of words; `NaN` is integrated out      |

    The topic of each word is summed out, and so is the rate at which a text is long: a negative binomial number of words is
    multinomial, see `zoo/distributions/word_counts.py`. Texts' lengths tell nothing of their topics. The guide is Dirichlet for each
    topic, and for the mixture of each text given the topics, by a fixed point (`zoo/topics/fold_in.py`), so that texts never seen cost
    the same. Its parameters take natural gradient steps.

    `mcmc` with kernel="gibbs" draws the topic of each word in turn, topics and mixtures integrated out (`zoo/topics/gibbs.py`).

    Reference: Blei, Ng & Jordan 2003, "Latent Dirichlet allocation", JMLR 3; Griffiths & Steyvers 2004, "Finding scientific topics",
    PNAS 101; Wallach, Mimno & McCallum 2009, "Rethinking LDA: why priors matter", NeurIPS; Hoffman, Blei, Wang & Paisley 2013,
    "Stochastic variational inference", JMLR 14.

    Limits:
        - Topics know of each other only that their shares add up to one: which go together is for `ctm`.
        - The number of topics is not inferred (`hdp` does), and the order of words is not seen.
        - The guide knows nothing of what topics and concentrations have to do with each other: on `packages` its sds of concentrations
          came to about half those of Gibbs draws.
        - Gibbs chains settle in modes of their own: on `packages` four did not agree (R-hat, modes).
        - Kernel "gibbs" takes no missing counts, and holds the topic of every word of every text.

    Arguments:
        topics: K, how many topics.
        vocabulary: V, how many words. Read off the data.
        concentration: of the Dirichlet prior on mixtures, the same for all topics; learnt, one for each topic, if it is not given.
        topic_concentration: of the Dirichlet prior on topics, the same for all words; learnt if it is not given.
        length: how many words a text has, on average. Read off the data.
        length_shape: of the Gamma distribution of texts' rates; large where texts are equally long. Read off the data.
    """

    recipe = {"particles": 1, "schedule": "cycles", "steps": 500, "draws": 100}

    def __init__(
        self,
        topics: PositiveInt = 10,
        vocabulary: PositiveInt = 100,
        *,
        concentration: PositiveFloat | None = None,
        topic_concentration: PositiveFloat | None = None,
        length: PositiveFloat = 100.0,
        length_shape: PositiveFloat = 1.0,
    ) -> None:
        self.topics, self.vocabulary, self.learnt = topics, vocabulary, concentration is None
        self.register_buffer("length", torch.tensor(length))
        self.register_buffer("length_shape", torch.tensor(length_shape))
        self.dirichlet = DirichletTopics(topics, vocabulary, topic_concentration)
        if self.learnt:
            self.q_shape = PyroParam(torch.full((topics,), 10.0), constraints.positive)
            self.q_rate = PyroParam(torch.full((topics,), 100.0), constraints.positive)
        else:
            self.register_buffer("concentration", torch.full((topics,), concentration))

    def model(self, x: Tensor, size: int | None = None) -> None:
        prior = torch.full_like(self.length, PRIOR).expand(self.topics)
        concentration = pyro.sample("concentration", dist.Gamma(prior, prior).to_event(1)) if self.learnt else self.concentration
        topics = self.dirichlet.sample()
        with self.rows(x, size):
            mixture = pyro.sample("mixture", dist.Dirichlet(concentration.expand(len(x), -1)))
            pyro.sample("x", WordCounts(mixture @ topics, self.length, self.length_shape), obs=x)

    def guide(self, x: Tensor, size: int | None = None) -> None:
        law = dist.Gamma(self.q_shape, self.q_rate).to_event(1) if self.learnt else None
        concentration = pyro.sample("concentration", law) if self.learnt else self.concentration
        topics = self.dirichlet.guided()
        with self.rows(x, size):
            pyro.sample("mixture", dist.Dirichlet(fold_in(x, topics, concentration)[0]))

    def solve(self, x: Tensor, size: int) -> dict[str, Tensor]:
        """The guide's parameters, each given the others: how many words each topic has, given a draw of the topics."""
        concentration = self.q_shape / self.q_rate if self.learnt else self.concentration
        mixtures, words = fold_in(x, self.dirichlet.drawn(), concentration)
        scale = size / len(x)
        found = self.dirichlet.solve(scale * words, "dirichlet")
        if self.learnt:
            tables, left = tables_of(mixtures, concentration)
            found |= {"q_shape": PRIOR + scale * tables, "q_rate": PRIOR + scale * left.expand_as(tables)}
        return found

    def start(self, x: Tensor) -> None:
        """The posterior given the topic of every word, as the Gibbs sampler has it after a hundred sweeps."""
        chain = self._chains(x, 1).swept(SWEEPS)
        self.dirichlet.start(x.new_tensor(chain.by_word[0]).mT, chain.topic_concentration[0])
        if self.learnt:
            self.q_rate = self.q_shape / torch.as_tensor(chain.concentration[0]).to(self.q_shape)

    def gibbs(self, x: Tensor, chains: int) -> TopicGibbs:
        """A sampler of the topic of each word. Raises ValueError for missing counts, of which it knows nothing."""
        refuse_missing(x)
        return self._chains(x, chains)

    def _chains(self, x: Tensor, chains: int) -> TopicGibbs:
        given = self.hyperparameters
        return TopicGibbs(x, chains, self.topics, given["concentration"], given["topic_concentration"], PRIOR)

    @classmethod
    def read(cls, table: Table) -> dict[str, Any]:
        return checks.sizes(table)

    def check(self, table: Table, fitting: bool) -> None:
        checks.corpus(table, self.topics, self.vocabulary, fitting)

    @property
    def symmetries(self) -> tuple[Permutation, ...]:
        order = "concentration" if self.learnt else "topics"
        return (Permutation({"topics": 0, "concentration": 0, "mixture": 1}, order=order, told_by=("topics",)),)

    @property
    def dims(self) -> dict[str, tuple[str, ...]]:
        return {"topics": ("topic", "word"), "concentration": ("topic",), "mixture": ("topic",)}

    def coords(self, columns: list[str]) -> dict[str, list[Any]]:
        return {"topic": list(range(self.topics)), "word": columns}

    answers = ANSWERS
    picture = staticmethod(pictures.topics)
