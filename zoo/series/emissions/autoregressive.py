"""Emissions that depend on the steps before."""

from typing import Any

import pyro
import pyro.distributions as dist
import torch
from pyro.nn import PyroParam
from torch import Tensor
from torch.distributions import constraints, transforms

from inference.supports import cholesky

from ..autoregressive import Autoregressive, lagged
from .emission import Emission


class AutoregressiveEmission(Emission):
    """Numbers, each state with a regression of its own on the last steps: "switching autoregression", or Markov switching.

    Reference: Hamilton 1989, "A new approach to the economic analysis of nonstationary time series and the business cycle",
    Econometrica 57; Rabiner 1989, Proc. IEEE 77, section IV.C.
    """

    sites = ("locs", "coefficients", "scales")
    dims = {"locs": ("state", "variable"), "coefficients": ("state", "variable", "before"), "scales": ("state", "variable")}

    def __init__(self, states: int, center: Tensor, spread: Tensor, lags: int, lag_scale: float, shrinkage: float) -> None:
        super().__init__()
        dim = len(center)
        self.lags = lags
        self.register_buffer("center", center)
        self.register_buffer("spread", spread.expand(states, -1).clone())
        self.register_buffer("width", self.spread / shrinkage**0.5)
        # A coefficient of one column on another has the unit of their ratio.
        self.register_buffer("unit", (spread[:, None] / spread).repeat(1, lags).expand(states, -1, -1).clone())
        self.register_buffer("lag_scale", torch.tensor(lag_scale))
        # The coefficients of a column and at last its location: the mean in units of the data, the covariance in those of the scale.
        count = lags * dim + 1
        self.q_parts = PyroParam(torch.zeros(states, dim, count), constraints.real)
        self.q_parts_tril = PyroParam(torch.eye(count).expand(states, -1, -1).clone(), cholesky)
        self.q_scale = PyroParam(torch.zeros(states, dim), constraints.real)
        self.q_scale_sd = PyroParam(torch.ones(states, dim), constraints.positive)

    def model(self) -> Autoregressive:
        locs = pyro.sample("locs", dist.Normal(self.center, self.width).to_event(2))
        coefficients = pyro.sample("coefficients", dist.Normal(0.0, self.lag_scale * self.unit).to_event(3))
        scales = pyro.sample("scales", dist.LogNormal(self.spread.log(), 1.0).to_event(2))
        return Autoregressive(locs, coefficients, scales, self.center)

    def guide(self) -> None:
        scales = pyro.sample("scales", dist.LogNormal(self.q_scale + self.spread.log(), self.q_scale_sd).to_event(2))
        share, mean, tril = scales / self.spread, self.q_parts, self.q_parts_tril[:, None]
        unit = dist.MultivariateNormal(torch.zeros_like(mean[..., :-1]), scale_tril=tril[..., :-1, :-1])
        moves = [transforms.AffineTransform(mean[..., :-1], share[..., None], event_dim=1)]
        moves.append(transforms.AffineTransform(0.0, self.unit, event_dim=1))
        coefficients = pyro.sample("coefficients", dist.TransformedDistribution(unit, moves).to_event(2))
        off = (coefficients / self.unit - mean[..., :-1]) / share[..., None]
        off = torch.linalg.solve_triangular(tril[..., :-1, :-1], off[..., None], upper=False)[..., 0]
        given = mean[..., -1] + share * (tril[..., -1, :-1] * off).sum(-1)
        sd = self.spread * share * tril[..., -1, -1]
        pyro.sample("locs", dist.Normal(self.center + self.spread * given, sd).to_event(2))

    def refit(self, series: Tensor, member: Tensor) -> None:
        seen = (~series.isnan()).any(-1)
        scaled = (series - self.center) / self.spread[0]
        x, share = scaled[seen], member[seen]
        before = lagged(scaled.nan_to_num(), self.lags)[seen]
        design = torch.cat([before, torch.ones_like(x[:, :1])], 1)
        scale = torch.cat([self.lag_scale.expand(before.shape[1]), (self.width / self.spread)[0, :1]])
        ridge = (self.q_scale.detach().exp().mean(1)[:, None] / scale).square().diag_embed()
        gram = torch.einsum("nk,np,nq->kpq", share, design, design) + ridge
        shown = torch.einsum("nk,np,nd->kdp", share, design, x)
        parts = torch.linalg.solve(gram, shown.mT).mT
        left = torch.einsum("nk,nkd->kd", share, (x[:, None] - torch.einsum("np,kdp->nkd", design, parts)).square())
        counts = share.sum(0)[:, None]
        self.q_parts, self.q_parts_tril = parts, torch.linalg.cholesky(torch.linalg.inv(gram))
        self.q_scale = 0.5 * ((left + 1) / (counts + 1)).log()
        self.q_scale_sd = (2 * counts + 1).rsqrt().expand_as(left).clone()

    def labels(self, columns: list[str] | list[int]) -> dict[str, list[Any]]:
        return {"variable": columns, "before": [f"{column}(-{lag})" for lag in range(1, self.lags + 1) for column in columns]}
