"""The mass of each mode of a posterior, by bridge sampling."""

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from ..graph import batched
from ..predictive import CELLS, over_draws
from ..program import Program
from ..run import seeded
from ..symmetry import Rotation
from ..unconstrained import Flat
from .convergence import convergence

if TYPE_CHECKING:
    from ..posterior import Posterior

USED, ROUNDS = 2000, 1000


def log_masses(posterior: "Posterior", found: list[list[int]]) -> list[tuple[float, float]] | str:
    """The log of the posterior's mass (not normalised) in each mode, whose chains `found` lists, and its standard error; or why
    they are not known.

    The space is the unconstrained one of aligned draws. A normal distribution is fitted to the first half of a mode's draws, at
    most about 2000, and compared with the second.
    """
    if posterior.table is None or posterior.how.get("rows", len(posterior.table)) != len(posterior.table):
        return "the rows were not kept"
    if any(isinstance(symmetry, Rotation) for symmetry in posterior.pair.symmetries):
        return "draws whose rotation is undone have no volume"
    like = next(iter(posterior.draws.values()))
    program = Program(posterior.pair, posterior.table.x.to(like))
    missing = [name for name in program.parameters if name not in posterior.draws]
    if missing:
        return f"there are no draws of {missing[0]}"
    flat = Flat(program.parameters)
    each = min(posterior.shape[1] // 2, max(USED, 8 * flat.size))
    halves = [_halves(posterior, program, flat, chains, each) for chains in found]
    if not all(half.isfinite().all() for pair in halves for half in pair):
        return "draws lie on the edge of what is possible"
    if any(first.shape[:2].numel() < 4 * flat.size for first, _ in halves):
        return f"{flat.size} parameters need more draws of every mode"
    proposals = [_normal(first.flatten(0, 1)) for first, _ in halves]
    if None in proposals:
        return "the draws of a mode do not vary in every parameter"
    with seeded(0, posterior.device):
        weights = [_bridge(program, flat, proposals, i, second) for i, (_, second) in enumerate(halves)]
    return weights if np.isfinite(weights).all() else "a mode's draws and a normal fitted to them do not overlap"


def _halves(posterior: "Posterior", program: Program, flat: Flat, chains: list[int], most: int) -> tuple[Tensor, Tensor]:
    """Unconstrained draws (chain, draw, dim) of `chains`, aligned: of the first half of each, and of the second; about `most` each."""
    half = posterior.shape[1] // 2
    each = min(half, max(4, most // len(chains)))
    places = (torch.arange(each, device=posterior.device) * half) // each
    places = torch.cat([places, places + posterior.shape[1] - half])
    chosen = {n: posterior.aligned[n][chains][:, places] for n in program.parameters}
    drawn = over_draws(posterior, program, lambda values, _: flat.flatten(values), chosen).double()
    first, second = drawn.unflatten(0, (len(chains), 2, each)).unbind(1)
    return first, second


def _normal(draws: Tensor) -> MultivariateNormal | None:
    """The normal distribution with the mean and covariance of `draws` (draw, dim); None where they have no volume."""
    covariance = torch.atleast_2d(draws.mT.cov())
    factor, failed = torch.linalg.cholesky_ex(covariance)
    return None if failed else MultivariateNormal(draws.mean(0), scale_tril=factor, validate_args=False)


def _bridge(program: Program, flat: Flat, proposals: list[MultivariateNormal], mode: int, draws: Tensor) -> tuple[float, float]:
    """The log mass of a mode, of which `draws` (chain, draw, dim) are, and its standard error; NaN where it cannot be known.

    Space belongs to the mode whose proposal has the largest density there, so that no mass counts for two modes. The bridge is the
    optimal one of Meng & Wong 1996, "Simulating ratios of normalizing constants via a simple identity", Statistica Sinica 6; the
    error is that of Fruehwirth-Schnatter 2004, "Estimating marginal likelihoods for mixture and Markov switching models using bridge
    sampling techniques", Econometrics Journal 7.
    """
    proposal = proposals[mode]
    new = proposal.sample((draws.shape[:2].numel(),))
    ours, theirs = (_log_ratio(program, flat, proposals, mode, u) for u in (draws.flatten(0, 1), new))
    stayed = ours.isfinite()
    if not (stayed.any() and theirs.isfinite().any()):
        return math.nan, math.nan
    effective = max(1.0, len(ours) * _independent(ours.where(stayed, ours[stayed].min()).unflatten(0, draws.shape[:2])))
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
    return float(log_mass), float(variance.sqrt())


def _log_ratio(program: Program, flat: Flat, proposals: list[MultivariateNormal], mode: int, u: Tensor) -> Tensor:
    """(draw,) log of the posterior's density (not normalised) over the proposal's at `u` (draw, dim); -inf outside the mode's space."""

    def density(position: Tensor) -> Tensor:
        values, log_jacobian = flat.constrain_with_jacobian(position)
        return program.log_joint(values, program.x) + log_jacobian

    chunk = max(1, CELLS // (8 * program.x.numel()))
    log_density = batched(density, program.missing, chunk)(u.to(program.x)).double().nan_to_num(nan=-torch.inf)
    near = torch.stack([proposal.log_prob(u) for proposal in proposals])
    return torch.where(near.argmax(0) == mode, log_density - near[mode], -torch.inf)


def _independent(draws: Tensor) -> float:
    """The share of `draws` (chain, draw) that would tell as much if they were independent."""
    found = convergence(draws[..., None].cpu().numpy())
    share = float(found["sd"][0] ** 2 / (found["mcse_mean"][0] ** 2 * draws.numel())) if found["mcse_mean"][0] > 0 else 1.0
    return min(1.0, share)


def _relative_variance(logs: Tensor) -> Tensor:
    """The variance of exp(`logs`) over its squared mean."""
    scaled = (logs - logs.max()).exp()
    return scaled.var() / scaled.mean().square()
