"""Bidirectional generative adversarial network."""

from typing import Annotated, Literal

import pyro
import pyro.distributions as dist
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor, nn

from .codes.nets import Critic, leaky
from .codes.pictures import codes
from .gan import GenerativeAdversarialNetwork


class BidirectionalGAN(GenerativeAdversarialNetwork):
    """A network makes rows of codes, another codes of rows, and a third, the critic, cannot tell which of a row and its code was first.

    | symbol    | distribution                       | shape  | meaning                                                |
    |-----------|------------------------------------|--------|--------------------------------------------------------|
    | generator | its weights are learnt, as a point |        | network from codes to rows, with layers `hidden`       |
    | z         | Normal(0, 1)                       | (N, Q) | code of each row                                       |
    | x         | `likelihood`(generator(z))         | (N, D) | the rows; `NaN` is not shown to encoder and critic     |

    The guide is a point (Delta) for each code, where an encoder with the same layers, backwards, puts the row. The critic is shown rows
    with their codes: those of the data with the encoder's, and those of the generator with what they were made of. Where it cannot tell
    them apart, the generator's rows are those of the data, and the encoder inverts the generator. All else is as in `gan`.

    Reference: Donahue, Kraehenbuehl & Darrell 2017, "Adversarial feature learning", and Dumoulin et al. 2017, "Adversarially learned
    inference", both ICLR.

    Arguments:
        latents: Q, how many numbers a code has.
        dim: D, how many columns (pixels). Read off the data.
        hidden: sizes of the generator's hidden layers, from the code to the row, and of the encoder's, backwards; none is a linear map.
        critic_hidden: sizes of the critic's.
        likelihood: "gaussian", for numbers, or "shades", from 0 to 1.
        noise: standard deviation of a row about what is made of its code, given; of "gaussian", in units of the column's spread.
        mask: whether encoder and critic are told which values are missing. Read off the data.
        center: what encoder and critic take for zero, one number or one a column. Read off the data: the columns' means.
        spread: scale of the data, one number or one a column. Read off the data: the columns' standard deviations.
    """

    unsuited = {
        "mcmc": GenerativeAdversarialNetwork.unsuited["mcmc"],
        "log_likelihood": GenerativeAdversarialNetwork.unsuited["log_likelihood"],
        "impute": "it has no densities by which to draw what is missing; posterior.reconstruct has its mean through the code, or use 'vae'",
    }

    def __init__(
        self,
        latents: PositiveInt = 2,
        dim: PositiveInt = 4,
        *,
        hidden: list[PositiveInt] = [64, 64],  # noqa: B006
        critic_hidden: list[PositiveInt] = [64, 64],  # noqa: B006
        likelihood: Literal["gaussian", "shades"] = "gaussian",
        noise: PositiveFloat = 0.01,
        mask: bool = False,
        center: float | list[float] = 0.5,
        spread: PositiveFloat | Annotated[list[PositiveFloat], Field(min_length=1)] = 1.0,
    ) -> None:
        networks = {"hidden": hidden, "critic_hidden": critic_hidden, "likelihood": likelihood, "noise": noise}
        super().__init__(latents, dim, **networks, mask=mask, center=center, spread=spread)
        self.q_encoder = leaky([self.seen, *reversed(hidden), latents])

    def guide(self, x: Tensor, size: int | None = None) -> None:
        with self.rows(x, size):
            pyro.sample("z", dist.Delta(self.q_encoder(self.features(x)), event_dim=1))

    def critic(self) -> nn.Module:
        """A new one, of rows with their codes."""
        return Critic([self.seen + self.latents, *self.critic_hidden, 1], ["z"])

    # More of a column means something, as it does of a pixel.
    has_shades = True
    picture = staticmethod(codes)
