"""One sweep over the topics of all words as compiled loops."""

import numpy as np
from numba import njit

FAST = {"reassoc", "contract", "arcp", "nsz"}

compiled = njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)


@compiled
def sweep(
    seed: int,
    texts: np.ndarray,
    words: np.ndarray,
    topics: np.ndarray,
    by_text: np.ndarray,
    by_word: np.ndarray,
    totals: np.ndarray,
    concentration: np.ndarray,
    topic_concentration: float,
) -> None:
    """Draw the topic of each word given those of all others.

    texts, words, topics: (words in all,) of each word, the last drawn anew. by_text (N, K), by_word (V, K), totals (K,): how many
    words have each topic; kept up to date. concentration: (K,).
    """
    np.random.seed(seed)
    number, smooth = len(totals), len(by_word) * topic_concentration
    share, inverse = np.empty(number), 1.0 / (totals + smooth)
    for i in range(len(words)):
        mixture, shown, old = by_text[texts[i]], by_word[words[i]], topics[i]
        mixture[old] -= 1
        shown[old] -= 1
        totals[old] -= 1
        inverse[old] = 1.0 / (totals[old] + smooth)
        total = 0.0
        for k in range(number):
            share[k] = (mixture[k] + concentration[k]) * (shown[k] + topic_concentration) * inverse[k]
            total += share[k]
        left, new = np.random.random() * total - share[0], 0
        while left > 0.0 and new + 1 < number:
            new += 1
            left -= share[new]
        mixture[new] += 1
        shown[new] += 1
        totals[new] += 1
        inverse[new] = 1.0 / (totals[new] + smooth)
        topics[i] = new


@compiled
def tables(seed: int, counts: np.ndarray, concentration: np.ndarray, found: np.ndarray) -> None:
    """Of counts (rows, columns) of draws from Polya urns with concentration (columns,), how many draws were new: found (columns,).

    The j-th draw of a column was new with probability a / (a + j - 1).
    """
    np.random.seed(seed)
    rows, columns = counts.shape
    for n in range(rows):
        for k in range(columns):
            for j in range(counts[n, k]):
                if j == 0 or np.random.random() * (concentration[k] + j) < concentration[k]:
                    found[k] += 1
