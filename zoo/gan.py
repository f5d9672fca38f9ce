"""Generative adversarial network."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

import pyro
import torch
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor, nn

from inference import Pair, Table, checks

from .by_column import by_column, center_and_spread
from .codes.images import Decoder, Encoder, image_shape
from .codes.made_pictures import made
from .codes.nets import Critic, bent, leaky, residual, spread_out
from .codes.priors import StandardNormal
from .codes.sharp import Gaussian, Shades

# What makes a dense network of its sizes.
Dense = Callable[[list[int]], nn.Sequential]
# Of a critic's dense layer, after its convolutions.
JOINED = 128


class GenerativeAdversarialNetwork(Pair):
    """A network makes rows of a few normal numbers, so that another, the critic, cannot tell them from those of the data.

    | symbol    | distribution                       | shape  | meaning                                                |
    |-----------|------------------------------------|--------|--------------------------------------------------------|
    | generator | its weights are learnt, as a point |        | network from codes to rows, with layers `hidden`       |
    | z         | Normal(0, 1)                       | (N, Q) | code of each row                                       |
    | x         | `likelihood`(generator(z))         | (N, D) | the rows; `NaN` is not shown to the critic             |

    The generator's weights are learnt by the objective "adversarial" (`inference/adversarial.py`): the density of rows, which lie as near
    to what the generator makes of a code as the given noise allows, has no part in it. There is no encoder, and the guide knows of
    codes what the prior does; `bigan` has one. Which values are missing must not depend on what they would have been. The families of
    `x` are in `zoo/codes/sharp.py`.

    Reference: Goodfellow et al. 2014, "Generative adversarial nets", NeurIPS.

    Limits:
        - Its loss depends on the critic, and of two fits the lower is not the better: judge by `posterior.fidelity`.
        - It may make rows between clusters, or leave some out: of a grid of 25 Gaussians 31% of the rows of a dense network lay further
          than four sds from all (one start), of a residual one with `cooling=` 5%.
        - Steps are many (some 10,000 for digits), and what comes of them differs from seed to seed.
        - Columns are numbers or shades: no categories and no counts.

    Arguments:
        latents: Q, how many numbers a code has.
        dim: D, how many columns (pixels). Read off the data.
        hidden: sizes of the generator's hidden layers, from the code to the row; none is a linear map. Of convolutions, their channels.
        critic_hidden: sizes of the critic's, from the row on; a dense layer follows its convolutions.
        network: "dense"; "residual", where each hidden layer of the generator is two that add to what goes in, for rows in many clusters;
            or "convolution", whose hidden layers each double the height and width of an image, and halve them backwards.
        image: height and width of the image that a row is, and its channels if it has several; by default a square of one.
        likelihood: "gaussian", for numbers, or "shades", from 0 to 1.
        noise: standard deviation of a row about what is made of its code, given; of "gaussian", in units of the column's spread.
        mask: whether the critic is told which values are missing. Read off the data.
        center: what the critic takes for zero, one number or one a column. Read off the data: the columns' means.
        spread: scale of the data, one number or one a column. Read off the data: the columns' standard deviations.
    """

    objective = "adversarial"
    recipe = {"lr": 0.003, "particles": 1, "steps": 5000, "schedule": "cosine", "optimiser": "RMSprop"}
    unsuited = {
        "mcmc": "the weights of its networks are learnt as a point, and have no prior to draw them by; use svi",
        "log_likelihood": (
            "it is fitted by the rows that it makes, and the noise about them is given, so that densities tell nothing of it; use "
            "posterior.fidelity, which holds rows that it makes against others, as inference.diagnose does, or the pair 'vae'"
        ),
        "encode": "it has no encoder, and its guide knows of a code what the prior does; use the pair 'bigan'",
        "impute": "it has neither densities nor an encoder by which to fill holes; use the pair 'vae'",
    }

    def __init__(
        self,
        latents: PositiveInt = 2,
        dim: PositiveInt = 4,
        *,
        hidden: list[PositiveInt] = [64, 64],  # noqa: B006
        critic_hidden: list[PositiveInt] = [64, 64],  # noqa: B006
        network: Literal["dense", "residual", "convolution"] = "dense",
        image: Annotated[list[PositiveInt], Field(min_length=2, max_length=3)] | None = None,
        likelihood: Literal["gaussian", "shades"] = "gaussian",
        noise: PositiveFloat = 0.01,
        mask: bool = False,
        center: float | list[float] = 0.5,
        spread: PositiveFloat | Annotated[list[PositiveFloat], Field(min_length=1)] = 1.0,
    ) -> None:
        if latents > dim:
            raise ValueError(f"latents={latents} must be at most the {dim} columns, since rows have no more directions to differ in")
        self.latents, self.dim, self.mask = latents, dim, mask
        family = {"gaussian": Gaussian, "shades": Shades}[likelihood]
        self.likelihood = family(by_column("center", center, dim), by_column("spread", spread, dim), noise)
        self.prior = StandardNormal(latents)
        for name, net in self.networks().items():
            setattr(self, name, net)

    def networks(self) -> dict[str, nn.Module]:
        """New networks of the pair, by name."""
        hidden = self.hyperparameters["hidden"]
        if shape := self.shape(hidden):
            return {"generator": Decoder(self.latents, hidden, shape, 1, bent)}
        return {"generator": self.dense([self.latents, *hidden, self.dim])}

    def dense(self, sizes: list[int]) -> nn.Sequential:
        """A new network of rows or codes."""
        return (residual if self.hyperparameters["network"] == "residual" else leaky)(sizes)

    def shape(self, hidden: list[int]) -> tuple[int, int, int] | None:
        """Of the image that a row is, for convolutions with so many channels; None of a dense network."""
        given = self.hyperparameters
        return image_shape(given["network"], given["image"], self.dim, len(hidden))

    def reader(self, hidden: list[int], outputs: int, beside: int = 0, dense: Dense = leaky) -> nn.Sequential:
        """A new network that gives `outputs` numbers of the features of a row, and of `beside` numbers more; if it is dense, by `dense`."""
        shape, blocks = self.shape(hidden), [1] * (1 + self.mask)
        if shape:
            return nn.Sequential(Encoder(shape, blocks, hidden, JOINED, beside, bent), bent(), nn.Linear(JOINED, outputs))
        return dense([self.dim * len(blocks) + beside, *hidden, outputs])

    def model(self, x: Tensor, size: int | None = None) -> None:
        with self.rows(x, size):
            z = pyro.sample("z", self.prior.codes(x))
            pyro.sample("x", self.likelihood.rows(self.generator(z)), obs=x)

    def guide(self, x: Tensor, size: int | None = None) -> None:
        with self.rows(x, size):
            pyro.sample("z", self.prior.codes(x))

    def features(self, x: Tensor) -> Tensor:
        """(N, D) of rows, or (N, 2 D) with `mask`: their columns, beside the center and scaled, and which of them are missing."""
        seen = self.likelihood.features(x)
        return torch.cat([seen, x.isnan().to(x.dtype)], -1) if self.mask else seen

    def critic(self) -> nn.Module:
        """A new one, of rows alone."""
        return Critic(self.reader(self.hyperparameters["critic_hidden"], 1), [])

    def start(self, x: Tensor) -> None:
        """Weights drawn anew."""
        spread_out(self)

    @classmethod
    def read(cls, table: Table) -> dict[str, Any]:
        # What `check` refuses must not stop us here.
        x = table.x.flatten(1)
        return {"dim": x.shape[1], "mask": bool(x.isnan().any()), **center_and_spread(x)}

    def check(self, table: Table, fitting: bool) -> None:
        checks.columns_alike(table, self.dim, *self.likelihood.wrong(table.x), fitting)
        if fitting:
            checks.rows_differ(table)

    @property
    def dims(self) -> dict[str, tuple[str, ...]]:
        return {"z": ("code",)}

    def coords(self, columns: list[str]) -> dict[str, list[Any]]:
        return {"column": columns, "code": list(range(self.latents))}

    picture = staticmethod(made)
