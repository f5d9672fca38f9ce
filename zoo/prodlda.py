"""ProdLDA: topics that multiply."""

from typing import Annotated, Any

import pyro
import pyro.distributions as dist
import torch
from pydantic import Field, PositiveFloat, PositiveInt
from pyro.nn import PyroParam
from torch import Tensor
from torch.distributions import constraints

from inference import Pair, Permutation, Table

from .by_column import by_column
from .codes.nets import restart
from .distributions.softmax_normal import SoftmaxNormal
from .distributions.word_counts import WordCounts
from .topics import checks, pictures
from .topics.answers import ANSWERS
from .topics.encoder import TopicEncoder
from .topics.gibbs import swept
from .topics.slopes import of_products

# How far from the background topics that multiply are, beside those that add.
NEARER = 0.7


class ProductLDA(Pair):
    """Texts are products of K topics, each of which makes some words of a vocabulary likelier than they are and others less likely.

    | symbol  | distribution                                            | shape  | meaning                                       |
    |---------|---------------------------------------------------------|--------|-----------------------------------------------|
    | weights | Normal(0, spread)                                       | (K, V) | what a topic adds to the log of a word's probability |
    | topics  | softmax(background + weights)                           | (K, V) | probability of each word in a text of one topic |
    | mixture | softmax of Normal(0, sqrt((1 - 1/K) / concentration))   | (N, K) | share of each topic in each text              |
    | x       | WordCounts(softmax(background + mixture @ weights), ...) | (N, V) | counts of words; `NaN` is integrated out      |

    The prior on mixtures is the one nearest to Dirichlet(concentration) by Laplace's approximation in the logits. The guide is Normal
    for each weight, and for the logits of a text's mixture, with mean and scale from an encoder of how far its words are from those
    foretold (`zoo/topics/encoder.py`). It sets out from topics that a Gibbs sampler of `lda` has found in a few sweeps: from random
    ones some would never leave the background, which is the collapse of topics that the source meets with dropout and batch norm.

    Reference: Srivastava & Sutton 2017, "Autoencoding variational inference for topic models", ICLR; Eisenstein, Ahmed & Xing 2011,
    "Sparse additive generative models of text", ICML, for the background.

    Limits:
        - How few topics texts have (`concentration`) is given and not learnt, and so is the number of topics.
        - The words of a text of several topics are no average of those of its topics, so that shares are no shares of words.
        - The mixture of a text comes from an encoder, which may miss what suits that text better: on `packages` some rows had too high a
          k-hat.
        - Topics that cohere in the texts fitted may not elsewhere: on `docstrings` NPMI was 0.163 in these and -0.04 in others; of `lda`
          0.165 and 0.07.

    Arguments:
        topics: K, how many topics.
        vocabulary: V, how many words. Read off the data.
        hidden: sizes of the encoder's hidden layers.
        concentration: of the Dirichlet that the prior on mixtures is near to; small where texts have few topics.
        spread: standard deviation of weights in the prior.
        background: log probability of the words of a text without topics, up to a constant; one number or one a word. Read off the
            data: of the words in all texts.
        length: how many words a text has, on average. Read off the data.
        length_shape: of the Gamma distribution of texts' rates; large where texts are equally long. Read off the data.
    """

    recipe = {"lr": 0.03, "particles": 1, "schedule": "cycles", "steps": 1000, "draws": 100}
    restated = ("weights",)

    def __init__(
        self,
        topics: Annotated[int, Field(ge=2)] = 10,
        vocabulary: PositiveInt = 100,
        *,
        hidden: Annotated[list[PositiveInt], Field(min_length=1)] = [16],  # noqa: B006
        concentration: PositiveFloat = 0.1,
        spread: PositiveFloat = 2.0,
        background: float | list[float] = 0.0,
        length: PositiveFloat = 100.0,
        length_shape: PositiveFloat = 1.0,
    ) -> None:
        self.topics, self.vocabulary = topics, vocabulary
        self.register_buffer("background", by_column("background", background, vocabulary).log_softmax(-1))
        self.register_buffer("scale", torch.tensor((1 - 1 / topics) / concentration).sqrt())
        for name, value in {"spread": spread, "length": length, "length_shape": length_shape}.items():
            self.register_buffer(name, torch.tensor(value))
        self.q_loc = PyroParam(torch.zeros(topics, vocabulary))
        self.q_scale = PyroParam(torch.full((topics, vocabulary), 0.1 * spread), constraints.positive)
        self.q_encoder = TopicEncoder(hidden)

    def model(self, x: Tensor, size: int | None = None) -> None:
        weights = pyro.sample("weights", dist.Normal(0.0, self.spread).expand([self.topics, self.vocabulary]).to_event(2))
        pyro.deterministic("topics", (self.background + weights).softmax(-1), event_dim=2)
        with self.rows(x, size):
            mixture = pyro.sample("mixture", SoftmaxNormal(x.new_zeros(len(x), self.topics), self.scale))
            words = (self.background + mixture @ weights).softmax(-1)
            pyro.sample("x", WordCounts(words, self.length, self.length_shape), obs=x)

    def guide(self, x: Tensor, size: int | None = None) -> None:
        weights = pyro.sample("weights", dist.Normal(self.q_loc, self.q_scale).to_event(2))
        loc, scale = self.q_encoder(of_products(x, weights, self.background), self.scale)
        with self.rows(x, size):
            pyro.sample("mixture", SoftmaxNormal(loc, scale))

    def start(self, x: Tensor) -> None:
        """Topics as the Gibbs sampler of `lda` has them after fifty sweeps; the encoder's weights drawn anew."""
        restart(self.q_encoder)
        words = swept(x, self.topics, self.hyperparameters["concentration"])
        weights = (words / words.sum(-1, keepdim=True)).log() - self.background
        self.q_loc = NEARER * (weights - weights.mean(0))

    @classmethod
    def read(cls, table: Table) -> dict[str, Any]:
        often = table.x.flatten(1).nansum(0).clamp(min=0) + 1
        return {**checks.sizes(table), "background": (often / often.sum()).log().tolist()}

    def check(self, table: Table, fitting: bool) -> None:
        checks.corpus(table, self.topics, self.vocabulary, fitting)

    @property
    def symmetries(self) -> tuple[Permutation, ...]:
        return (Permutation({"weights": 0, "topics": 0, "mixture": 1}, order="topics", told_by=("topics",)),)

    @property
    def dims(self) -> dict[str, tuple[str, ...]]:
        return {"weights": ("topic", "word"), "topics": ("topic", "word"), "mixture": ("topic",)}

    def coords(self, columns: list[str]) -> dict[str, list[Any]]:
        return {"topic": list(range(self.topics)), "word": columns}

    answers = ANSWERS
    picture = staticmethod(pictures.topics)
