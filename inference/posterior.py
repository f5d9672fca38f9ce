"""Posterior: what every method returns, and what users do with it."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import arviz_stats
import numpy as np
import pandas as pd
import torch
import xarray as xr
from torch import Tensor

from . import latent, predictive, record, sequences, storage
from .amortised import SAMPLES
from .diagnostics import convert, predictive_checks, reweigh
from .diagnostics.loo import loo
from .diagnostics.sensitivity import sensitivity
from .pair import Pair
from .table import Table

if TYPE_CHECKING:
    from .diagnostics.graph import GenerativeGraph


@dataclass(frozen=True, eq=False)
class Posterior:
    """Draws from the posterior of a pair given its data.

    Where rows share no latent, because all that they share are weights of the pair's networks, learnt as a point, there are no
    `draws`, and whatever is asked of each draw is answered for the point, as for one draw.

    pair: the fitted pair. draws: site -> (chain, draw, *site), deterministic sites too; one chain for variational inference.
    stats: name -> (chain, draw) or (step,). how: how it was made, plain values. table: the rows it was given, if kept.
    """

    pair: Pair
    draws: Mapping[str, Tensor]
    stats: Mapping[str, Tensor]
    how: Mapping[str, Any]
    table: Table | None

    @classmethod
    def of(
        cls,
        pair: Pair,
        draws: Mapping[str, Tensor],
        stats: Mapping[str, Tensor],
        how: dict[str, Any],
        table: Table,
        rows: int | None = None,
    ) -> "Posterior":
        """The result of a run, with what is known of the rows (there are `rows`, if `table` is a sample) and software in `how`."""
        return cls(pair, draws, stats, {**how, **record.known_of(table, rows)}, table)

    def __post_init__(self) -> None:
        # Draws from elsewhere are checked as those of a run: frozen, but for this.
        object.__setattr__(self, "draws", record.checked_draws(self.draws))
        object.__setattr__(self, "stats", record.checked_stats(self.stats))
        if not (self.table is None or isinstance(self.table, Table)):
            raise TypeError(f"table must be what inference.as_table makes of the rows, not {type(self.table).__name__}")

    @property
    def name(self) -> str:
        """The pair's class and the method."""
        return f"{type(self.pair).__name__} by {self.how.get('method', 'hand')}"

    @property
    def sites(self) -> list[str]:
        return list(self.draws)

    @property
    def shape(self) -> tuple[int, int]:
        """How many chains, and draws of each."""
        return tuple(next(iter(self.draws.values())).shape[:2]) if self.draws else (1, 1)

    @property
    def by_draw(self) -> dict[str, Tensor]:
        """The statistics that there is one of for every draw."""
        return {name: stat for name, stat in self.stats.items() if tuple(stat.shape) == self.shape}

    @property
    def like(self) -> Tensor:
        """A tensor of the dtype and on the device of the draws; of the pair, where rows share no latent and there are no draws."""
        floats = (t for t in [*self.draws.values(), *self.pair.parameters()] if t.is_floating_point())
        return next(floats, torch.zeros(()))

    @property
    def device(self) -> torch.device:
        return self.like.device

    @cached_property
    def aligned(self) -> dict[str, Tensor]:
        """`draws` with the pair's symmetries undone, so that a component means the same in every draw."""
        draws = dict(self.draws)
        for symmetry in self.pair.symmetries:
            draws = symmetry.align(draws)
        return draws

    def refuse_foreign(self) -> None:
        """Refuse draws that are not of the sites of the pair, or of other shapes, with a ValueError that names the site."""
        if self.table is not None:
            predictive.program_of(self, predictive.some_rows(self)[:1])

    def log_likelihood(self, x: Any, *, samples: int = SAMPLES, seed: int = 0) -> Tensor:
        """log p(row | draw), the row's latents summed out: (chain, draw, row). Missing values are integrated out.

        Continuous latents of a row are integrated out by importance sampling, with `samples` draws from the guide given the row:
        on average that is too low, and less so with more of them.
        """
        return predictive.log_likelihood(self, x, samples, seed)

    def score(self, x: Any, *, samples: int = SAMPLES, seed: int = 0) -> Tensor:
        """(row,) log predictive density of each row: the logarithm of its density averaged over the draws.

        samples, seed: as in `log_likelihood`.
        """
        return predictive.score(self, x, samples, seed)

    def generate(self, rows: int, *, seed: int = 0) -> Any:
        """`rows` new rows, each from a draw of the posterior, in the form of the rows fitted: a DataFrame, or (rows, ...)."""
        return predictive.generate(self, rows, seed)

    def encode(self, x: Any) -> Any:
        """(rows, categories) probabilities of each row's latent, averaged over draws, components numbered as in `aligned`.

        A DataFrame if `x` came with names; (rows, T, categories) for the states of series; `.mean` and `.sd` for a continuous
        latent; a dict of these where a row has several latents.
        """
        return latent.encode(self, x)

    def reconstruct(self, x: Any, *, samples: int = SAMPLES, seed: int = 0) -> Any:
        """(rows, ...) `x` through its latents: the mean of what they make of a row, over their law given the row; as a DataFrame
        if `x` came with names.

        Continuous latents of a row are averaged over `samples` draws from the guide. Raises TypeError for a pair whose rows have
        no latents, or are not told by them.
        """
        return latent.reconstruct(self, x, samples, seed)

    def impute(self, x: Any, *, seed: int = 0) -> "latent.Imputed":
        """`x` with its missing values filled: their mean over draws given the row's observed values, and their sd.

        Where the guide draws latents of a row, by Metropolis within Gibbs (`refill.py`).
        """
        return latent.impute(self, x, seed)

    def filter(self, x: Any) -> Tensor:
        """(rows, T, states) p(state | the series up to this step), averaged over draws; `encode` knows the whole series.

        This and the next raise TypeError for a pair whose rows are no series with hidden states.
        """
        return sequences.filter(self, x)

    def decode(self, x: Any) -> "sequences.Decoded":
        """The likeliest path of states of each series (rows, T), and on how many of the draws each step's state is that."""
        return sequences.decode(self, x)

    def paths(self, x: Any, *, seed: int = 0) -> Tensor:
        """(chain, draw, row, T) a path of states given the series, drawn for every draw of the parameters."""
        return sequences.paths(self, x, seed)

    def score_steps(self, x: Any) -> Any:
        """(row, T) log predictive density of each step given those before it; the steps of a series add up to its `score`."""
        return sequences.score_steps(self, x)

    def forecast(self, x: Any, steps: int, *, samples: int = 4000, seed: int = 0) -> "sequences.Forecast":
        """The next `steps` of each series, after the last step that was seen, from `samples` draws. Raises ValueError for no steps."""
        return sequences.forecast(self, x, steps, samples, seed)

    def resampled(self, draws: int | None = None, *, seed: int = 0) -> "Posterior":
        """`draws` (by default as many) of a guide's draws, taken by their Pareto smoothed importance: nearer to the posterior.

        Raises ValueError where k-hat forbids it, or the densities of the draws are not known.

        Source: Vehtari, Simpson, Gelman, Yao & Gabry 2024, "Pareto smoothed importance sampling", JMLR 25.
        """
        return reweigh.resampled(self, draws, seed)

    def loo(self) -> arviz_stats.ELPDData:
        """The log density of every row given all others (elpd), by Pareto smoothed importance sampling: as ArviZ has it.

        A guide's draws are weighed by their own importance too. `elpd_i` and `pareto_k` are by row. Rows are taken some at a
        time, so that memory stays bounded. Raises ValueError where no rows were kept, and for fewer than 100 draws.

        Sources: Vehtari, Gelman & Gabry 2017, "Practical Bayesian model evaluation using leave-one-out cross-validation and
        WAIC", Statistics and Computing 27; Magnusson, Andersen, Jonasson & Vehtari 2019, "Bayesian leave-one-out
        cross-validation for large data", ICML, for guides.
        """
        return loo(self)

    def check(
        self,
        quantities: Callable[[Tensor], Tensor] | Mapping[str, Callable[[Tensor], Tensor]] | None = None,
        *,
        draws: int = 500,
        seed: int = 0,
    ) -> "predictive_checks.PredictiveChecks":
        """Quantities of the data beside those of `draws` data sets of as many rows, each from a draw of the posterior.

        quantities: functions of a data set (rows, ...), `NaN` where missing, to a number or numbers, in torch's operations; by
            default mean, sd, least, quartiles and largest of every column, and what the pair suggests.

        Returns: `.table` with the posterior predictive p-values, `.unlikely`, `.picture()`. Raises ValueError where no rows
        were kept, for fewer than 100 data sets and for a quantity that cannot be computed, TypeError for a pair with several
        observed sites.

        Source: Gelman, Meng & Stern 1996, "Posterior predictive assessment of model fitness", Statistica Sinica 6.
        """
        return predictive_checks.predictive_checks(self, quantities, draws, seed)

    def sensitivity(self) -> pd.DataFrame:
        """How much every parameter moves with a power of the prior, and of the rows' density: 0.05 and more is sensitive.

        The column `diagnosis` names a conflict of prior and data, or a prior stronger than the rows. A guide's draws are taken
        for the posterior's. Raises ValueError where no rows were kept, and for fewer than 100 draws.

        Source: Kallioinen, Paananen, Buerkner & Vehtari 2024, "Detecting and diagnosing prior and likelihood sensitivity with
        power-scaling", Statistics and Computing 34.
        """
        return sensitivity(self)

    def to_arviz(
        self, log_likelihood: bool | None = None, *, groups: str | Collection[str] = (), draws: int | None = None, seed: int = 0
    ) -> xr.DataTree:
        """A DataTree of posterior (aligned draws), sample_stats, log_likelihood by row, log_prior by site, observed_data (the rows),
        constant_data (hyperparameters), and optimization (the loss) for a fit by steps.

        Arguments:
            log_likelihood: True, False, or None: where rows times draws are at most 10^7; an attribute says that it was left out.
            groups: more of them, or "all": "unconstrained_posterior", "posterior_predictive", "prior", "prior_predictive".
            draws: how many data sets to replicate, of each chain, and draws from the prior; by default what a hundred megabytes hold.
            seed: of what is simulated.

        Raises:
            ValueError: an unknown group, a group that is of the rows where none were kept, or draws that are not the pair's.
            TypeError: data sets cannot be replicated, because the observed site is only part of a row.
        """
        return convert.to_arviz(self, log_likelihood, groups, draws, seed)

    def graph(self) -> "GenerativeGraph":
        """The pair's generative graph: a drawing in a notebook, `svg` elsewhere."""
        from .diagnostics.graph import generative_graph

        return generative_graph(self.pair, predictive.some_rows(self))

    def save(self, folder: str | Path, *, overwrite: bool = False) -> Path:
        """Write the folder, whole or not at all: safetensors, JSON, netCDF.

        Raises: FileExistsError where there is one and not `overwrite`; OSError where it cannot be written.
        """
        return storage.save(self, Path(folder), overwrite)

    def keep(self, chains: Sequence[int]) -> "Posterior":
        """The draws and statistics of some of the chains. Raises LookupError for one that is not there, ValueError for none."""
        if not len(chains):
            raise ValueError("keep at least one chain")
        strange = [chain for chain in chains if chain not in range(self.shape[0])]
        if strange:
            raise LookupError(f"no chain {strange[0]}; there are chains 0 to {self.shape[0] - 1}")
        by_chain = {n: s[list(chains)] if tuple(s.shape[:2]) == self.shape else s for n, s in self.stats.items()}
        draws = {n: d[list(chains)] for n, d in self.draws.items()}
        return replace(self, draws=draws, stats=by_chain, how={**self.how, "kept": list(map(int, chains))})

    def mean(self, site: str) -> np.ndarray:
        """The posterior mean of a site, over aligned draws. Raises LookupError for an unknown site."""
        if site not in self.draws:
            raise LookupError(f"no site {site!r}; there are {', '.join(self.draws)}")
        return self.aligned[site].double().mean((0, 1)).cpu().numpy()

    def __getattr__(self, name: str) -> Any:
        """A method that posteriors of this pair have beside: one of its `answers`. Raises AttributeError for no such."""
        pair = self.__dict__.get("pair")
        if pair is None or name not in pair.answers:
            raise AttributeError(f"a posterior of {type(pair).__name__} has no {name!r}")
        return partial(pair.answers[name], self)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.pair.answers]

    def __repr__(self) -> str:
        chains, draws = self.shape
        sites = ", ".join(f"{n}{list(d.shape[2:])}" for n, d in self.draws.items())
        held = f"{chains} chains x {draws} draws of {sites}" if sites else "a point"
        return f"<Posterior of {self.name}: {held}>"
