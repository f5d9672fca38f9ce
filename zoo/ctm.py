"""Correlated topic model."""

from typing import Annotated, Any

import pyro
import torch
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor

from inference import Pair, Permutation, Table
from inference.checks import nothing_missing, two_dimensional
from inference.covariates import Covariates, how_many, split

from .by_column import by_column, center_and_spread
from .distributions.given import with_given
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
    | slopes              | rows: Normal(0, (effect_scale / spread_c)^2 precision^-1) | (C, K) | of covariates on mean logits     |
    | effects             | slopes, less their mean over topics     | (C, K) | the same, but for what changes nothing              |
    | correlations        | of centred logits, given precision      | (K, K) | which topics go together                           |
    | topic_concentration | Gamma(2, 2), or as given                | ()     | how evenly topics use the vocabulary               |
    | topics              | Dirichlet(topic_concentration, ...)     | (K, V) | probability of each word in each topic             |
    | mixture             | softmax of Normal(loc + slopes' (c - means), precision^-1) | (N, K) | share of each topic in each text |
    | x                   | WordCounts(mixture @ topics, ...)       | (N, V) | counts of words; `NaN` is integrated out           |

    The guide is Normal-Wishart for loc and precision and Dirichlet for topics, each found by natural gradient steps; and for the
    logits of a text's mixture, given these, Laplace's approximation, found anew for each text (`zoo/topics/laplace.py`): no encoder, and
    texts never seen cost the same. A constant added to all logits changes nothing, and stays at its prior.

    With covariates, the last C columns of what it reads, which are given and not modelled, what a text is about depends on who wrote it
    and when, as in structural topic models. Sparse columns of counts stay sparse beside covariates that are sparse columns too.

    Reference: Blei & Lafferty 2007, "A correlated topic model of Science", Annals of Applied Statistics 1; Wang & Blei 2013,
    "Variational inference in nonconjugate models", JMLR 14; Roberts, Stewart & Airoldi 2016, "A model of text for experimentation in the
    social sciences", JASA 111 (covariates of mixtures).

    Limits:
        - A text takes K x K numbers, and time that grows as K^3: some tens of topics, not hundreds.
        - Where a text has few words its logits are far from Normal: on `packages` some rows had too high a k-hat.
        - Covariates act linearly on logits and not on the words of a topic, and may not be missing.
        - The number of topics is not inferred, and the order of words is not seen.

    Arguments:
        topics: K, how many topics.
        vocabulary: V, how many words. Read off the data.
        spread: standard deviation of logits in the prior; large where texts have few topics.
        topic_concentration: of the Dirichlet prior on topics, the same for all words; learnt if it is not given.
        length: how many words a text has, on average. Read off the data.
        length_shape: of the Gamma distribution of texts' rates; large where texts are equally long. Read off the data.
        covariates: C, how many of the last columns are given, or their names.
        effect_scale: how far one spread of a covariate moves logits in the prior, in units of their own spread.
        means: of covariates, one number or one each. Read off the data.
        spreads: of covariates, one number or one each. Read off the data: standard deviations.
    """

    recipe = {"particles": 1, "schedule": "cycles", "steps": 300, "draws": 100}
    restated = ("precision", "slopes")

    def __init__(
        self,
        topics: Annotated[int, Field(ge=2)] = 10,
        vocabulary: PositiveInt = 100,
        *,
        spread: PositiveFloat = 2.0,
        topic_concentration: PositiveFloat | None = None,
        length: PositiveFloat = 100.0,
        length_shape: PositiveFloat = 1.0,
        covariates: Covariates = 0,
        effect_scale: PositiveFloat = 1.0,
        means: float | list[float] = 0.0,
        spreads: PositiveFloat | list[PositiveFloat] = 1.0,
    ) -> None:
        self.topics, self.vocabulary, self.covariates = topics, vocabulary, how_many(covariates)
        self.register_buffer("length", torch.tensor(length))
        self.register_buffer("length_shape", torch.tensor(length_shape))
        self.dirichlet = DirichletTopics(topics, vocabulary, topic_concentration)
        self.register_buffer("means", by_column("means", means, self.covariates) if self.covariates else None)
        spreads = by_column("spreads", spreads, self.covariates) if self.covariates else None
        self.logits = LogitLaw(topics, spread, spreads, effect_scale)

    def model(self, x: Tensor, size: int | None = None) -> None:
        logits = self.logits.sample()
        pyro.deterministic("correlations", correlations(logits.precision), event_dim=2)
        if self.covariates:
            pyro.deterministic("effects", logits.slopes - logits.slopes.mean(-1, keepdim=True), event_dim=2)
        topics, (_, known) = self.dirichlet.sample(), self._parted(x)
        with self.rows(x, size):
            mixture = pyro.sample("mixture", SoftmaxGaussian(logits.mean(known), logits.tril))
            counts = WordCounts(mixture @ topics, self.length, self.length_shape)
            pyro.sample("x", with_given(counts, split(self, x)[1]), obs=x)

    def guide(self, x: Tensor, size: int | None = None) -> None:
        logits, topics = self.logits.guided(), self.dirichlet.guided()
        counts, known = self._parted(x)
        found = laplace(counts, topics, logits.mean(known), logits.precision)
        with self.rows(x, size):
            pyro.sample("mixture", SoftmaxGaussian(found.mode, found.precision_tril))

    def solve(self, x: Tensor, size: int) -> dict[str, Tensor]:
        """The guide's parameters, each given the others, from the mixtures of a draw of the topics."""
        (counts, known), logits = self._parted(x), self.logits.expected()
        found = laplace(counts, self.dirichlet.drawn(), logits.mean(known), logits.precision)
        words = self.dirichlet.solve(size / len(x) * found.words, "dirichlet")
        return words | self.logits.solve(found.mode, found.precision_tril, known, size, "logits")

    def _parted(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Counts (N, V), and covariates (N, C) less their means."""
        counts, given = split(self, x)
        return counts, given - self.means if self.covariates else given

    def start(self, x: Tensor) -> None:
        """Topics and mixtures as the Gibbs sampler of `lda` has them after a hundred sweeps."""
        counts, known = self._parted(x)
        chain = TopicGibbs(counts, 1, self.topics, CONCENTRATION, self.hyperparameters["topic_concentration"], 2.0).swept(SWEEPS)
        self.dirichlet.start(x.new_tensor(chain.by_word[0]).mT, chain.topic_concentration[0])
        logs = (x.new_tensor(chain.by_text[0]) + BESIDE).log()
        self.logits.start(logs - logs.mean(1, keepdim=True), known)

    @classmethod
    def read(cls, table: Table, covariates: int = 0) -> dict[str, Any]:
        own, given = table.parted(covariates)
        known = center_and_spread(given.x) if covariates else {}
        return checks.sizes(own) | ({"means": known["center"], "spreads": known["spread"]} if covariates else {})

    def check(self, table: Table, fitting: bool) -> None:
        two_dimensional(table, self.vocabulary + self.covariates, "covariates" if self.covariates else "")
        own, given = table.parted(self.covariates)
        nothing_missing(given)
        checks.corpus(own, self.topics, self.vocabulary, fitting)

    @property
    def symmetries(self) -> tuple[Permutation, ...]:
        axes = {"topics": 0, "loc": 0, "precision": (0, 1), "correlations": (0, 1), "mixture": 1, "slopes": 1, "effects": 1}
        return (Permutation(axes, order="topics", told_by=("topics",)),)

    @property
    def dims(self) -> dict[str, tuple[str, ...]]:
        both = ("topic", "topic2")
        moved = dict.fromkeys(("slopes", "effects"), ("covariate", "topic"))
        return {"topics": ("topic", "word"), "loc": ("topic",), "precision": both, "correlations": both, "mixture": ("topic",), **moved}

    def coords(self, columns: list[str]) -> dict[str, list[Any]]:
        numbers = list(range(self.topics))
        return {"topic": numbers, "topic2": numbers, "word": columns[: self.vocabulary], "covariate": columns[self.vocabulary :]}

    answers = ANSWERS
    picture = staticmethod(pictures.topics)
