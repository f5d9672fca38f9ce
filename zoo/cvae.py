"""Conditional variational autoencoder, semi-supervised."""

from typing import Annotated, Any, Literal

import pyro
import pyro.distributions as dist
import torch
from pydantic import Field, PositiveFloat, PositiveInt
from pyro.nn import PyroParam
from torch import Tensor
from torch.distributions import constraints

from inference import Table, checks

from .codes.labelled import Labelled
from .vae import VariationalAutoencoder


class ConditionalVAE(VariationalAutoencoder):
    """A network makes rows of a label and a few normal numbers, the row's manner; labels may be known of some rows only.

    | symbol  | distribution                             | shape  | meaning                                                     |
    |---------|------------------------------------------|--------|-------------------------------------------------------------|
    | weights | learnt, as a point                       | (K,)   | how often each label is                                     |
    | decoder | its weights are learnt, as a point       | network | from labels and codes to rows, with layers `hidden`        |
    | y       | Categorical(weights)                     | (N,)   | label of each row: the last column, `NaN` where not known   |
    | z       | Normal(0, 1), or another `prior`         | (N, Q) | code of each row: what its label does not say               |
    | x       | `likelihood`(decoder(y, z)), each column | (N, D) | the other columns; `NaN` is integrated out                  |

    The guide draws the code given the row, and its label where that is known, by an encoder: as in the pair `vae`, whose likelihoods,
    priors, guides and networks it has. A label that is not known is summed out given the code. So no classifier is needed beside: the
    probabilities of labels are those of the model, p(y | x, z) averaged over codes by their importance, as `encode` tells them. In
    `impute` and `reconstruct` the last column is the mean of the label's number; a chosen label is `generate(latents={"y": [3, 3]})`.

    Reference: Kingma, Rezende, Mohamed & Welling 2014, "Semi-supervised learning with deep generative models", NeurIPS (M2, whose
    guide has a classifier); Sohn, Lee & Yan 2015, "Learning structured output representation using deep conditional generative
    models", NeurIPS.

    Limits:
        - A label that is not known is summed out by decoding a code with every label: with the ten of `labelled_digits` a step costs ten
          times that of `vae`.
        - Labels are 0, 1, ..., and each should be known of some rows: nothing else tells what it means.
        - With few labels what is simpler may be better. With ten of each digit it was right of 81% and 92% of the others, by two choices
          of the ten; logistic regression on the labelled pixels of 89% and 92%, their nearest neighbour of 92% and 94%.
        - The weights of its networks are a point, and codes may be turned, as in `vae`; there are no covariates.

    Arguments:
        latents: Q, how many numbers a code has.
        dim: D, how many columns (pixels), without the label. Read off the data.
        labels: K, how many labels there are: 0, 1, ..., K - 1. Read off the data: one more than the largest.
        hidden: sizes of the decoder's hidden layers, from the code to the row; none is a linear map. Of convolutions, their channels.
        network: "dense", or "convolution", whose hidden layers each double the height and width of an image, and halve them backwards.
        image: height and width of the image that a row is, and its channels if it has several; by default a square of one.
        activation: between layers, "silu" or "tanh".
        likelihood: "bernoulli", "continuous_bernoulli" (both between 0 and 1), "gaussian" or "categorical".
        prior: of the codes, "normal", or learnt: "mixture", "vampprior" or "flow".
        components: of a mixture.
        covariance: of the guide, "diag", "full", for codes that are not independent given the row, or "flow", for any law.
        noise: standard deviation of "gaussian", learnt if it is not given.
        categories: V, of "categorical". Read off the data: one more than the largest.
        mask: whether the encoder is told which values are missing; else they look like the column's mean. Read off the data.
        center: what the encoder takes for zero, one number or one a column. Read off the data: the columns' means.
        spread: scale of the data, one number or one a column. Read off the data: the columns' standard deviations.
        binarise: whether a shade is the chance of a pixel to be 1, drawn anew whenever a fit reads the row; of "bernoulli". Score and
            encode rows that are drawn.
    """

    def __init__(
        self,
        latents: PositiveInt = 2,
        dim: PositiveInt = 4,
        labels: Annotated[int, Field(ge=2)] = 2,
        *,
        hidden: list[PositiveInt] = [64],  # noqa: B006
        network: Literal["dense", "convolution"] = "dense",
        image: Annotated[list[PositiveInt], Field(min_length=2, max_length=3)] | None = None,
        activation: Literal["silu", "tanh"] = "silu",
        likelihood: Literal["bernoulli", "continuous_bernoulli", "gaussian", "categorical"] = "bernoulli",
        prior: Literal["normal", "mixture", "vampprior", "flow"] = "normal",
        components: PositiveInt = 10,
        covariance: Literal["diag", "full", "flow"] = "diag",
        noise: PositiveFloat | None = None,
        categories: PositiveInt = 2,
        mask: bool = False,
        center: float | list[float] = 0.5,
        spread: PositiveFloat | Annotated[list[PositiveFloat], Field(min_length=1)] = 1.0,
        binarise: bool = False,
    ) -> None:
        self.labels = labels
        nets = {"hidden": hidden, "network": network, "image": image, "activation": activation}
        codes = {"prior": prior, "components": components, "covariance": covariance}
        rows = {"likelihood": likelihood, "noise": noise, "categories": categories, "mask": mask, "center": center, "spread": spread}
        super().__init__(latents, dim, **nets, **codes, **rows, binarise=binarise)
        self.weights = PyroParam(torch.full((labels,), 1 / labels), constraints.simplex)

    def model(self, x: Tensor, size: int | None = None) -> None:
        with self.rows(x, size):
            y = pyro.sample("y", dist.Categorical(self.weights.expand(len(x), self.labels)))
            z = pyro.sample("z", self.prior.codes(x, self.law_of_codes))
            told = self.told(y[..., None]).to(z)
            shape = torch.broadcast_shapes(told.shape[:-1], z.shape[:-1])
            both = torch.cat([z.expand(*shape, -1), told.expand(*shape, -1)], -1)
            pyro.sample("x", Labelled(self.likelihood.rows(self.decoder(both)), y), obs=x)

    def seen(self, x: Tensor) -> Tensor:
        return torch.cat([super().seen(x[:, :-1]), self.told(x[:, -1:]).to(x)], -1)

    def augment(self, x: Tensor) -> Tensor:
        return torch.cat([super().augment(x[:, :-1]), x[:, -1:]], -1)

    def told(self, label: Tensor) -> Tensor:
        """(..., K) which of the labels (..., 1) is; none where it is not known."""
        return label == torch.arange(self.labels, device=label.device)

    def start(self, x: Tensor) -> None:
        super().start(x)
        self.weights = torch.full_like(self.weights, 1 / self.labels)

    @classmethod
    def read(cls, table: Table) -> dict[str, Any]:
        # What `check` refuses must not stop us here.
        x = table.x.flatten(1)
        most = x[:, -1].nan_to_num().max().clamp(1, 1e6).long()
        return {**cls.read_columns(x[:, :-1]), "labels": int(most) + 1}

    def check(self, table: Table, fitting: bool) -> None:
        checks.two_dimensional(table, self.dim + 1, "the label, `NaN` where it is not known")
        wrong, why = self.likelihood.wrong(table.x[:, :-1])
        checks.allowed(table, torch.cat([wrong, torch.zeros_like(wrong[:, :1])], 1), why)
        label = table.x[:, -1:]
        wrong = (label < 0) | (label != label.floor()) | (label >= self.labels)
        why = f"is no label, which the last column must hold: with labels={self.labels} they are 0, 1, ..., {self.labels - 1}"
        checks.allowed(table, torch.cat([torch.zeros_like(table.x[:, :-1], dtype=torch.bool), wrong], 1), why)
        if fitting:
            checks.something_in_all(table)

    @property
    def dims(self) -> dict[str, tuple[str, ...]]:
        return {"z": ("code",), "y": ("label",)}

    def coords(self, columns: list[str]) -> dict[str, list[Any]]:
        return {**super().coords(columns), "label": list(range(self.labels))}
