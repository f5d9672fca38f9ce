"""The mass of each mode of a posterior, by bridge sampling."""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from ..answers.predictive import over_draws
from ..graphs.graph import batched
from ..graphs.unconstrained import Flat, check_jacobians
from ..memory import at_once
from ..program import Program, Values
from ..run import seeded
from ..symmetry import Rotation, Symmetry
from .convergence import ess_mean

if TYPE_CHECKING:
    from ..posterior import Posterior

USED, ROUNDS = 2000, 1000


class Mass(NamedTuple):
    """log: of a mode's mass, not normalised. error: its standard error. draws: of the mode, from how many it is."""

    log: float
    error: float
    draws: int


def log_masses(posterior: "Posterior", found: list[list[int]]) -> list[Mass] | str:
    """The posterior's mass in each mode, whose chains `found` lists; or why it is not known.

    The space is the unconstrained one of aligned draws. A normal distribution is fitted to the first half of a mode's draws, at
    most about 2000, and compared with the second. Each place belongs to the mode whose normal has the largest density there; and
    of those that declared symmetries make equal to it, only the one nearest to the mode's mean counts.
    """
    if posterior.table is None or posterior.how.get("rows", len(posterior.table)) != len(posterior.table):
        return "the rows were not kept"
    if any(isinstance(symmetry, Rotation) for symmetry in posterior.pair.symmetries):
        return "draws whose rotation is undone have no volume"
    program = Program(posterior.pair, posterior.table.x.to(posterior.like))
    missing = [name for name in program.parameters if name not in posterior.draws]
    if missing:
        return f"there are no draws of {missing[0]}"
    try:
        program.refuse_amortised("bridge sampling")
        flat = Flat(program.parameters)
        check_jacobians(flat, program.parameters)
    except TypeError as error:
        return str(error)
    halves = [_halves(posterior, program, flat, chains) for chains in found]
    if not all(half.isfinite().all() for pair in halves for half in pair):
        return "draws lie on the edge of what is possible"
    if any(first.shape[:2].numel() < 4 * flat.size for first, _ in halves):
        return f"{flat.size} parameters need more draws of every mode"
    space = _Space(program, flat, [_normal(first.flatten(0, 1)) for first, _ in halves], [first.flatten(0, 1) for first, _ in halves])
    if None in space.normals:
        return "the draws of a mode do not vary in every parameter"
    with seeded(0, posterior.device):
        masses = [_bridge(space, mode, second) for mode, (_, second) in enumerate(halves)]
    if not np.isfinite([mass.log for mass in masses]).all():
        return "a mode's draws and a normal fitted to them do not overlap"
    return masses


def _halves(posterior: "Posterior", program: Program, flat: Flat, chains: list[int]) -> tuple[Tensor, Tensor]:
    """Unconstrained draws (chain, draw, dim) of a mode's `chains`, aligned: of the first half of each chain, and of the second."""
    half = posterior.shape[1] // 2
    each = min(half, max(4, max(USED, 8 * flat.size) // len(chains)))
    places = (torch.arange(each, device=posterior.device) * half) // each
    places = torch.cat([places, places + posterior.shape[1] - half])
    values = {n: posterior.aligned[n][chains][:, places] for n in program.parameters}
    for symmetry in posterior.pair.symmetries:
        values = symmetry.towards(values, values)
    drawn = over_draws(posterior, program, lambda values, _: flat.flatten(values), values).double()
    first, second = drawn.unflatten(0, (len(chains), 2, each)).unbind(1)
    return first, second


def _normal(draws: Tensor) -> MultivariateNormal | None:
    """The normal distribution with the mean and covariance of `draws` (draw, dim); None where they have no volume."""
    factor, failed = torch.linalg.cholesky_ex(torch.atleast_2d(draws.mT.cov()))
    return None if failed else MultivariateNormal(draws.mean(0), scale_tril=factor, validate_args=False)


class _Space(NamedTuple):
    """The space of a posterior, and what divides it among modes: a normal distribution and draws (draw, dim) of each."""

    program: Program
    flat: Flat
    normals: list[MultivariateNormal]
    draws: list[Tensor]

    def log_ratio(self, mode: int, u: Tensor) -> Tensor:
        """(draw,) log of the posterior's density (not normalised) over the mode's normal at `u` (draw, dim); -inf outside the mode."""
        program, flat = self.program, self.flat

        def density(position: Tensor) -> tuple[Tensor, Values]:
            values, log_jacobian = flat.constrain_with_jacobian(position)
            return program.log_joint(values, program.x) + log_jacobian, values

        chunk = at_once(8 * program.x.numel())
        log_density, values = batched(density, program.missing, chunk)(u.to(program.x))
        own = batched(flat.constrain, program.missing)(self.draws[mode].to(program.x))
        near = torch.stack([normal.log_prob(u) for normal in self.normals])
        inside = (near.argmax(0) == mode) & _nearest_copy(program.pair.symmetries, values, own)
        return torch.where(inside, log_density.double().nan_to_num(nan=-torch.inf) - near[mode], -torch.inf)


def _nearest_copy(symmetries: Iterable[Symmetry], values: Values, own: Values) -> Tensor:
    """(draw,) whether no element of a symmetry brings `values` (draw, *site) closer to the mean of `own`."""
    values, own = ({n: v[None] for n, v in part.items()} for part in (values, own))
    first = next(iter(values.values()))
    inside = torch.ones(first.shape[1], dtype=torch.bool, device=first.device)
    for symmetry in symmetries:
        moved = symmetry.towards(values, own)
        inside &= torch.stack([(moved[n] == values[n])[0].reshape(first.shape[1], -1).all(1) for n in values]).all(0)
    return inside


def _bridge(space: _Space, mode: int, draws: Tensor) -> Mass:
    """The mass of a mode, of which `draws` (chain, draw, dim) are; NaN where it cannot be known.

    The bridge is the optimal one of Meng & Wong 1996, "Simulating ratios of normalizing constants via a simple identity", Statistica
    Sinica 6; the error is that of Fruehwirth-Schnatter 2004, "Estimating marginal likelihoods for mixture and Markov switching
    models using bridge sampling techniques", Econometrics Journal 7.
    """
    new = space.normals[mode].sample((draws.shape[:2].numel(),))
    ours, theirs = space.log_ratio(mode, draws.flatten(0, 1)), space.log_ratio(mode, new)
    stayed = ours.isfinite()
    if not (stayed.any() and theirs.isfinite().any()):
        return Mass(math.nan, math.nan, len(new))
    effective = max(1.0, int(stayed.sum()) * _independent(ours.where(stayed, ours[stayed].min()).unflatten(0, draws.shape[:2])))
    ours = ours[stayed]
    share = math.log(effective / (effective + len(new))), math.log(len(new) / (effective + len(new)))
    log_mass = ours.median()
    for _ in range(ROUNDS):
        above = theirs - torch.logaddexp(share[0] + theirs, share[1] + log_mass)
        below = -torch.logaddexp(share[0] + ours, share[1] + log_mass)
        previous, log_mass = log_mass, above.logsumexp(0) - math.log(len(theirs)) - below.logsumexp(0) + math.log(len(ours))
        if (log_mass - previous).abs() < 1e-10:
            break
    variance = _relative_variance(above) / len(theirs) + _relative_variance(below) / effective
    return Mass(float(log_mass), float(variance.sqrt()), len(new))


def _independent(draws: Tensor) -> float:
    """The share of `draws` (chain, draw) that would tell as much if they were independent."""
    effective = float(ess_mean(draws[..., None].cpu().numpy())[0])
    return 1.0 if math.isnan(effective) else min(1.0, effective / draws.numel())


def _relative_variance(logs: Tensor) -> Tensor:
    """The variance of exp(`logs`) over its squared mean."""
    scaled = (logs - logs.max()).exp()
    return scaled.var() / scaled.mean().square()
