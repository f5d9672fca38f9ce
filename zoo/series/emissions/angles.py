"""Emissions that are angles."""

import math

import pyro
import pyro.distributions as dist
import torch
from pyro.nn import PyroParam
from torch import Tensor
from torch.distributions import constraints

from inference.missing import observed
from inference.supports import cholesky

from ...distributions.columns import Columns
from ..von_mises import PlanarCauchy, VonMises
from .emission import Emission


class VonMisesEmission(Emission):
    """Angles in radians around a direction of each state, by von Mises' law.

    What is drawn are vectors, whose direction is the location and whose length is the concentration: the natural parameters, in which
    the likelihood of the angles of a state has one maximum and no edge, wherever a turn is said to begin. What is told of them are the
    `directions`, of length one: the location of a state is the angle of their mean.

    Reference: Mardia & Jupp 2000, "Directional statistics", Wiley, sections 3.5.4 and 5.3.
    """

    sites = ("vectors", "directions", "concentrations")
    dims = {**dict.fromkeys(("vectors", "directions"), ("state", "variable", "part")), "concentrations": ("state", "variable")}
    restated = ("vectors",)

    def __init__(self, states: int, dim: int, sharpness: float, turn: float) -> None:
        super().__init__()
        self.turn = turn
        self.register_buffer("scale", torch.full((states, dim), sharpness))
        self.q_vectors = PyroParam(torch.zeros(states, dim, 2), constraints.real)
        self.q_tril = PyroParam((sharpness * torch.eye(2)).expand(states, dim, -1, -1).clone(), cholesky)

    def model(self) -> dist.TorchDistribution:
        vectors = pyro.sample("vectors", PlanarCauchy(self.scale).to_event(2))
        # No vector has length zero, and the gradient there is none.
        lengths = vectors.square().sum(-1).clamp(min=torch.finfo(vectors.dtype).tiny).sqrt()
        pyro.deterministic("directions", vectors / lengths[..., None], event_dim=3)
        concentrations = pyro.deterministic("concentrations", lengths, event_dim=2)
        return Columns(VonMises(torch.atan2(vectors[..., 1], vectors[..., 0]), concentrations, self.turn))

    def guide(self) -> None:
        pyro.sample("vectors", dist.MultivariateNormal(self.q_vectors, scale_tril=self.q_tril).to_event(2))

    def start(self, x: Tensor, member: Tensor) -> None:
        """The largest likelihood, about (Banerjee et al. 2005, JMLR 6, equation 4.4), and the information there."""
        angles, seen = observed(x)
        counts = member.T @ seen.to(x.dtype)
        points = torch.stack([angles.cos(), angles.sin()], -1) * seen[..., None]
        # As if a step more were seen that points nowhere.
        mean = torch.einsum("nk,ndp->kdp", member, points) / (counts + 1)[..., None]
        share = mean.norm(dim=-1).clamp(1e-6, 1 - 1e-6)
        along = mean / mean.norm(dim=-1, keepdim=True).clamp(min=1e-6)
        length = share * (2 - share.square()) / (1 - share.square())
        ratio = torch.special.i1e(length) / torch.special.i0e(length)
        across, radial = ratio / length, (1 - ratio / length - ratio.square()).clamp(min=1e-12)
        line = along[..., :, None] * along[..., None, :]
        circle = torch.eye(2).to(x) - line
        prior = self.scale.square().reciprocal()
        variances = [1 / (counts * information + prior) for information in (radial, across)]
        covariance = sum(v[..., None, None] * axis for v, axis in zip(variances, (line, circle), strict=True))
        self.q_vectors, self.q_tril = length[..., None] * along, torch.linalg.cholesky(covariance)

    def features(self, x: Tensor) -> Tensor:
        return torch.cat([x.cos(), x.sin()], -1).nan_to_num()

    def labels(self, columns: list[str] | list[int]) -> dict[str, list[object]]:
        return {"variable": columns, "part": ["cos", "sin"]}

    def wrong(self, x: Tensor) -> tuple[Tensor, str]:
        # What float32 makes of a whole turn is a little more.
        edge = 1e-5
        wrong = (x < -math.pi - edge) | (x > 2 * math.pi + edge)
        return (
            wrong,
            "is not within a turn, -pi to 2 pi: angles are in radians; take numpy.deg2rad of degrees, % (2 * pi) of more turns",
        )
