"""What a posterior of topics is asked: their words, how well they hang together, and how well they foretell the rest of a text."""

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from inference.amortised import moments
from inference.answers.predictive import averaged, program_for, row_chunks, rows_of
from inference.covariates import rows_for
from inference.program import Program, Values
from inference.run import at_least, seeded

from .coherence import coherence_of

if TYPE_CHECKING:
    from inference import Posterior


class Completion(NamedTuple):
    """How well texts are completed. per_word: log probability of a word; perplexity: exp of minus that. by_text: (rows,) each text's
    log probability of its words held out, and words: (rows,) how many these are."""

    per_word: float
    perplexity: float
    by_text: Tensor
    words: Tensor


def topics(posterior: "Posterior", n: int = 10, *, by: str = "probability", weight: float = 0.5) -> pd.DataFrame:
    """The `n` first words of every topic, a row each: index (topic, rank); word, probability (mean over draws), sd, lift, frex.

    lift is a word's probability in the topic over that in all topics, weighed by their shares. frex is the harmonic mean, with
    `weight` on the second, of a word's rank by probability in the topic and by how exclusive to the topic it is, as shares of words
    that rank no higher. by: "probability", "lift" or "frex", which orders the words. Raises ValueError for another.

    Source: Airoldi & Bischof 2016, "Improving and evaluating topic models and other models of text", JASA 111, for frex.
    """
    at_least(1, n=n)
    if by not in ("probability", "lift", "frex"):
        raise ValueError(f"by={by!r}: words are ordered by 'probability', 'lift' or 'frex'")
    draws = posterior.aligned["topics"].flatten(0, 1).double()
    mean, sd = draws.mean(0).cpu().numpy(), draws.std(0, correction=0).cpu().numpy()
    share = _shares(posterior, len(mean))
    overall = share @ mean
    exclusive = mean / mean.sum(0)
    ranks = [pd.DataFrame(values).rank(axis=1, pct=True).to_numpy() for values in (mean, exclusive)]
    kinds = {"probability": mean, "sd": sd, "lift": mean / overall, "frex": 1 / ((1 - weight) / ranks[0] + weight / ranks[1])}
    order = np.argsort(-kinds[by], 1, kind="stable")[:, :n]
    words = np.array(posterior.how["columns"])[order]
    index = pd.MultiIndex.from_product([range(len(mean)), range(order.shape[1])], names=["topic", "rank"])
    columns = {name: np.take_along_axis(values, order, 1).ravel() for name, values in kinds.items()}
    return pd.DataFrame({"word": words.ravel(), **columns}, index)


def _shares(posterior: "Posterior", count: int) -> np.ndarray:
    """(topic,) the prior share of each topic in a text; equal where the concentration is given."""
    if "concentration" not in posterior.draws:
        return np.full(count, 1 / count)
    concentration = posterior.mean("concentration")
    return concentration / concentration.sum()


def coherence(posterior: "Posterior", x: Any = None, *, measure: str = "npmi", n: int = 10) -> pd.Series:
    """(topic,) how often the `n` first words of each topic occur in the same texts of `x`, by default those fitted.

    measure: "npmi", "u_mass" or "c_v"; see `zoo/topics/coherence.py`. Raises ValueError for another, or where no rows were kept.
    """
    at_least(2, n=n)
    table = rows_of(posterior) if x is None else rows_for(posterior.pair, x)
    first = posterior.aligned["topics"].flatten(0, 1).mean(0).topk(min(n, len(table.columns))).indices.cpu().numpy()
    found = coherence_of(first, table.x.cpu().numpy() > 0, measure)
    return pd.Series(found, pd.RangeIndex(len(first), name="topic"), name=measure)


def diversity(posterior: "Posterior", n: int = 25) -> float:
    """The share of different words among the `n` first of all topics: 1 where no two topics share one.

    Source: Dieng, Ruiz & Blei 2020, "Topic modeling in embedding spaces", TACL 8.
    """
    at_least(1, n=n)
    mean = posterior.aligned["topics"].flatten(0, 1).mean(0)
    first = mean.topk(min(n, mean.shape[1])).indices
    return first.unique().numel() / first.numel()


def completion(posterior: "Posterior", x: Any, held: Any = None, *, seed: int = 0) -> Completion:
    """How well the second half of texts `x` is foretold from the first: mixtures are inferred from one half, the other is scored.

    The halves are drawn at random, without replacement, unless the second is given as `held` and `x` is the first. A word's
    probability is averaged over the draws of the posterior, with a text's mixture at its mean in the guide given the first half, and
    its response if it has one.
    Raises ValueError where there is nothing to score.

    Source: Wallach, Murray, Salakhutdinov & Mimno 2009, "Evaluation methods for topic models", ICML, section 5.1.
    """
    at_least(0, seed=seed)
    given, words = rows_for(posterior.pair, x).x, posterior.pair.vocabulary
    first, second = halves(given[:, :words], seed) if held is None else (given[:, :words], rows_for(posterior.pair, held).x[:, :words])
    if first.shape != second.shape:
        raise ValueError(f"x has shape {tuple(first.shape)} and held {tuple(second.shape)}; they must be halves of the same texts")
    program, _ = program_for(posterior, torch.cat([first, given[:, words:]], 1))
    with seeded(seed, posterior.device):
        found = torch.cat([averaged(posterior, part, _words(part), posterior.draws) for part in row_chunks(program, 1)])
    second = second.to(found)
    by_text, counted = torch.xlogy(second, found).sum(1), second.sum(1)
    if not counted.sum():
        raise ValueError("there is no word to score: texts of one word have no second half")
    per_word = (by_text.sum() / counted.sum()).item()
    return Completion(per_word, math.exp(-per_word), by_text, counted)


def _words(program: Program) -> Any:
    """A function from values to (rows, words): the probability of each word in each text."""

    def function(values: Values, x: Tensor) -> Tensor:
        mixture, _ = moments(program, values, x)["mixture"]
        # What a text has beside its words, covariates or a response, comes after them.
        expected = program.observation(values | {"mixture": mixture}, x)[0].mean[:, : program.pair.vocabulary]
        return expected / expected.sum(-1, keepdim=True)

    return function


def halves(x: Tensor, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Counts (rows, words) as two, each word of a text falling into the first half or the second at random; of an odd number the
    second half has one more."""
    counts, rng = x.nan_to_num(nan=0.0).long().cpu().numpy(), np.random.default_rng(seed)
    first = [rng.multivariate_hypergeometric(row, row.sum() // 2) for row in counts]
    one = torch.as_tensor(np.stack(first)).to(x)
    return one, torch.as_tensor(counts).to(x) - one


ANSWERS = {"topics": topics, "coherence": coherence, "diversity": diversity, "completion": completion}
