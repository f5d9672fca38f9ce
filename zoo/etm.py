"""Embedded topic model."""

from typing import Annotated, Any

import pyro
import pyro.distributions as dist
import torch
from pydantic import Field, PositiveFloat, PositiveInt
from pyro.nn import PyroParam
from torch import Tensor
from torch.distributions import constraints

from inference import Pair, Permutation, Rotation, Symmetry, Table

from .codes.nets import restart
from .distributions.softmax_normal import SoftmaxNormal
from .distributions.word_counts import WordCounts
from .topics import checks, pictures
from .topics.answers import ANSWERS
from .topics.encoder import TopicEncoder
from .topics.gibbs import swept
from .topics.slopes import of_sums
from .topics.word_vectors import factored, matrix, regressed

# What is not finite is refused by name, in `matrix`.
Vector = Annotated[list[Annotated[float, Field(allow_inf_nan=True)]], Field(min_length=1)]


class EmbeddedTopics(Pair):
    """Words are points in a space, and so are topics: a word is likely in the topics that it points the way of.

    | symbol     | distribution                                          | shape  | meaning                                       |
    |------------|-------------------------------------------------------|--------|-----------------------------------------------|
    | vectors    | Normal(0, 1 / sqrt(E)), or as given                   | (V, E) | where each word is                            |
    | embeddings | Normal(0, spread)                                     | (K, E) | where each topic is                           |
    | topics     | softmax(embeddings @ vectors.T)                       | (K, V) | probability of each word in each topic        |
    | mixture    | softmax of Normal(0, sqrt((1 - 1/K) / concentration)) | (N, K) | share of each topic in each text              |
    | x          | WordCounts(mixture @ topics, ...)                     | (N, V) | counts of words; `NaN` is integrated out      |

    Words near each other share their topics. So a word that the texts fitted do not count, a column of `NaN`, has its probability in each
    topic from its vector, where vectors are given: by another model of words, trained on more texts than there are here. They
    are used in units in which their mean square length is one, as it is a priori of vectors that are learnt.

    The guide is Normal for each coordinate, and for the logits of a text's mixture, with mean and scale from an encoder of how
    its words pull at it (`zoo/topics/encoder.py`). It sets out from topics that a Gibbs sampler of `lda` has found in a few sweeps.

    Reference: Dieng, Ruiz & Blei 2020, "Topic modeling in embedding spaces", TACL 8 (where vectors and embeddings are points).

    Limits:
        - Topics lie in a space of E numbers, and differ in no more directions than that.
        - How few topics texts have (`concentration`) is given and not learnt, and so are E and the number of topics.
        - Vectors that are given are taken without doubt, and a word has one of them: its several meanings are not told apart.
        - The mixture of a text comes from an encoder, which may miss what suits that text better: on `packages` some rows had too high a
          k-hat.

    Arguments:
        topics: K, how many topics.
        vocabulary: V, how many words. Read off the data.
        vectors: the word vectors, (V, E), in the order of the counts' columns; a DataFrame by word is held against their names.
            Learnt if they are not given.
        embedding: E, how many numbers a vector has that is learnt.
        hidden: sizes of the encoder's hidden layers.
        concentration: of the Dirichlet that the prior on mixtures is near to; small where texts have few topics.
        spread: standard deviation of a topic's coordinates in the prior, and of the log of a word's probability.
        length: how many words a text has, on average. Read off the data.
        length_shape: of the Gamma distribution of texts' rates; large where texts are equally long. Read off the data.
    """

    recipe = {"lr": 0.03, "particles": 1, "schedule": "cycles", "steps": 1000, "draws": 100}
    restated = ("vectors", "embeddings")

    def __init__(
        self,
        topics: Annotated[int, Field(ge=2)] = 10,
        vocabulary: PositiveInt = 100,
        *,
        vectors: dict[str, Vector] | Annotated[list[Vector], Field(min_length=1)] | None = None,
        embedding: PositiveInt = 10,
        hidden: Annotated[list[PositiveInt], Field(min_length=1)] = [16],  # noqa: B006
        concentration: PositiveFloat = 0.1,
        spread: PositiveFloat = 3.0,
        length: PositiveFloat = 100.0,
        length_shape: PositiveFloat = 1.0,
    ) -> None:
        self.topics, self.vocabulary, self.learnt = topics, vocabulary, vectors is None
        self.words = list(vectors) if isinstance(vectors, dict) else None
        if self.learnt:
            self.embedding = embedding
            self.q_vectors = PyroParam(embedding**-0.5 * torch.randn(vocabulary, embedding))
            self.q_vectors_scale = PyroParam(torch.full((vocabulary, embedding), 0.1 * embedding**-0.5), constraints.positive)
        else:
            self.register_buffer("given", matrix(vectors, vocabulary))
            self.embedding = self.given.shape[1]
        self.register_buffer("scale", torch.tensor((1 - 1 / topics) / concentration).sqrt())
        for name, value in {"spread": spread, "length": length, "length_shape": length_shape}.items():
            self.register_buffer(name, torch.tensor(value))
        self.q_loc = PyroParam(torch.zeros(topics, self.embedding))
        self.q_scale = PyroParam(torch.full((topics, self.embedding), 0.1 * spread), constraints.positive)
        self.q_encoder = TopicEncoder(hidden)

    def model(self, x: Tensor, size: int | None = None) -> None:
        shape = [self.vocabulary, self.embedding]
        law = dist.Normal(self.spread.new_zeros(shape), self.embedding**-0.5).to_event(2)
        vectors = pyro.sample("vectors", law) if self.learnt else self.given
        embeddings = pyro.sample("embeddings", dist.Normal(0.0, self.spread).expand(self.q_loc.shape).to_event(2))
        topics = pyro.deterministic("topics", (embeddings @ vectors.mT).softmax(-1), event_dim=2)
        with self.rows(x, size):
            mixture = pyro.sample("mixture", SoftmaxNormal(x.new_zeros(len(x), self.topics), self.scale))
            pyro.sample("x", WordCounts(mixture @ topics, self.length, self.length_shape), obs=x)

    def guide(self, x: Tensor, size: int | None = None) -> None:
        law = dist.Normal(self.q_vectors, self.q_vectors_scale).to_event(2) if self.learnt else None
        vectors = pyro.sample("vectors", law) if self.learnt else self.given
        embeddings = pyro.sample("embeddings", dist.Normal(self.q_loc, self.q_scale).to_event(2))
        loc, scale = self.q_encoder(of_sums(x, (embeddings @ vectors.mT).softmax(-1)), self.scale)
        with self.rows(x, size):
            pyro.sample("mixture", SoftmaxNormal(loc, scale))

    def start(self, x: Tensor) -> None:
        """Embeddings, and vectors that are learnt, nearest to topics as the Gibbs sampler of `lda` has them after fifty sweeps."""
        restart(self.q_encoder)
        words = swept(x, self.topics, self.hyperparameters["concentration"])
        if self.learnt:
            self.q_loc, self.q_vectors = factored(words, self.embedding)
        else:
            self.q_loc = regressed(words, self.given, self.spread)

    @classmethod
    def read(cls, table: Table) -> dict[str, Any]:
        return checks.sizes(table)

    def check(self, table: Table, fitting: bool) -> None:
        checks.corpus(table, self.topics, self.vocabulary, fitting)
        if self.words is not None and table.frame:
            checks.named(table, self.words)

    @property
    def symmetries(self) -> tuple[Symmetry, ...]:
        order = Permutation({"embeddings": 0, "topics": 0, "mixture": 1}, order="topics", told_by=("topics",))
        return (order, Rotation({"vectors": 1, "embeddings": 1})) if self.learnt else (order,)

    @property
    def dims(self) -> dict[str, tuple[str, ...]]:
        places = {"vectors": ("word", "coordinate"), "embeddings": ("topic", "coordinate")}
        return {**places, "topics": ("topic", "word"), "mixture": ("topic",)}

    def coords(self, columns: list[str]) -> dict[str, list[Any]]:
        return {"topic": list(range(self.topics)), "coordinate": list(range(self.embedding)), "word": columns}

    answers = ANSWERS
    picture = staticmethod(pictures.topics)
