"""Posterior: what every method returns, and what users do with it."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import arviz_stats
import numpy as np
import pandas as pd
import torch
import xarray as xr
from torch import Tensor

from . import record, some_draws
from .answers import predictive
from .answers.about_rows import AboutRows
from .diagnostics import convert, predictive_checks, reweigh
from .diagnostics.ahead import ahead
from .diagnostics.loo import loo
from .diagnostics.sensitivity import sensitivity
from .pair import Pair
from .rows.table import Table
from .saving import storage
from .undirected import normaliser

if TYPE_CHECKING:
    from .diagnostics.graph import GenerativeGraph


@dataclass(frozen=True, eq=False)
class Posterior(AboutRows):
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
        """Refuse draws that are not of the sites of the pair, of other shapes or outside their supports, with a ValueError that names
        the site."""
        if self.table is not None:
            predictive.refuse_impossible(self, predictive.program_of(self, predictive.some_rows(self)[:1]))

    def resampled(self, draws: int | None = None, *, seed: int = 0) -> "Posterior":
        """`draws` (by default as many) of a guide's draws, taken by their Pareto smoothed importance: nearer to the posterior.

        Raises ValueError where k-hat forbids it, or the densities of the draws are not known.

        Source: Vehtari, Simpson, Gelman, Yao & Gabry 2024, "Pareto smoothed importance sampling", JMLR 25.
        """
        return reweigh.resampled(self, draws, seed)

    def normalised(self, *, chains: int = 100, places: int = 1000, exact: bool | None = None, seed: int = 0) -> "Posterior":
        """Of an undirected pair: the same with its normaliser, the buffer `log_z`, found anew, so that densities are right.

        `how["normaliser"]` tells what it lies between (`low`, `high`), and by what it was found. `svi` ends with this.

        Arguments:
            exact: whether to go through all states of the side with fewer units; None does so for at most 20 binary ones.
            chains, places: of annealed importance sampling otherwise, there and back; more narrow it down.

        Raises: TypeError for other pairs; ValueError where `exact` is asked for and there are too many units.
        """
        return normaliser.normalised(self, chains, places, exact, seed)

    def loo(self) -> arviz_stats.ELPDData:
        """The log density of every row given all others (elpd), by Pareto smoothed importance sampling: as ArviZ has it.

        A guide's draws are weighed by their own importance too. `elpd_i` and `pareto_k` are by row. Rows are taken some at a
        time, so that memory stays bounded. Raises ValueError where no rows were kept, there is but one, and for fewer than 100 draws.

        Sources: Vehtari, Gelman & Gabry 2017, "Practical Bayesian model evaluation using leave-one-out cross-validation and
        WAIC", Statistics and Computing 27; Magnusson, Andersen, Jonasson & Vehtari 2019, "Bayesian leave-one-out
        cross-validation for large data", ICML, for guides.
        """
        return loo(self)

    def ahead(self) -> arviz_stats.ELPDData:
        """For a posterior of one series: the log density of its last steps, each given those before it (elpd), as ArviZ has it.

        Later steps are left out by Pareto smoothed importance sampling, from the last step back for as long as its k-hat can be
        relied on; `elpd_i` and `pareto_k` are by step, for the steps that were judged. Raises ValueError for other rows, and for
        fewer than 100 draws.

        Source: Bürkner, Gabry & Vehtari 2020, "Approximate leave-future-out cross-validation for Bayesian time series models",
        Journal of Statistical Computation and Simulation 90.
        """
        return ahead(self)

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
        constant_data (hyperparameters, and `x_given`, the rows' covariates), and optimization (the loss) for a fit by steps.

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
        return some_draws.keep(self, chains)

    def thinned(self, every: int) -> "Posterior":
        """Every so many-th draw of each chain, with its statistics. Raises ValueError for less than one."""
        return some_draws.thinned(self, every)

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
