"""Factor analysis."""

import warnings
from typing import Annotated, Any

import pyro
import pyro.distributions as dist
import torch
from pydantic import Field, PositiveFloat, PositiveInt
from pyro.nn import PyroParam
from sklearn import decomposition
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor
from torch.distributions import constraints

from inference import Pair, Rotation, SignedPermutation, Symmetry, Table, checks

from .by_column import by_column, center_and_spread
from .distributions.low_rank import LowRankGaussian
from .factor_pictures import loadings
from .loading_guides import NormalRows, TurnedLoadings


class FactorAnalysis(Pair):
    """Rows vary along Q directions that the columns share, and each column by noise of its own.

    | symbol    | distribution                                       | shape | meaning                                            |
    |-----------|----------------------------------------------------|-------|----------------------------------------------------|
    | loc       | Normal(center, loc_scale * spread)                 | (D,)  | mean of the rows                                   |
    | relevance | Gamma(ard_shape, ard_shape); 1 without `ard`       | (Q,)  | precision of each factor's loadings: large is idle |
    | loadings  | Normal(0, loading_scale * spread_d / relevance_q^(1/2)) | (D, Q) | what a factor adds to each column                |
    | noise     | HalfCauchy(noise_scale * spread)                   | (D,)  | standard deviation of what the factors leave       |
    | z         | Normal(0, 1), integrated out                       | (N, Q) | the factors of each row                           |
    | x         | Normal(loc + loadings z, noise)                    | (N, D) | the rows; `NaN` is integrated out                 |
    | variances | derived                                            | (Q,)  | of the rows along the principal axes, noise apart |

    Without `ard` the factors may be rotated, and are told along the principal axes; with it, each may change its place and sign.
    The guide of loadings that may be rotated is drawn about the principal axes, and then turned uniformly
    (`zoo/distributions/turned.py`); with `ard` it is Normal for each column's. It is log-normal for the noise and, given both, Normal
    for the location with the covariance of the mean of `q_count` rows; and Gamma for the relevance, which it knows in closed form
    given the loadings.

    Of few columns many factors cannot be told: with (D - Q)^2 < D + Q loadings and noise are not identified even up to rotation.

    Reference: Bartholomew, Knott & Moustaki 2011, "Latent variable models and factor analysis", 3rd ed., Wiley; Bishop 1999,
    "Variational principal components", ICANN (relevance).

    Limits:
        - Factors and noise are told by means and covariances alone: a bend, or clusters, are not seen.
        - The number of factors is not inferred without `ard`; there must be fewer than columns, and more rows than factors.
        - Columns are numbers: for zeros and ones, counts or categories take another pair.
        - The guide's noise is too narrow: of one factor and four columns its sds came to 0.6 to 0.8 of those of NUTS with 8 rows, 0.55 to
          0.9 with 50.
        - Rows with holes cost a Q x Q matrix each, complete rows one for all.

    Arguments:
        factors: Q, how many.
        dim: D, how many columns. Read off the data.
        center: prior mean of the location, one number or one a column. Read off the data: the columns' means.
        spread: scale of the data, one number or one a column. Read off the data: the columns' standard deviations.
        loc_scale: prior scale of the location, in units of `spread`.
        loading_scale: prior scale of a loading, in units of `spread`.
        noise_scale: prior scale of the noise, in units of `spread`.
        ard: whether to learn how relevant each factor is, which turns off those that the data do not need.
        ard_shape: of the Gamma prior on the relevance; small is vague.
    """

    def __init__(
        self,
        factors: PositiveInt = 2,
        dim: PositiveInt = 4,
        *,
        center: float | list[float] = 0.0,
        spread: PositiveFloat | Annotated[list[PositiveFloat], Field(min_length=1)] = 1.0,
        loc_scale: PositiveFloat = 10.0,
        loading_scale: PositiveFloat = 1.0,
        noise_scale: PositiveFloat = 1.0,
        ard: bool = False,
        ard_shape: PositiveFloat = 0.1,
    ) -> None:
        if factors >= dim:
            raise ValueError(f"factors={factors} must be fewer than the {dim} columns; with as many there is nothing left for noise")
        self.factors, self.dim, self.ard = factors, dim, ard
        self.register_buffer("center", by_column("center", center, dim))
        self.register_buffer("spread", by_column("spread", spread, dim))
        self.register_buffer("ard_shape", torch.tensor(ard_shape))
        self.loc_scale, self.loading_scale, self.noise_scale = loc_scale, loading_scale, noise_scale
        # The guide's locations and scales are in units of `spread`, so that a step means the same in every column.
        self.q_loc = PyroParam(torch.zeros(dim), constraints.real)
        self.q_count = PyroParam(torch.tensor(1.0), constraints.positive)
        self.q_loadings = (NormalRows if ard else TurnedLoadings)(dim, factors)
        self.q_noise = PyroParam(torch.zeros(self.noise_shape), constraints.real)
        self.q_noise_scale = PyroParam(torch.ones(self.noise_shape), constraints.positive)
        if ard:
            self.q_relevance_shape = PyroParam(torch.full((factors,), ard_shape + dim / 2), constraints.positive)
            self.q_relevance_rate = PyroParam(torch.full((factors,), ard_shape + dim / 2), constraints.positive)

    @property
    def noise_shape(self) -> tuple[int, ...]:
        return (self.dim,)

    @property
    def noise_unit(self) -> Tensor:
        """Scale of the data, shaped as the noise."""
        return self.spread

    def model(self, x: Tensor, size: int | None = None) -> None:
        loc = pyro.sample("loc", dist.Normal(self.center, self.loc_scale * self.spread).to_event(1))
        scale = (self.loading_scale * self.spread)[:, None].expand(-1, self.factors)
        if self.ard:
            relevance = pyro.sample("relevance", dist.Gamma(self.ard_shape, self.ard_shape).expand([self.factors]).to_event(1))
            scale = scale * relevance.rsqrt()
        loadings = pyro.sample("loadings", dist.Normal(0.0, scale).to_event(2))
        noise = pyro.sample("noise", dist.HalfCauchy(self.noise_scale * self.noise_unit).to_event(len(self.noise_shape)))
        pyro.deterministic("variances", torch.linalg.eigvalsh(loadings.mT @ loadings).flip(-1), event_dim=1)
        with self.rows(x, size):
            pyro.sample("x", LowRankGaussian(loc, loadings, noise), obs=x)

    def guide(self, x: Tensor, size: int | None = None) -> None:
        loadings = pyro.sample("loadings", self.q_loadings.law(self.spread))
        q_noise = dist.LogNormal(self.q_noise + self.noise_unit.log(), self.q_noise_scale).to_event(len(self.noise_shape))
        noise = pyro.sample("noise", q_noise)
        root = self.q_count.sqrt()
        pyro.sample("loc", LowRankGaussian(self.center + self.spread * self.q_loc, loadings / root, noise / root))
        if self.ard:
            pyro.sample("relevance", dist.Gamma(self.q_relevance_shape, self.q_relevance_rate).to_event(1))

    def solve(self, x: Tensor, size: int) -> dict[str, Tensor]:
        """The relevance given the loadings: their mean squares, added to the prior."""
        if not self.ard:
            return {}
        squares = self.q_loadings.squares
        shape = (self.ard_shape + self.dim / 2).expand(self.factors)
        return {"q_relevance_shape": shape, "q_relevance_rate": self.ard_shape + 0.5 * squares.sum(0) / self.loading_scale**2}

    def start(self, x: Tensor) -> None:
        """Maximum likelihood on standardised columns (holes: the column's mean)."""
        standard = torch.where(x.isnan(), torch.zeros_like(x), (x - x.nanmean(0)) / self.spread)
        weights, noise = self._closed_form(standard)
        noise = noise.clamp(min=0.05)
        self.q_loadings.start(weights, noise * self.noise_unit / self.spread, len(x))
        self.q_loc = (x.nanmean(0) - self.center) / self.spread
        self.q_count = x.new_tensor(float(len(x)))
        self.q_noise = noise.log() if self.noise_shape else noise.square().mean().sqrt().log()
        self.q_noise_scale = torch.full(self.noise_shape, (2 * max(len(x), 2)) ** -0.5, dtype=x.dtype, device=x.device)
        if self.ard:
            for name, value in self.solve(x, len(x)).items():
                setattr(self, name, value.detach())

    def _closed_form(self, standard: Tensor) -> tuple[Tensor, Tensor]:
        """Loadings (D, Q) and noise (D,) for complete rows, columns in units of their spread."""
        with warnings.catch_warnings():
            # A start need not have converged.
            warnings.simplefilter("ignore", ConvergenceWarning)
            fit = decomposition.FactorAnalysis(self.factors, random_state=0).fit(standard.double().cpu().numpy())
        return standard.new_tensor(fit.components_.T), standard.new_tensor(fit.noise_variance_).sqrt()

    @classmethod
    def read(cls, table: Table) -> dict[str, Any]:
        # Columns without a value or without spread are refused by `check`, by name: here they only must not stop us.
        x = table.x.flatten(1)
        return {"dim": x.shape[1], **center_and_spread(x)}

    def check(self, table: Table, fitting: bool) -> None:
        checks.two_dimensional(table, self.dim)
        if fitting:
            checks.enough_rows(table, 2, "one row has no spread")
            checks.enough_rows(table, self.factors + 1, f"there are {self.factors} factors; ask for fewer")
            checks.no_empty_columns(table)
            checks.no_empty_rows(table)
            checks.no_constant_columns(table)

    @property
    def symmetries(self) -> tuple[Symmetry, ...]:
        if self.ard:
            return (SignedPermutation({"loadings": 1, "relevance": 0}, order="relevance", told_by=("loadings",)),)
        return (Rotation({"loadings": 1}),)

    @property
    def dims(self) -> dict[str, tuple[str, ...]]:
        noise = {"noise": ("column",)} if self.noise_shape else {}
        axes = {"loc": ("column",), "loadings": ("column", "factor"), "relevance": ("factor",), "variances": ("axis",), "z": ("factor",)}
        return axes | noise

    def coords(self, columns: list[str]) -> dict[str, list[Any]]:
        return {"column": columns, "factor": list(range(self.factors)), "axis": list(range(self.factors))}

    picture = staticmethod(loadings)
