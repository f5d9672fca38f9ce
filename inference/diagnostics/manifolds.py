"""Whether rows that are made lie where rows lie, and everywhere there: by balls about rows that reach to their nearest neighbours."""

import numpy as np
from scipy.spatial.distance import cdist
from sklearn.cluster import KMeans
from sklearn.neighbors import NearestNeighbors

NEIGHBOURS, NEAREST, SHARE, CLUSTERS = 5, 0.05, 0.1, 25


def radii(rows: np.ndarray, neighbours: int = NEIGHBOURS) -> np.ndarray:
    """(n,) how far each row's neighbour of that number is, itself not counted."""
    return NearestNeighbors(n_neighbors=neighbours + 1).fit(rows).kneighbors(rows)[0][:, -1]


def overlap(rows: np.ndarray, made: np.ndarray) -> dict[str, float]:
    """Of rows (n, F) and rows made (m, F): how far the balls about the ones hold the others.

    precision: the share of rows made that lie in the ball of some row. recall: of rows, in the ball of some row made. density: in how
    many balls of rows a row made lies, beside how many a ball's reach counts for: 1 where laws are the same. coverage: the share of
    rows whose ball holds a row made.

    Sources: Kynkaanniemi, Karras, Laine, Lehtinen & Aila 2019, "Improved precision and recall metric for assessing generative models",
    NeurIPS; Naeem, Oh, Uh, Choi & Yoo 2020, "Reliable fidelity and diversity metrics for generative models", ICML.
    """
    apart = cdist(made, rows)
    in_rows, in_made = apart <= radii(rows), apart <= radii(made)[:, None]
    return {
        "precision": float(in_rows.any(1).mean()),
        "recall": float(in_made.any(0).mean()),
        "density": float(in_rows.sum(1).mean() / NEIGHBOURS),
        "coverage": float(in_rows.any(0).mean()),
    }


def copied(rows: np.ndarray, made: np.ndarray) -> float:
    """The share of rows made that are nearer to a row than all but the nearest twentieth of rows are to each other: 0.05 is chance."""
    near = NearestNeighbors(n_neighbors=2).fit(rows)
    own, theirs = near.kneighbors(rows)[0][:, 1], near.kneighbors(made, n_neighbors=1)[0][:, 0]
    return float((theirs < np.quantile(own, NEAREST)).mean())


def missed(rows: np.ndarray, made: np.ndarray, seed: int) -> tuple[int, int]:
    """How many clusters of rows, by k-means, have less than a tenth of the share of rows made that they have of rows; and of how many.

    Source: Richardson & Weiss 2018, "On GANs and GMMs", NeurIPS, who count the clusters whose shares differ.
    """
    count = min(max(2, min(CLUSTERS, len(rows) // 40)), len(np.unique(rows, axis=0)))
    clusters = KMeans(count, n_init=3, random_state=seed).fit(rows)
    seen, new = (np.bincount(labels, minlength=count) for labels in (clusters.labels_, clusters.predict(made)))
    return int((new / len(made) < SHARE * seen / len(rows)).sum()), count
