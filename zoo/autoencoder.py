"""Autoencoder."""

from typing import Annotated, ClassVar, Literal

import pyro
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor, nn

from inference import Table

from .codes.laws import Point
from .vae import VariationalAutoencoder


class Autoencoder(VariationalAutoencoder):
    """Rows squeezed through a code of a few numbers, and back: the variational autoencoder with a point for a code, and no prior.

    | symbol  | distribution                          | shape  | meaning                                              |
    |---------|---------------------------------------|--------|------------------------------------------------------|
    | decoder | its weights are learnt, as a point    |        | network from codes to rows, with layers `hidden`     |
    | z       | flat                                  | (N, Q) | code of each row                                     |
    | x       | `likelihood`(decoder(z)), each column | (N, D) | the rows; `NaN` is skipped                           |

    The guide is a point (Delta) for each code, where an encoder with the same layers, backwards, puts the row. What is minimised is
    then minus the log density of the rows given their codes: with likelihood "gaussian" the squared error, and `noise` its root mean.
    With no hidden layer the decoder spans the first principal components, though its columns are none of them: codes may be mixed
    by any invertible matrix. A code has no distribution, so that a row has no density and new rows cannot be drawn.

    Reference: Hinton & Salakhutdinov 2006, "Reducing the dimensionality of data with neural networks", Science 313; Baldi & Hornik
    1989, "Neural networks and principal component analysis", Neural Networks 2 (the linear one).

    Limits:
        - Nothing keeps codes from knowing rows by heart: the error on the rows fitted says little. Judge by others.
        - Codes may be mixed by any map that the decoder can undo: they have no scale, and those of two fits cannot be compared one by
          one.
        - There is no uncertainty, neither of weights nor of codes.
        - All columns are of one family: numbers and categories do not go together.

    Arguments:
        latents: Q, how many numbers a code has, fewer than the columns.
        dim: D, how many columns (pixels). Read off the data.
        hidden: sizes of the decoder's hidden layers, from the code to the row; none is a linear map. Of convolutions, their channels.
        network: "dense", or "convolution", whose hidden layers each double the height and width of an image, and halve them backwards.
        image: height and width of the image that a row is, and its channels if it has several; by default a square of one.
        activation: between layers, "silu" or "tanh".
        likelihood: "bernoulli", "continuous_bernoulli" (both between 0 and 1), "gaussian" or "categorical".
        noise: standard deviation of "gaussian", learnt if it is not given.
        categories: V, of "categorical". Read off the data: one more than the largest.
        mask: whether the encoder is told which values are missing; else they look like the column's mean. Read off the data.
        center: what the encoder takes for zero, one number or one a column. Read off the data: the columns' means.
        spread: scale of the data, one number or one a column. Read off the data: the columns' standard deviations.
    """

    laws: ClassVar[dict[str, type[nn.Module]]] = {"diag": Point}
    objective = "elbo"
    unsuited = {
        "mcmc": "the weights of its networks are learnt as a point, and have no prior to draw them by; use svi",
        "log_likelihood": (
            "its codes have no prior, so that a row has no density; use the pair 'vae', or posterior.reconstruct and its error on rows "
            "that it was not given"
        ),
        "generate": "its codes have no prior to draw new ones from; use the pair 'vae'",
    }

    def __init__(
        self,
        latents: PositiveInt = 2,
        dim: PositiveInt = 4,
        *,
        hidden: list[PositiveInt] = [64],  # noqa: B006
        network: Literal["dense", "convolution"] = "dense",
        image: Annotated[list[PositiveInt], Field(min_length=2, max_length=3)] | None = None,
        activation: Literal["silu", "tanh"] = "silu",
        likelihood: Literal["bernoulli", "continuous_bernoulli", "gaussian", "categorical"] = "bernoulli",
        noise: PositiveFloat | None = None,
        categories: PositiveInt = 2,
        mask: bool = False,
        center: float | list[float] = 0.5,
        spread: PositiveFloat | Annotated[list[PositiveFloat], Field(min_length=1)] = 1.0,
    ) -> None:
        nets = {"hidden": hidden, "network": network, "image": image, "activation": activation}
        given = {"noise": noise, "categories": categories, "mask": mask, "center": center, "spread": spread}
        super().__init__(latents, dim, **nets, likelihood=likelihood, **given)

    def model(self, x: Tensor, size: int | None = None) -> None:
        with self.rows(x, size):
            # Masked: where a code would lie is said by a Normal, but no code is any less probable than another.
            z = pyro.sample("z", self.prior.codes(x, self.law_of_codes).mask(False))
            pyro.sample("x", self.likelihood.rows(self.decoder(z)), obs=x)

    def check(self, table: Table, fitting: bool) -> None:
        super().check(table, fitting)
        if fitting and self.latents == self.dim:
            raise ValueError(f"latents={self.latents} must be fewer than the {self.dim} columns; a code as long as its row is a copy of it")
