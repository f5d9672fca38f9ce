"""Supervised topics."""

from dataclasses import replace
from typing import Annotated, Any

import pyro
import torch
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor

from inference import Pair, Permutation, Table

from .by_column import center_and_spread
from .codes.nets import restart
from .distributions.softmax_normal import SoftmaxNormal
from .distributions.with_response import WithResponse
from .distributions.word_counts import WordCounts
from .topics import checks, pictures
from .topics.answers import ANSWERS
from .topics.dirichlet_topics import DirichletTopics
from .topics.encoder import TopicEncoder
from .topics.fold_in import words_of
from .topics.foretelling import responses
from .topics.gibbs import TopicGibbs
from .topics.responses import Categorical, Gaussian, Shared
from .topics.slopes import Slope, of_sums

# Sweeps of the Gibbs sampler of `lda` from which a guide sets out.
SWEEPS = 100


class SupervisedTopics(Pair):
    """Texts are mixtures of K topics, and what is asked of a text, a number or a category, is foretold by its mixture.

    | symbol              | distribution                                          | shape  | meaning                                    |
    |---------------------|-------------------------------------------------------|--------|--------------------------------------------|
    | topic_concentration | Gamma(2, 2), or as given                              | ()     | how evenly topics use the vocabulary       |
    | topics              | Dirichlet(topic_concentration, ...)                   | (K, V) | probability of each word in each topic     |
    | coefficients        | Normal(center, coefficient_scale spread)              | (K,)   | response of a text of nothing but the topic |
    | noise               | HalfNormal(spread)                                    | ()     | of responses about what mixtures foretell  |
    | mixture             | softmax of Normal(0, sqrt((1 - 1/K) / concentration)) | (N, K) | share of each topic in each text           |
    | words               | WordCounts(mixture @ topics, ...)                     | (N, V) | counts of words; `NaN` is integrated out   |
    | response            | Normal(mixture @ coefficients, noise)                 | (N,)   | the last column; `NaN` is summed out       |

    A categorical response is Categorical(softmax(mixture @ coefficients)), with coefficients (K, C) that add up to zero over categories
    and no noise. Topics are drawn towards what tells responses apart, by the texts whose response is known; where it is not,
    `posterior.impute` fills it, and `posterior.responses` foretells it from words alone, with the probability of each category.

    The guide is Dirichlet for each topic, by natural gradient steps, and Normal for each coefficient; and for the logits of a text's
    mixture, with mean and scale from an encoder of how its words and its response pull at it (`zoo/topics/encoder.py`).

    Reference: McAuliffe & Blei 2008, "Supervised topic models", NeurIPS (where the topics of the words foretell, not the mixture that
    they are drawn from, and the prior on mixtures is Dirichlet).

    Limits:
        - The response is linear in the mixture, with Normal noise, or a category; there is one, and there are no covariates.
        - A text has one response and many words: topics are first of all those of the words, and may leave out what foretells the
          response.
        - Three planted categories were foretold no better than by logistic regression on the mixtures of `lda` (0.599 nats against
          0.581).
        - How few topics texts have (`concentration`) is given and not learnt, and so is the number of topics.

    Arguments:
        topics: K, how many topics.
        vocabulary: V, how many words: one less than there are columns. Read off the data.
        categories: C, if the response is one of 0, 1, ..., C - 1; it is a number if that is not given.
        hidden: sizes of the encoder's hidden layers.
        concentration: of the Dirichlet that the prior on mixtures is near to; small where texts have few topics.
        topic_concentration: of the Dirichlet prior on topics, the same for all words; learnt if it is not given.
        center: prior mean of coefficients of numbers. Read off the data: the mean response.
        spread: scale of numbers. Read off the data: the responses' standard deviation.
        coefficient_scale: prior standard deviation of a coefficient, in units of `spread` for numbers.
        length: how many words a text has, on average. Read off the data.
        length_shape: of the Gamma distribution of texts' rates; large where texts are equally long. Read off the data.
    """

    recipe = {"lr": 0.03, "particles": 1, "schedule": "cycles", "steps": 1000, "draws": 100}

    def __init__(
        self,
        topics: Annotated[int, Field(ge=2)] = 10,
        vocabulary: PositiveInt = 100,
        *,
        categories: Annotated[int, Field(ge=2)] | None = None,
        hidden: Annotated[list[PositiveInt], Field(min_length=1)] = [16],  # noqa: B006
        concentration: PositiveFloat = 0.1,
        topic_concentration: PositiveFloat | None = None,
        center: float = 0.0,
        spread: PositiveFloat = 1.0,
        coefficient_scale: PositiveFloat = 3.0,
        length: PositiveFloat = 100.0,
        length_shape: PositiveFloat = 1.0,
    ) -> None:
        self.topics, self.vocabulary = topics, vocabulary
        self.register_buffer("scale", torch.tensor((1 - 1 / topics) / concentration).sqrt())
        self.register_buffer("length", torch.tensor(length))
        self.register_buffer("length_shape", torch.tensor(length_shape))
        self.dirichlet = DirichletTopics(topics, vocabulary, topic_concentration)
        if categories is None:
            self.response = Gaussian(topics, center, spread, coefficient_scale)
        else:
            self.response = Categorical(topics, categories, coefficient_scale)
        self.q_encoder = TopicEncoder(hidden)

    def model(self, x: Tensor, size: int | None = None) -> None:
        topics, shared = self.dirichlet.sample(), self.response.sample()
        with self.rows(x, size):
            mixture = pyro.sample("mixture", SoftmaxNormal(x.new_zeros(len(x), self.topics), self.scale))
            words = WordCounts(mixture @ topics, self.length, self.length_shape)
            pyro.sample("x", WithResponse(words, self.response.law(mixture, shared)), obs=x)

    def guide(self, x: Tensor, size: int | None = None) -> None:
        loc, scale = self.q_encoder(self._slope(x, self.dirichlet.guided(), self.response.guided()), self.scale)
        with self.rows(x, size):
            pyro.sample("mixture", SoftmaxNormal(loc, scale))

    def _slope(self, x: Tensor, topics: Tensor, shared: Shared) -> Slope:
        words = of_sums(x[..., :-1], topics)
        return words._replace(at=lambda mixture: words.at(mixture) + self.response.slope(x[..., -1], mixture, shared))

    def solve(self, x: Tensor, size: int) -> dict[str, Tensor]:
        """How many words each topic has, given a draw of the topics and the mixtures that texts then have."""
        topics = self.dirichlet.drawn()
        loc, _ = self.q_encoder(self._slope(x, topics, self.response.expected()), self.scale)
        return self.dirichlet.solve(size / len(x) * words_of(x[..., :-1], loc.softmax(-1), topics), "dirichlet")

    def start(self, x: Tensor) -> None:
        """Topics as the Gibbs sampler of `lda` has them after a hundred sweeps, and responses as its mixtures foretell them."""
        restart(self.q_encoder)
        given = self.hyperparameters
        chain = TopicGibbs(x[:, :-1], 1, self.topics, given["concentration"], given["topic_concentration"], 2.0).swept(SWEEPS)
        self.dirichlet.start(x.new_tensor(chain.by_word[0]).mT, chain.topic_concentration[0])
        mixture = x.new_tensor(chain.by_text[0]) + given["concentration"]
        self.response.start(x[:, -1], mixture / mixture.sum(1, keepdim=True))

    @classmethod
    def read(cls, table: Table) -> dict[str, Any]:
        response = table.x.flatten(1)[:, -1:]
        center, spread = (value[0] for value in center_and_spread(response).values())
        return {**checks.sizes(_words(table)), "center": center, "spread": spread}

    def check(self, table: Table, fitting: bool) -> None:
        checks.responses(table, self.vocabulary, *self.response.wrong(table.x[..., -1:]), fitting)
        checks.corpus(_words(table), self.topics, self.vocabulary, fitting)

    @property
    def symmetries(self) -> tuple[Permutation, ...]:
        return (Permutation({"topics": 0, "coefficients": 0, "mixture": 1}, order="topics", told_by=("topics",)),)

    @property
    def dims(self) -> dict[str, tuple[str, ...]]:
        categories = ("category",) if isinstance(self.response, Categorical) else ()
        return {"topics": ("topic", "word"), "coefficients": ("topic", *categories), "mixture": ("topic",)}

    def coords(self, columns: list[str]) -> dict[str, list[Any]]:
        numbers = {"category": list(range(self.response.categories))} if isinstance(self.response, Categorical) else {}
        return {"topic": list(range(self.topics)), "word": columns[:-1], **numbers}

    answers = {**ANSWERS, "responses": responses}
    picture = staticmethod(pictures.topics)


def _words(table: Table) -> Table:
    """The table without its last column, the response."""
    return replace(table, x=table.x[:, :-1], columns=table.columns[:-1])
