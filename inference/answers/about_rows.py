"""What a posterior says about rows: their density, their latents, new ones, and what comes next in a series."""

from typing import TYPE_CHECKING, Any

import pandas as pd
from torch import Tensor

from ..amortised import SAMPLES
from . import decoding, latent, paths, predictive, sequences, traversal

if TYPE_CHECKING:
    from ..diagnostics import fidelity
    from ..posterior import Posterior
    from . import referee


class AboutRows:
    """The methods of `Posterior` that take rows, or make them; `x` as `as_table` reads it, `NaN` where missing."""

    def log_likelihood(self: "Posterior", x: Any, *, samples: int = SAMPLES, seed: int = 0) -> Tensor:
        """log p(row | draw), the row's latents summed out: (chain, draw, row). Missing values are integrated out.

        Continuous latents of a row are integrated out by importance sampling, with `samples` draws from the guide given the row:
        on average that is too low, and less so with more of them.
        """
        return predictive.log_likelihood(self, x, samples, seed)

    def score(self: "Posterior", x: Any, *, samples: int = SAMPLES, seed: int = 0) -> Tensor:
        """(row,) log predictive density of each row: the logarithm of its density averaged over the draws. A tensor whatever the rows came
        in, in their order; the sums of `score_steps` by series have names.

        samples, seed: as in `log_likelihood`.
        """
        return predictive.score(self, x, samples, seed)

    def annealed(self: "Posterior", x: Any, *, chains: int = 16, places: int = 200, seed: int = 0) -> "referee.Annealed":
        """`.score` (row,) log density of each row, and its standard `.error`: the referee of `score` for latents that a guide draws.

        They are integrated out by annealed importance sampling: `chains` of Hamiltonian Monte Carlo go for each row from the prior of
        its latents to their law given the row, in so many `places` (`row_annealing.py`). On average that is too low, the less so the
        more places; the guide has no part in it. Each chain has a draw of what rows share. Raises TypeError for a pair whose rows
        have no such latents.
        """
        from . import referee

        return referee.annealed(self, x, chains, places, seed)

    def bracketed(
        self: "Posterior", rows: int = 50, *, samples: int = SAMPLES, chains: int = 16, places: int = 200, seed: int = 0
    ) -> pd.DataFrame:
        """What the log density of rows lies between, for `rows` new ones drawn from the posterior's first draw with their latents.

        Returns: a row each: "importance", as `score` has it by so many samples; "low", by chains to the row's latents; and "high", by
        chains back from those that did make it. The mean of "high" less that of "low" bounds how far either is off on average.
        """
        from . import referee

        return referee.bracketed(self, rows, samples, chains, places, seed)

    def generate(self: "Posterior", rows: int | None = None, *, latents: Any = None, given: Any = None, seed: int = 0) -> Any:
        """`rows` new rows, each from a draw of the posterior, in the form of the rows fitted: a DataFrame, of steps by series and time if
        theirs were its rows, or (rows, ...).

        Or as many rows as there are `latents`, which are theirs, as `expected` takes them; or the rows `given`, in which each hole is
        filled by a draw given what is seen of its row. `impute` has the means of such draws. Of a pair with covariates new rows are
        these, with `NaN` but for the covariates; and `latents` go with `given` too.
        """
        if latents is not None and given is not None and self.pair.covariates:
            return decoding.drawn(self, latents, seed, given)
        if sum(value is not None for value in (rows, latents, given)) != 1:
            raise ValueError("give the number of rows to generate, or the latents= that they are to have, or given=, rows with holes")
        if given is not None:
            return latent.complete(self, given, seed)
        return predictive.generate(self, rows, seed) if latents is None else decoding.drawn(self, latents, seed)

    def fidelity(self: "Posterior", x: Any = None, *, rows: int = 1000, seed: int = 0) -> "fidelity.Fidelity":
        """Rows that it makes, at most so many, held against as many of the rows `x`, by default those fitted; holes are made alike.

        Returns: `.accuracy` and `.discrepancy`, two-sample tests; `.table` of precision, recall, density and coverage; `.copies`, how
        many rows are made by heart; `.missed` of `.clusters`. Raises ValueError for fewer than 50 rows, and TypeError for a pair
        that makes none.
        """
        from ..diagnostics import fidelity

        return fidelity.fidelity(self, x, rows, seed)

    def expected(self: "Posterior", latents: Any, *, given: Any = None) -> Any:
        """(rows, ...) the means of rows with the given latents, over draws; as a DataFrame if the rows fitted were one.

        latents: (rows, Q) as `encode` gives them, their axes as in `aligned`; a dict by name where rows have several; (rows,) codes
            where they are discrete. Raises ValueError for other shapes, and TypeError where rows have no latents or no mean.
        given: of a pair with covariates, as many rows that hold them, or one for all.
        """
        return decoding.expected(self, latents, given)

    def interpolate(self: "Posterior", a: Any, b: Any, *, steps: int = 8, path: str = "straight") -> "paths.Path":
        """From each row of `a` to the same of `b` through their latents, in so many steps, both ends included.

        path: "straight"; "spherical", along the great circle, for latents that are standard normal; or "geodesic", on which the rows'
            means change least (see `paths.py`). Beyond 20 draws of what rows share, 20 evenly spread are averaged over.

        Returns: `.latents` (pairs, step, Q), `.rows` (pairs, step, ...), `.length` (pairs,) of the way in the space of rows. Raises
        TypeError for rows without a continuous latent, or without a mean, and ValueError for a pair with covariates.
        """
        return paths.interpolate(self, a, b, steps, path)

    def traverse(self: "Posterior", latent: int, *, row: Any = None, values: Any = None) -> "traversal.Traversal":
        """The means of rows that differ in one latent only, and what it changes: `.rows` (step, ...), `.changes` by column.

        row: of which the other latents are; by default they are the average of the rows fitted. values: of the latent; by default
            seven, between which the middle 95% of the rows fitted lie. For "rows fitted" read "their prior" where the pair cannot encode.
        """
        return traversal.traverse(self, latent, row, values)

    def encode(self: "Posterior", x: Any) -> Any:
        """(rows, categories) probabilities of each row's latent, averaged over draws, components numbered as in `aligned`.

        A DataFrame if `x` came with names, a row a step for the states of series; else (rows, T, categories) for these. `.mean` and `.sd`
        for a continuous latent, (rows, T, K) each for K states of series; a dict of these where a row has several latents.
        """
        return latent.encode(self, x)

    def reconstruct(self: "Posterior", x: Any, *, samples: int = SAMPLES, seed: int = 0) -> Any:
        """(rows, ...) `x` through its latents: the mean of what they make of a row, over their law given the row; as a DataFrame
        if `x` came with names.

        Continuous latents of a row are averaged over `samples` draws from the guide. Raises TypeError for a pair whose rows have
        no latents, or are not told by them.
        """
        return latent.reconstruct(self, x, samples, seed)

    def impute(self: "Posterior", x: Any, *, seed: int = 0) -> "latent.Imputed":
        """`x` with its missing values filled: their mean over draws given the row's observed values, and their sd.

        Where the guide draws latents of a row, by Metropolis within Gibbs (`refill.py`).
        """
        return latent.impute(self, x, seed)

    def compress(self: "Posterior", x: Any) -> bytes:
        """Rows whose columns are codes (0, 1, ...), without loss, in about as many bits as minus their ELBO: see `compression.py`.

        For pairs whose rows have one latent, Normal in guide and prior. Needs the package `constriction`. Raises ValueError for
        missing values and for what is no code, TypeError for other pairs.
        """
        from . import compression

        return compression.compress(self, x)

    def decompress(self: "Posterior", message: bytes) -> Any:
        """The rows of a message that `compress` made, in the form of those fitted. Raises ValueError where another posterior made it."""
        from . import compression

        return compression.decompress(self, message)

    def filter(self: "Posterior", x: Any) -> "pd.DataFrame | Tensor | latent.Encoded":
        """(rows, T, states) p(state | the series up to this step), averaged over draws; `encode` knows the whole series.

        `.mean` and `.sd` (rows, T, K) of continuous states. Asked with a DataFrame, this and the next answer in one: a row a step, by
        series and time; or, of a number for each step, in the form in which the series came. They raise TypeError for a pair whose rows
        are no series with hidden states.
        """
        return sequences.filter(self, x)

    def decode(self: "Posterior", x: Any) -> "sequences.Decoded":
        """The likeliest path of states of each series (rows, T), and on how many of the draws each step's state is that.

        Raises TypeError where states are continuous.
        """
        return sequences.decode(self, x)

    def paths(self: "Posterior", x: Any, *, seed: int = 0) -> pd.DataFrame | Tensor:
        """(chain, draw, row, T) a path of states given the series, drawn for every draw of the parameters; of K continuous ones
        (chain, draw, row, T, K). Of a DataFrame a row a step, and columns by chain and draw."""
        return sequences.paths(self, x, seed)

    def score_steps(self: "Posterior", x: Any) -> pd.DataFrame | Tensor:
        """(row, T) log predictive density of each step given those before it; the steps of a series add up to its `score`."""
        return sequences.score_steps(self, x)

    def forecast(self: "Posterior", x: Any, steps: int, *, given: Any = None, samples: int = 4000, seed: int = 0) -> "sequences.Forecast":
        """The next `steps` of each series, after the last step that was seen, from `samples` draws; they set out from states that the
        guide draws, where it draws states.

        Of a DataFrame, their times go on as its times do if these are evenly spaced (numbers, dates); else they are 1 to `steps`, as they
        are for series in rows of which some end earlier.

        given: of a pair with covariates, what they are in these steps: (steps, covariates) for all series, or (rows, steps, covariates);
            or a DataFrame of steps, in which they are found by name, for all series, or for each by an index of series and time.

        Raises ValueError for no steps, for more than memory holds of one series, and for covariates that are lacking or not asked for.
        """
        return sequences.forecast(self, x, steps, given, samples, seed)
