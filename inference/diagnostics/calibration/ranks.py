"""Statistics of simulation-based calibration: the ranks of the truth among draws, and how far they are from uniform.

With the parameters drawn from the prior, the data from the model and the draws from the posterior, truth and draws are
exchangeable: the rank of the truth among L draws is uniform on 0, ..., L.

References: Talts, Betancourt, Simpson, Vehtari & Gelman 2018, "Validating Bayesian inference algorithms with simulation-based
calibration", arXiv:1804.06788; Modrak, Moon, Kim, Buerkner, Huurre, Faltejskova, Gelman & Vehtari 2023, "Simulation-based
calibration checking for Bayesian computation: the choice of test quantities shapes sensitivity", Bayesian Analysis;
Saeilynoja, Buerkner & Vehtari 2022, "Graphical test for discrete uniformity and its applications in goodness-of-fit evaluation
and multiple sample comparison", Statistics and Computing 32.
"""

import numpy as np
import scipy.stats

REPLICATES = 10_000


def ranks(truth: np.ndarray, draws: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(simulation, quantity) how many of `draws` (simulation, draw, quantity) are below `truth`; ties fall to chance."""
    below = (draws < truth[:, None]).sum(1)
    return below + rng.integers((draws == truth[:, None]).sum(1) + 1)


class Uniformity:
    """The test that `simulations` ranks among `draws` draws are uniform, by the whole of their distribution function.

    gamma of a set of ranks is the least of the two-sided binomial tail probabilities of the counts below every rank; how small it
    gets by chance is simulated.
    """

    def __init__(self, simulations: int, draws: int, rng: np.random.Generator) -> None:
        self.simulations, self.draws = simulations, draws
        self.points = np.arange(1, draws + 1) / (draws + 1)
        # Uniform ranks are as many balls thrown into draws + 1 boxes.
        boxes = rng.multinomial(simulations, np.full(draws + 1, 1 / (draws + 1)), size=REPLICATES)
        self._chance = np.sort(self._gamma(boxes.cumsum(-1)[:, :-1]))

    def below(self, ranks: np.ndarray) -> np.ndarray:
        """(quantity, draw) how many of the ranks (simulation, quantity) are below 1, ..., draws."""
        return np.stack([np.bincount(column, minlength=self.draws + 1).cumsum()[:-1] for column in ranks.T])

    def p(self, ranks: np.ndarray) -> np.ndarray:
        """(quantity,) the probability of ranks as uneven as these (simulation, quantity), or more, by chance."""
        found = np.searchsorted(self._chance, self._gamma(self.below(ranks)) * (1 + 1e-9), side="right")
        return (found + 1) / (REPLICATES + 1)

    def band(self, confidence: float) -> tuple[np.ndarray, np.ndarray]:
        """(draw,) between what the shares below 1, ..., draws all lie with probability `confidence`."""
        tail = np.quantile(self._chance, 1 - confidence) / 2
        law = scipy.stats.binom(self.simulations, self.points)
        return law.ppf(tail) / self.simulations, law.isf(tail) / self.simulations

    def _gamma(self, below: np.ndarray) -> np.ndarray:
        """(...,) from counts (..., draw)."""
        counts, n = np.arange(self.simulations + 1), self.simulations
        # A table, of each count at each point: the same few numbers are asked for many times.
        low = scipy.stats.binom.cdf(counts[:, None], n, self.points)
        high = scipy.stats.binom.sf(counts[:, None] - 1, n, self.points)
        return 2 * np.minimum(low, high)[below, np.arange(self.draws)].min(-1)


def asymmetry(ranks: np.ndarray, draws: int, rng: np.random.Generator) -> np.ndarray:
    """(quantity,) the probability, were the ranks (simulation, quantity) symmetric about their middle, of so lopsided ones.

    A guide that is only too narrow or too wide has symmetric ranks; one whose centre is off has not. Given how far each rank is
    from the middle, its side is a fair coin; the statistic is the Kolmogorov-Smirnov distance of the ranks to their mirror image,
    the farthest that the coins counted from the outside in get from even.

    Source: Yao, Vehtari, Simpson & Gelman 2018, "Yes, but did it work?: Evaluating variational inference", ICML (VSBC).
    """
    offset = 2 * ranks - draws
    offset = np.where(offset == 0, rng.choice([-1, 1], offset.shape), offset)
    order = (-np.abs(offset) + rng.random(offset.shape)).argsort(0)
    seen = np.abs(np.take_along_axis(np.sign(offset), order, 0).cumsum(0)).max(0)
    chance = np.abs(rng.choice(np.array([-1, 1], np.int32), (REPLICATES, len(ranks))).cumsum(1)).max(1)
    return ((chance[:, None] >= seen).sum(0) + 1) / (REPLICATES + 1)


def moments(ranks: np.ndarray, draws: int) -> tuple[np.ndarray, np.ndarray]:
    """(quantity,) z-scores of the mean of the ranks (simulation, quantity), and of their variance, against uniform ones'.

    A high mean: the truth is above the draws, which are too low. A high variance: the truth is outside them, too narrow.
    """
    every = np.arange(draws + 1) - draws / 2
    root, square = np.sqrt(len(ranks)), every**2
    return root * (ranks.mean(0) - draws / 2) / every.std(), root * (ranks.var(0) - square.mean()) / square.std()


def averaged(truth: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """(quantity,) p-values of the data-averaged posterior against the prior: draws pooled over data sets are draws of the prior.

    Compared are the mean, and the mean square about the middle, of the values' places among all, which have no heavy tails; in
    each simulation the truth's with its draws', which takes the noise of the prior out.

    Source: Geweke 2004, "Getting it right: joint distribution tests of posterior simulators", JASA 99, section 2, as paired tests.
    """
    every = np.concatenate([truth[:, None], draws], 1)
    place = scipy.stats.rankdata(every.reshape(-1, every.shape[2]), axis=0).reshape(every.shape) / (every.shape[0] * every.shape[1]) - 0.5
    least = np.ones(truth.shape[1])
    for feature in (place, place**2):
        gap = feature[:, 0] - feature[:, 1:].mean(1)
        error = gap.std(0, ddof=1) / np.sqrt(len(gap))
        z = np.divide(gap.mean(0), error, out=np.zeros_like(error), where=error > 0)
        least = np.minimum(least, 2 * scipy.stats.t.sf(np.abs(z), len(gap) - 1))
    return np.minimum(1, 2 * least)


def holm(p: np.ndarray) -> np.ndarray:
    """p-values of several tests as they stand once any of them may be the one that stands out (Holm 1979)."""
    order = p.argsort()
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    return np.minimum(1, stepped)[order.argsort()]
