"""How well the words of a topic hang together: how often they occur in the same texts.

Texts are taken whole: two words occur together where one text has both. Source: Roeder, Both & Hinneburg 2015, "Exploring the space
of topic coherence measures", WSDM, for all three; Mimno et al. 2011, "Optimizing semantic coherence in topic models", EMNLP, for u_mass.
"""

import numpy as np

# Keeps words that never occur together from an infinite measure, as in the source.
LITTLE = 1e-12


def coherence_of(words: np.ndarray, occurs: np.ndarray, measure: str) -> np.ndarray:
    """(topic,) the coherence of the first words (topic, n) of topics, the likeliest first; occurs: (texts, vocabulary) which has which.

    measure:
        "npmi": mean over pairs of the mutual information of their occurring, over minus the log of how often both do: from -1 to 1.
        "u_mass": mean over pairs of the log of the share of texts with the likelier word that also have the other.
        "c_v": mean cosine between each word's npmi with all words of the topic and the sum of these over the topic's words.
    Words that no text has are left out of "u_mass". Raises ValueError for another measure.
    """
    measures = {"npmi": _npmi, "u_mass": _u_mass, "c_v": _c_v}
    if measure not in measures:
        raise ValueError(f"measure={measure!r}: the measures are {', '.join(measures)}")
    return np.array([measures[measure](occurs[:, topic].astype(float)) for topic in words])


def _together(occurs: np.ndarray) -> np.ndarray:
    """(n, n) the share of texts in which two words occur; on the diagonal, each by itself."""
    return occurs.T @ occurs / len(occurs)


def _normalised(both: np.ndarray) -> np.ndarray:
    """(n, n) normalised pointwise mutual information."""
    alone = both.diagonal()
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.log((both + LITTLE) / np.outer(alone, alone)) / -np.log(both + LITTLE)
    return np.where(np.outer(alone, alone) > 0, found, 0.0)


def _npmi(occurs: np.ndarray) -> float:
    pairs = np.tril_indices(occurs.shape[1], -1)
    return float(_normalised(_together(occurs))[pairs].mean())


def _u_mass(occurs: np.ndarray) -> float:
    both = _together(occurs)
    lower, upper = np.tril_indices(len(both), -1)
    known = both.diagonal()[upper] > 0
    return float(np.log((both[lower, upper] + LITTLE)[known] / both.diagonal()[upper][known]).mean())


def _c_v(occurs: np.ndarray) -> float:
    vectors = _normalised(_together(occurs))
    whole = vectors.sum(0)
    lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(whole)
    return float(np.divide(vectors @ whole, lengths, out=np.zeros(len(vectors)), where=lengths > 0).mean())
