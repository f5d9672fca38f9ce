"""Whether two samples of rows could be of one law: told by a classifier, and by the distance of their means among smooth functions."""

from typing import NamedTuple

import numpy as np
import torch
from scipy.stats import binom
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor

PERMUTATIONS = 500


class Told(NamedTuple):
    """value: how far apart two samples are. p: how often as far or farther were they of one law."""

    value: float
    p: float


def classified(first: Tensor, second: Tensor, rng: np.random.Generator) -> Told:
    """The accuracy of a classifier that is taught one half of both samples (n, F) and asked about the other; a half is a mere guess.

    Rows are named by their nearest neighbours, as many as the square root of those taught.

    Source: Lopez-Paz & Oquab 2017, "Revisiting classifier two-sample tests", ICLR.
    """
    rows = torch.cat([first, second]).numpy()
    names = np.repeat([0, 1], [len(first), len(second)])
    order = rng.permutation(len(rows))
    taught, asked = order[: len(order) // 2], order[len(order) // 2 :]
    classifier = KNeighborsClassifier(max(1, round(len(taught) ** 0.5)) | 1).fit(rows[taught], names[taught])
    right = int((classifier.predict(rows[asked]) == names[asked]).sum())
    # Where one sample has a little more of the rows asked about, naming it always is as good a guess as any.
    guess = max(names[asked].mean(), 1 - names[asked].mean())
    return Told(right / len(asked), float(binom.sf(right - 1, len(asked), guess)))


def discrepancy(first: Tensor, second: Tensor, rng: np.random.Generator) -> Told:
    """The squared maximum mean discrepancy of samples (n, F) and (m, F), without bias, and its probability by permutations.

    The kernel is a mean of Gaussians: of the median distance between rows, half of it, and twice it.

    Source: Gretton, Borgwardt, Rasch, Schoelkopf & Smola 2012, "A kernel two-sample test", JMLR 13.
    """
    rows = torch.cat([first, second]).double()
    squares = torch.cdist(rows, rows, compute_mode="donot_use_mm_for_euclid_dist").square()
    middle = squares[squares > 0].median() if bool((squares > 0).any()) else squares.new_ones(())
    kernel = sum((-squares / (2 * scale**2 * middle)).exp() for scale in (0.5, 1.0, 2.0)).div(3).fill_diagonal_(0.0)
    n, m = len(first), len(second)
    names = np.stack([np.arange(n + m), *(rng.permutation(n + m) for _ in range(PERMUTATIONS))])
    of_first = torch.as_tensor(names < n, dtype=torch.double)
    to_first = of_first @ kernel
    within, across = (to_first * of_first).sum(1), (to_first * (1 - of_first)).sum(1)
    found = within / (n * (n - 1)) + (kernel.sum() - within - 2 * across) / (m * (m - 1)) - 2 * across / (n * m)
    return Told(float(found[0]), float((found >= found[0]).double().mean()))
