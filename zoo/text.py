"""From texts to counts of words."""

from collections.abc import Collection, Sequence
from typing import Any

import pandas as pd
from sklearn.feature_extraction.text import CountVectorizer

# Words of letters, three at least.
WORD = r"(?u)\b[^\W\d_]{3,}\b"


def word_counts(texts: Sequence[str] | pd.Series, vocabulary: Collection[str] | None = None, **options: Any) -> pd.DataFrame:
    """How often each word occurs in each text: (texts, words) with sparse columns that are named by the words.

    Arguments:
        texts: a list of strings, or a column of a DataFrame, whose index is kept.
        vocabulary: the words to count, by default all; for new texts `posterior.how["columns"]`, the words that were fitted.
        options: of scikit-learn's CountVectorizer, such as min_df=5 (words of at least five texts), max_df=0.5 (of at most half of
            them), max_features or ngram_range. English stop words are left out, and what is not a word of three letters or more,
            unless `stop_words` and `token_pattern` say otherwise.

    Raises:
        TypeError: `texts` is one string, or holds something else than strings. ValueError: no word is left to count, or no text has
        any of the vocabulary.
    """
    if isinstance(texts, str):
        raise TypeError("texts is one string; hand in a list of texts, one string each")
    series = texts if isinstance(texts, pd.Series) else pd.Series(list(texts), dtype=object)
    strange = [label for label, text in series.items() if not isinstance(text, str)]
    if strange:
        raise TypeError(f"text {strange[0]!r} is {type(series[strange[0]]).__name__}, not a string; drop missing texts or fill them by ''")
    given = {"stop_words": "english", "token_pattern": WORD, **options}
    if vocabulary is not None:
        given = {"token_pattern": WORD, **options, "vocabulary": list(vocabulary)}
    vectorizer = CountVectorizer(**given)
    try:
        counts = vectorizer.fit_transform(series)
    except ValueError as error:
        raise ValueError(f"no word is left to count in {len(series)} texts: {error}") from error
    if not counts.nnz:
        raise ValueError(f"none of the {len(series)} texts has any of the {counts.shape[1]} words of the vocabulary")
    return pd.DataFrame.sparse.from_spmatrix(counts, series.index, vectorizer.get_feature_names_out())


def with_response(counts: pd.DataFrame, response: pd.Series, name: str = "response") -> pd.DataFrame:
    """Counts with responses in a last column, for the pair `slda`: by the texts' index, `NaN` for those that have none. Sparse columns
    stay sparse, and so can be streamed. Raises ValueError for a name that a word has, and where all responses are of other texts."""
    if name in counts.columns:
        raise ValueError(f"name={name!r} is one of the words; choose another")
    column = response.reindex(counts.index).astype(float)
    if column.isna().all() and response.notna().any():
        raise ValueError("no text has one of these responses: their index must be that of the texts")
    sparse = all(isinstance(dtype, pd.SparseDtype) for dtype in counts.dtypes)
    return counts.assign(**{name: column.astype(pd.SparseDtype(float, 0.0)) if sparse else column})
