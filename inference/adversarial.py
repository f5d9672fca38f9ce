"""Adversarial learning: a model that can be drawn from is fitted by a critic, which learns to tell what it draws from the data."""

import math
from collections.abc import Callable

import torch
from pyro import poutine
from torch import Tensor
from torch.func import functional_call, grad, vmap
from torch.nn.functional import softplus

from .objective import Objective
from .objectives import check_guide, values_of
from .program import Program, Values, run_eagerly, run_unobserved

# What a critic is shown: features of rows, and their latents by name.
Shown = tuple[Tensor, Values]


class Adversarial(Objective):
    """How far apart a critic tells two joint laws of rows and latents: the data with latents by the guide, and the model's own draws.

    The critic gives a pair of a row and its latents a number, and learns to give the higher to that of the data, taken two by two;
    model and guide learn to have it the other way round. All follow their own gradient in the same step: the critic's parameters are
    the objective's, beside those of the pair. Where neither can win, the laws are the same: the model's rows are those of the data, and
    the guide inverts the model. Of a pair whose critic looks at rows alone, that is a generative adversarial network; with the latents,
    a bidirectional one. Rows that the model draws are given the holes of the rows at hand, so that the critic sees nothing of them:
    what is missing must not depend on what it would have been.

    The loss told is log 2 less the critic's own, in nats: a lower bound, as far as the critic has learnt, on a divergence that is 0
    where the laws are the same and log 2 where they can be told apart without fail. It depends on the critic, so that of two fits the
    lower is not the better.

    Arguments:
        particles: draws of the model, and of the guide, for each row. penalty: times the mean squared slope of the critic, where the
            data lie and where the model's draws do, it is added to the critic's loss, which without it need not settle. cooling: steps
            over which the penalty goes down to none, along half a cosine; never, if they are not given. A critic whose slope costs as
            much to the end sees nothing of what is narrow, and one of which it never did may lose modes on the way. haste: by how many
            times the learning rate the critic's parameters are moved, so that it learns on a time scale of its own.

    Raises:
        ValueError: the pair brings no critic, rows share a latent, or a site that is drawn has no path along which to differentiate.

    Sources: Donahue, Kraehenbuehl & Darrell 2017, "Adversarial feature learning", and Dumoulin et al. 2017, "Adversarially learned
    inference", both ICLR (the joint laws); Jolicoeur-Martineau 2019, "The relativistic discriminator", ICLR (two by two); Mescheder,
    Geiger & Nowozin 2018, "Which training methods for GANs do actually converge?", ICML (the penalty); Huang, Gokaslan, Kuleshov &
    Tompkin 2024, "The GAN is dead; long live the GAN!", NeurIPS (both together); Heusel, Ramsauer, Unterthiner, Nessler & Hochreiter
    2017, "GANs trained by a two time-scale update rule converge to a local Nash equilibrium", NeurIPS (haste); Li, Jiang & Marlin
    2019, "MisGAN", ICLR (holes).
    """

    ranks = False

    def __init__(
        self,
        program: Program,
        guide: Callable,
        particles: int = 1,
        penalty: float = 1.0,
        cooling: int | None = None,
        haste: float = 1.0,
    ) -> None:
        super().__init__(program, guide)
        self.particles, self.penalty, self.cooling, self.haste = particles, penalty, cooling, haste
        _refuse_unsuited(program, guide)
        self.critic = self.pair.critic().to(program.x)

    def rate(self, name: str) -> float:
        """`haste` of what is the critic's."""
        return self.haste if name.startswith("critic.") else 1.0

    def begin(self, x: Tensor) -> Values:
        """No step has been made."""
        return {"done": x.new_zeros(())}

    def step(self, parameters: Values, x: Tensor, carried: Values) -> tuple[Tensor, Values]:
        """See `Objective`."""
        left = 1.0 if self.cooling is None else 0.5 * (1 + (math.pi * (carried["done"] / self.cooling).clamp(max=1)).cos())
        return self.loss(parameters, x, left * self.penalty), {"done": carried["done"] + 1}

    def loss(self, parameters: Values, x: Tensor, penalty: Tensor | float | None = None) -> Tensor:
        """At the penalty that is given, or else the whole."""
        penalty = self.penalty if penalty is None else penalty
        if self.particles == 1:
            return self._once(parameters, x, penalty)
        return vmap(lambda _: self._once(parameters, x, penalty), randomness="different")(x.new_zeros(self.particles)).mean()

    def _once(self, parameters: Values, x: Tensor, penalty: Tensor | float) -> Tensor:
        features, latents = functional_call(self, parameters, (self._shown, x))
        shown = features, *latents.values()
        slopes, numbers = functional_call(self, parameters, (self._slopes, [part.detach() for part in shown], list(latents)))
        margins = _margins(numbers)
        critics = _mistaken(margins)
        steep = sum(slope.square().flatten(1).sum(1).mean(dtype=torch.double) for slope in slopes)
        # The others' loss, _mistaken(-margins), goes through what is shown alone, along the same slopes: the critic is run once.
        push = torch.cat([margins.sigmoid(), -margins.sigmoid()])[:, None] / len(margins)
        pushed = zip(shown, slopes, strict=True)
        players = sum((part.flatten(1) * (push * slope.flatten(1)).detach()).sum(dtype=torch.double) for part, slope in pushed)
        followed = players + critics + penalty * steep
        return followed - followed.detach() + (math.log(2) - critics).detach()

    def _shown(self, x: Tensor) -> Shown:
        """The rows `x` with latents that the guide draws, and behind them as many that the model draws with theirs."""
        given = values_of(poutine.trace(self.guide).get_trace(x, self.program.size), self.program)
        drawn = run_unobserved(self.pair.model, {}, x).nodes
        made = drawn[self.program.observed[0]]["value"]
        made = torch.where(x.isnan(), x, made) if self.program.missing else made
        return self.pair.features(torch.cat([x, made])), {name: torch.cat([value, drawn[name]["value"]]) for name, value in given.items()}

    def _slopes(self, shown: list[Tensor], names: list[str]) -> tuple[tuple[Tensor, ...], Tensor]:
        """Of features and latents of these names: the gradient of the critic in each, row by row, and its numbers (rows,)."""

        def total(features: Tensor, *latents: Tensor) -> tuple[Tensor, Tensor]:
            numbers = self.critic(features, dict(zip(names, latents, strict=True)))
            return numbers.sum(), numbers

        return grad(total, argnums=tuple(range(len(shown))), has_aux=True)(*shown)


def _margins(numbers: Tensor) -> Tensor:
    """By how much the critic's numbers for rows of the data are higher than those for rows made, two by two: (rows,) of twice as many."""
    seen, made = numbers.chunk(2)
    return seen - made


def _mistaken(margins: Tensor) -> Tensor:
    """The mean surprise, in nats, that a margin is positive, as the logistic function has its odds."""
    return softplus(-margins).mean(dtype=torch.double)


def _refuse_unsuited(program: Program, guide: Callable) -> None:
    name = type(program.pair).__name__
    if program.pair.critic is None or program.pair.features is None:
        raise ValueError(
            f"objective='adversarial' is for pairs that bring a critic (`Pair.critic`, `Pair.features`), which {name} does not; leave it "
            "out, or use 'elbo'"
        )
    if program.parameters:
        shared = next(iter(program.parameters))
        raise ValueError(f"objective='adversarial' learns what rows share as a point, and {name} draws {shared!r}; use 'elbo'")
    check_guide(program, guide, program.x)
    model = run_eagerly(program.pair.model, f"{name}.model", program.x, program.size).nodes
    for site in (*program.sites, *program.observed):
        if not model[site]["fn"].has_rsample:
            raise ValueError(f"objective='adversarial': {name}.model draws {site!r} without a reparameterised draw; use 'elbo'")
