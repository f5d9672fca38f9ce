"""Gaussian mixture."""

from typing import Annotated, Any, Literal

import pyro
import pyro.distributions as dist
import torch
from pydantic import Field, PositiveFloat, PositiveInt
from pyro.nn import PyroParam
from sklearn.cluster import KMeans
from torch import Tensor
from torch.distributions import constraints

from inference import Pair, Permutation, Table, checks

from . import pictures
from .by_column import by_column, center_and_spread
from .covariance import MatrixPrecision, ScalarPrecision, clustered


class GaussianMixture(Pair):
    """Rows fall into K clusters, each a Gaussian.

    | symbol          | distribution                                   | shape     | meaning                                  |
    |-----------------|------------------------------------------------|-----------|------------------------------------------|
    | weights         | Dirichlet(concentration, ..., concentration)   | (K,)      | share of the rows in each component      |
    | precision_trils | P_k P_k' ~ Wishart(freedom, s^-2), or a kin    | (K, D, D) | Cholesky factors of precision matrices   |
    | locs            | Normal(center, covariance_k / shrinkage)       | (K, D)    | centers of the components                |
    | z               | Categorical(weights), summed out               | (N,)      | component of each row                    |
    | x               | Normal(locs[z], covariance[z])                 | (N, D)    | the rows; `NaN` is integrated out        |
    | scales          | derived                                        | (K, D)    | standard deviations of the components    |
    | correlations    | derived                                        | (K, D(D-1)/2) | within a component, below the diagonal |

    s = component_scale * spread. `zoo/covariance.py` tells how the four shapes of covariance differ. The default priors follow
    Fraley & Raftery 2007, "Bayesian regularization for normal mixture estimation and model-based clustering", J. Classification
    24: they hold a component of few rows to the size expected of one in K, and are weak otherwise. The guide is Dirichlet times
    Normal-Wishart, which for one component contains the exact posterior.

    Limits:
        - The number of components is not inferred: fit several, and hold them side by side by `inference.compare`.
        - A cluster that is skewed, curved or has heavy tails is told as several components, and rows far from all others widen one.
        - The guide knows nothing of what overlapping components have to do with each other. Of two Gaussians two standard deviations
          apart, 200 rows in all, its sds came to 0.3 to 1 of those of NUTS, three apart to 0.2 to 0.8, six apart to 0.8 to 1.1; the
          report names the first two.
        - `full` has D(D+1)/2 numbers a component: where there are few rows to each of them, the prior on covariances speaks. Take `diag`
          or `tied`.
        - A constant column, and a row or column without any value, are refused.

    Arguments:
        components: K, how many components.
        dim: D, how many columns. Read off the data.
        covariance: `full`, `diag` (no correlations), `spherical` (one scale a component) or `tied` (one covariance for all).
        concentration: of the Dirichlet prior on the weights; below 1 prefers few components, above 1 equal ones.
        center: prior mean of the locations, one number or one a column. Read off the data: the columns' means.
        spread: scale of the data, one number or one a column. Read off the data: the columns' standard deviations.
        component_scale: prior scale of a component as a fraction of `spread`; by default K^(-1/D).
        freedom: degrees of freedom of the prior on covariances; by default D + 2 (`full`, `tied`) or 3 (`diag`, `spherical`),
            for which the prior mean of a covariance is (component_scale * spread)^2.
        shrinkage: how many rows the prior's opinion on a location is worth.
    """

    def __init__(
        self,
        components: PositiveInt = 2,
        dim: PositiveInt = 2,
        *,
        covariance: Literal["full", "diag", "spherical", "tied"] = "full",
        concentration: PositiveFloat = 1.0,
        center: float | list[float] = 0.0,
        spread: PositiveFloat | Annotated[list[PositiveFloat], Field(min_length=1)] = 1.0,
        component_scale: PositiveFloat | None = None,
        freedom: PositiveFloat | None = None,
        shrinkage: PositiveFloat = 0.01,
    ) -> None:
        self.components, self.dim = components, dim
        scale = (component_scale or components ** (-1 / dim)) * by_column("spread", spread, dim)
        if covariance in ("full", "tied"):
            if freedom is not None and freedom <= dim - 1:
                raise ValueError(f"freedom={freedom} must be above dim - 1 = {dim - 1} for a {covariance} covariance")
            self.covariance = MatrixPrecision(components, scale, freedom, tied=covariance == "tied")
        else:
            self.covariance = ScalarPrecision(components, scale, freedom, spherical=covariance == "spherical")
        self.register_buffer("center", by_column("center", center, dim))
        self.register_buffer("spread", by_column("spread", spread, dim))
        self.register_buffer("concentration", torch.full((components,), concentration))
        self.register_buffer("shrinkage", torch.tensor(shrinkage))
        self.q_concentration = PyroParam(torch.ones(components), constraints.positive)
        # The guide's mean of locs is center + spread * q_offsets, so that a step means the same in every column.
        self.q_offsets = PyroParam(torch.zeros(components, dim), constraints.real)
        self.q_shrinkage = PyroParam(torch.ones(components), constraints.positive)

    def model(self, x: Tensor, size: int | None = None) -> None:
        weights = pyro.sample("weights", dist.Dirichlet(self.concentration))
        precisions = pyro.sample(self.covariance.site, self.covariance.prior())
        center, shrinkage = self.center.expand(self.components, -1), self.shrinkage.expand(self.components)
        locs = pyro.sample("locs", self.covariance.gaussian(center, precisions, shrinkage).to_event(1))
        for name, value in self.covariance.derive(precisions).items():
            pyro.deterministic(name, value)
        with self.rows(x, size):
            # By logits: as probabilities, Pyro takes a weight below 1e-7 for 1e-7.
            z = pyro.sample("z", dist.Categorical(logits=weights.clamp(min=torch.finfo(weights.dtype).tiny).log()))
            pyro.sample("x", self.covariance.rows(locs, precisions, z), obs=x)

    def guide(self, x: Tensor, size: int | None = None) -> None:
        pyro.sample("weights", dist.Dirichlet(self.q_concentration))
        precisions = pyro.sample(self.covariance.site, self.covariance.guide())
        pyro.sample("locs", self.covariance.gaussian(self.center + self.spread * self.q_offsets, precisions, self.q_shrinkage).to_event(1))

    def start(self, x: Tensor) -> None:
        """The conjugate posterior given the best of ten runs of k-means on standardised columns (holes: the column's mean)."""
        filled = torch.where(x.isnan(), x.nanmean(0), x)
        standard = (filled - filled.mean(0)) / filled.std(0).clamp(min=1e-12)
        seed = int(torch.randint(2**31, ()))
        labels = KMeans(self.components, n_init=10, random_state=seed).fit(standard.double().cpu().numpy()).labels_
        member = torch.nn.functional.one_hot(torch.as_tensor(labels, device=x.device).long(), self.components).to(x.dtype)
        member = member[:, ((member.T @ filled)[:, 0] / member.sum(0)).argsort()]
        found = clustered(x, member, self.center, self.shrinkage)
        self.q_concentration = self.concentration + found.counts
        self.q_offsets, self.q_shrinkage = (found.locs - self.center) / self.spread, found.precision
        self.covariance.start(found.counts, found.scatter)

    @classmethod
    def read(cls, table: Table) -> dict[str, Any]:
        # Columns without a value or without spread are refused by `check`, by name: here they only must not stop us.
        x = table.x.flatten(1)
        return {"dim": x.shape[1], **center_and_spread(x)}

    def check(self, table: Table, fitting: bool) -> None:
        checks.two_dimensional(table, self.dim)
        if fitting:
            checks.enough_rows(table, 2, "one row has no spread")
            checks.enough_rows(table, self.components, f"there are {self.components} components; ask for fewer")
            checks.no_empty_columns(table)
            checks.no_empty_rows(table)
            checks.no_constant_columns(table)

    @property
    def symmetries(self) -> tuple[Permutation, ...]:
        sites = ("weights", "locs") if self.covariance.shared else ("weights", "locs", self.covariance.site, *self.covariance.derived)
        return (Permutation({site: 0 for site in sites}, order="locs"),)

    @property
    def restated(self) -> tuple[str, ...]:
        return (self.covariance.site,)

    @property
    def dims(self) -> dict[str, tuple[str, ...]]:
        component = () if self.covariance.shared else ("component",)
        column = () if getattr(self.covariance, "spherical", False) else ("column",)
        matrix = ("column", "column2") if self.covariance.site == "precision_trils" else column
        return {
            "weights": ("component",),
            "locs": ("component", "column"),
            self.covariance.site: component + matrix,
            "scales": component + column,
            "correlations": component + ("pair",),
            "z": ("component",),
        }

    def coords(self, columns: list[str]) -> dict[str, list[Any]]:
        pairs = [f"{columns[j]}~{columns[i]}" for i in range(self.dim) for j in range(i)]
        return {"component": list(range(self.components)), "column": columns, "column2": columns, "pair": pairs}

    picture = staticmethod(pictures.components)
