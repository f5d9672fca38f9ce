"""Correlated topic model."""

from typing import Annotated, Any

import pyro
import torch
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor

from inference import Pair, Permutation, Table

from .distributions.softmax_gaussian import SoftmaxGaussian
from .distributions.word_counts import WordCounts
from .topics import checks, pictures
from .topics.answers import ANSWERS
from .topics.dirichlet_topics import DirichletTopics
from .topics.gibbs import TopicGibbs
from .topics.laplace import laplace
from .topics.logit_law import LogitLaw, correlations

# Sweeps of the Gibbs sampler of `lda` from which a guide sets out, with its concentrations, and what a topic has beside its words in
# each text.
SWEEPS, CONCENTRATION, BESIDE = 100, 0.1, 0.5


class CorrelatedTopics(Pair):
    """Texts are mixtures of K topics, and texts that have much of one topic may have more, or less, of another.

    | symbol              | distribution                            | shape  | meaning                                            |
    |---------------------|-----------------------------------------|--------|----------------------------------------------------|
    | precision           | Wishart(K + 2, spread^-2 I)             | (K, K) | inverse covariance of the logits of mixtures        |
    | loc                 | Normal(0, precision^-1)                 | (K,)   | mean logits: how much of each topic texts have      |
    | correlations        | of centred logits, given precision      | (K, K) | which topics go together                           |
    | topic_concentration | Gamma(2, 2), or as given                | ()     | how evenly topics use the vocabulary               |
    | topics              | Dirichlet(topic_concentration, ...)     | (K, V) | probability of each word in each topic             |
    | mixture             | softmax of Normal(loc, precision^-1)    | (N, K) | share of each topic in each text                   |
    | x                   | WordCounts(mixture @ topics, ...)       | (N, V) | counts of words; `NaN` is integrated out           |

    The guide is Normal-Wishart for loc and precision and Dirichlet for topics, each found by natural gradient steps; and for the
    logits of a text's mixture, given these, Laplace's approximation, found anew for each text (`zoo/topics/laplace.py`): no encoder, and
    texts never seen cost the same. A constant added to all logits changes nothing, and stays at its prior.

    Reference: Blei & Lafferty 2007, "A correlated topic model of Science", Annals of Applied Statistics 1; Wang & Blei 2013,
    "Variational inference in nonconjugate models", JMLR 14.

    Arguments:
        topics: K, how many topics.
        vocabulary: V, how many words. Read off the data.
        spread: standard deviation of logits in the prior; large where texts have few topics.
        topic_concentration: of the Dirichlet prior on topics, the same for all words; learnt if it is not given.
        length: how many words a text has, on average. Read off the data.
        length_shape: of the Gamma distribution of texts' rates; large where texts are equally long. Read off the data.
    """

    recipe = {"particles": 1, "schedule": "cosine", "steps": 300, "draws": 100}
    restated = ("precision",)

    def __init__(
        self,
        topics: Annotated[int, Field(ge=2)] = 10,
        vocabulary: PositiveInt = 100,
        *,
        spread: PositiveFloat = 2.0,
        topic_concentration: PositiveFloat | None = None,
        length: PositiveFloat = 100.0,
        length_shape: PositiveFloat = 1.0,
    ) -> None:
        self.topics, self.vocabulary = topics, vocabulary
        self.register_buffer("length", torch.tensor(length))
        self.register_buffer("length_shape", torch.tensor(length_shape))
        self.dirichlet = DirichletTopics(topics, vocabulary, topic_concentration)
        self.logits = LogitLaw(topics, spread)

    def model(self, x: Tensor, size: int | None = None) -> None:
        logits = self.logits.sample()
        pyro.deterministic("correlations", correlations(logits.precision), event_dim=2)
        topics = self.dirichlet.sample()
        with self.rows(x, size):
            mixture = pyro.sample("mixture", SoftmaxGaussian(logits.loc, logits.tril).expand([len(x)]))
            pyro.sample("x", WordCounts(mixture @ topics, self.length, self.length_shape), obs=x)

    def guide(self, x: Tensor, size: int | None = None) -> None:
        logits, topics = self.logits.guided(), self.dirichlet.guided()
        found = laplace(x, topics, *logits)
        with self.rows(x, size):
            pyro.sample("mixture", SoftmaxGaussian(found.mode, found.precision_tril))

    def solve(self, x: Tensor, size: int) -> dict[str, Tensor]:
        """The guide's parameters, each given the others, from the mixtures of a draw of the topics."""
        found = laplace(x, self.dirichlet.drawn(), *self.logits.expected())
        words = self.dirichlet.solve(size / len(x) * found.words, "dirichlet")
        return words | self.logits.solve(found.mode, found.precision_tril, size, "logits")

    def start(self, x: Tensor) -> None:
        """Topics and mixtures as the Gibbs sampler of `lda` has them after a hundred sweeps."""
        chain = TopicGibbs(x, 1, self.topics, CONCENTRATION, self.hyperparameters["topic_concentration"], 2.0).swept(SWEEPS)
        self.dirichlet.start(x.new_tensor(chain.by_word[0]).mT, chain.topic_concentration[0])
        logs = (x.new_tensor(chain.by_text[0]) + BESIDE).log()
        self.logits.start(logs - logs.mean(1, keepdim=True))

    @classmethod
    def read(cls, table: Table) -> dict[str, Any]:
        return checks.sizes(table)

    def check(self, table: Table, fitting: bool) -> None:
        checks.corpus(table, self.topics, self.vocabulary, fitting)

    @property
    def symmetries(self) -> tuple[Permutation, ...]:
        axes = {"topics": 0, "loc": 0, "precision": (0, 1), "correlations": (0, 1), "mixture": 1}
        return (Permutation(axes, order="topics", told_by=("topics",)),)

    @property
    def dims(self) -> dict[str, tuple[str, ...]]:
        both = ("topic", "topic2")
        return {"topics": ("topic", "word"), "loc": ("topic",), "precision": both, "correlations": both, "mixture": ("topic",)}

    def coords(self, columns: list[str]) -> dict[str, list[Any]]:
        numbers = list(range(self.topics))
        return {"topic": numbers, "topic2": numbers, "word": columns}

    answers = ANSWERS
    picture = staticmethod(pictures.topics)
