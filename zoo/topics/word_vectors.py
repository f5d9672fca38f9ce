"""Topics as points in the space of word vectors: topics' counts of words -> the points nearest to them, where vectors are given or not."""

import torch
from torch import Tensor

# How many words a message names.
NAMED = 3


def matrix(vectors: dict[str, list[float]] | list[list[float]], vocabulary: int) -> Tensor:
    """(V, E) word vectors, in units in which their mean square length is one. Raises ValueError for another number of them than there
    are words, for vectors that are not equally long or not finite, and where all are zero."""
    rows = list(vectors.values() if isinstance(vectors, dict) else vectors)
    if len(rows) != vocabulary:
        way = "hand in vectors.loc[counts.columns]" if isinstance(vectors, dict) else "give one a word, in the order of the columns"
        raise ValueError(f"there are {len(rows)} word vectors and {vocabulary} words; {way}")
    sizes = {len(row) for row in rows}
    if len(sizes) > 1:
        raise ValueError(f"word vectors have from {min(sizes)} to {max(sizes)} numbers; all must have as many")
    found = torch.tensor(rows)
    names, wrong = list(vectors) if isinstance(vectors, dict) else range(len(rows)), (~found.isfinite()).any(1).nonzero()[:, 0].tolist()
    if wrong:
        told = ", ".join(repr(names[i]) for i in wrong[:NAMED]) + ", ..." * (len(wrong) > NAMED)
        raise ValueError(f"{len(wrong)} of {len(rows)} word vectors are not finite, those of {told}; drop these words from the counts too")
    if not found.any():
        raise ValueError("all word vectors are zero: they tell no words apart")
    return found / found.square().sum(1).mean().sqrt()


def regressed(words: Tensor, vectors: Tensor, spread: Tensor) -> Tensor:
    """(K, E) the embeddings by which the logs of counts (K, V) are foretold best by vectors (V, E); a count weighs as much as it is."""
    features = torch.cat([vectors, torch.ones_like(vectors[:, :1])], 1)
    prior = torch.ones_like(features[0]).div(spread.square()).diag()
    squares = torch.einsum("kv,ve,vf->kef", words, features, features) + prior
    return torch.linalg.solve(squares, (words * words.log()) @ features)[:, :-1]


def factored(words: Tensor, embedding: int) -> tuple[Tensor, Tensor]:
    """Embeddings (K, E) and vectors (V, E), of mean square length one, whose products are nearest to the logs of counts (K, V)."""
    logs = words.log()
    left, sizes, right = torch.linalg.svd(logs - logs.mean(1, keepdim=True), full_matrices=False)
    used, unit = min(embedding, len(sizes)), (words.shape[1] / embedding) ** 0.5
    embeddings, vectors = words.new_zeros(len(words), embedding), words.new_zeros(words.shape[1], embedding)
    embeddings[:, :used], vectors[:, :used] = left[:, :used] * sizes[:used] / unit, unit * right[:used].mT
    # Axes that the topics leave free begin near zero, and at random.
    vectors[:, used:] = 0.1 * embedding**-0.5 * torch.randn_like(vectors[:, used:])
    return embeddings, vectors
