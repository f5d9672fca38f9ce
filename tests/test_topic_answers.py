"""What a posterior of topics is asked, and from texts to counts: against gensim's figures and texts whose topics are known."""

import numpy as np
import pandas as pd
import pytest

import inference
import zoo
from tests.bars import bars
from zoo.text import word_counts
from zoo.topics.coherence import coherence_of


def test_words_of_topics_are_told_with_what_is_known_of_them():
    x, _ = bars()
    posterior = inference.svi(zoo.create("lda", x, topics=10), x, steps=30, restarts=4, device="cpu", compile=False)
    table = posterior.topics(5)
    assert list(table.columns) == ["word", "probability", "sd", "lift", "frex"]
    assert table.index.names == ["topic", "rank"]
    assert len(table) == 50
    for _, words in table.groupby(level="topic"):
        places = {int(word) for word in words["word"]}
        assert len({place // 5 for place in places}) == 1 or len({place % 5 for place in places}) == 1
        assert words["probability"].is_monotonic_decreasing
    assert posterior.topics(3, by="frex")["frex"].min() > 0.5
    assert posterior.diversity(5) == 0.5  # each word is in a row and in a column
    assert posterior.coherence(n=5).between(0.1, 1).all()
    with pytest.raises(ValueError, match="by='rank'.*frex"):
        posterior.topics(by="rank")
    assert "topics" in dir(posterior)
    with pytest.raises(AttributeError, match="'forecasts'"):
        posterior.forecasts()


# gensim 4.4.0: CoherenceModel(topics=, texts=, dictionary=, coherence=, window_size=100).get_coherence_per_topic() of these texts.
TEXTS = ["cat dog fish", "cat dog", "fish sea", "sea ship fish", "ship sea cat", "dog ship"]
GENSIM = {
    "npmi": [-0.06357642130343046, 0.09914154292146504, -0.3047544041459895],
    "c_v": [0.4926207341511879, 0.6633678960655276, 0.34141014288507093],
    "u_mass": [-0.8675632284764614, -0.6365141682908129, -9.480650444045294],
}


@pytest.mark.parametrize("measure", GENSIM)
def test_coherence_is_gensims(measure):
    counts = word_counts(TEXTS)
    words = list(counts.columns)
    topics = np.array([[words.index(w) for w in topic.split()] for topic in ("cat dog fish", "sea ship fish", "dog sea cat")])
    np.testing.assert_allclose(coherence_of(topics, counts.to_numpy() > 0, measure), GENSIM[measure], rtol=1e-9)


def test_texts_become_counts_with_their_words_and_index():
    texts = pd.Series(["The cat sat on the cat.", "Dogs and 2 cats", ""], index=["a", "b", "c"])
    counts = word_counts(texts)
    assert list(counts.columns) == ["cat", "cats", "dogs", "sat"]
    assert counts.loc["a"].tolist() == [2, 0, 0, 1]
    assert counts.loc["c"].sum() == 0
    again = word_counts(["a dog, a cat"], vocabulary=counts.columns)
    assert again.iloc[0].tolist() == [1, 0, 0, 0]
    assert inference.as_table(counts).columns == list(counts.columns)


@pytest.mark.parametrize(
    ("texts", "given", "error", "words"),
    [
        ("one text", {}, TypeError, "one string"),
        (["a text", None], {}, TypeError, "text 1 is NoneType"),
        (["of the", "and"], {}, ValueError, "no word is left to count in 2 texts"),
        (["cats"], {"vocabulary": ["dog"]}, ValueError, "none of the 1 texts has any of the 1 words"),
    ],
)
def test_what_is_no_text_is_refused(texts, given, error, words):
    with pytest.raises(error, match=words):
        word_counts(texts, **given)
