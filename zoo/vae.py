"""Variational autoencoder."""

from typing import Annotated, Any, ClassVar, Literal

import pyro
import pyro.distributions as dist
import torch
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor, nn

from inference import Pair, Table, checks
from inference.covariates import Covariates, how_many, split

from .by_column import by_column, center_and_spread
from .codes import pictures
from .codes.images import Decoder, Encoder, image_shape
from .codes.laws import LAWS
from .codes.likelihoods import Bernoulli, Categorical, ContinuousBernoulli, Gaussian
from .codes.nets import ACTIVATIONS, mlp, restart
from .codes.priors import Bent, Mixture, StandardNormal, Vamp
from .distributions.given import with_given


class VariationalAutoencoder(Pair):
    """A network makes rows of a few normal numbers; another, the guide's, finds the numbers that made a row.

    | symbol  | distribution                          | shape  | meaning                                              |
    |---------|---------------------------------------|--------|------------------------------------------------------|
    | decoder | its weights are learnt, as a point    |        | network from codes to rows, with layers `hidden`     |
    | z       | Normal(0, 1), or another `prior`      | (N, Q) | code of each row                                     |
    | x       | `likelihood`(decoder(z)), each column | (N, D) | the rows; `NaN` is integrated out                    |

    With covariates, the last C columns of what it reads, which are given and not modelled, decoder and encoder are shown these too, in
    units of their spread from their means: the code is of what they do not say.
    The guide is Normal for each code, with the mean and scales that an encoder with the same layers, backwards, gives for the row;
    or, with `covariance` "full", the mean and a Cholesky factor; or, with "flow", a Normal that is bent. Guides are in
    `zoo/codes/laws.py`, priors in `zoo/codes/priors.py`, the families of `x` in `zoo/codes/likelihoods.py`. With no hidden layer and
    likelihood "gaussian" this is probabilistic principal component analysis: at the best weights the columns of the decoder are the
    principal directions, which suits the guide.

    Reference: Kingma & Welling 2014, "Auto-encoding variational Bayes", ICLR; Rezende, Mohamed & Wierstra 2014, "Stochastic
    backpropagation and approximate inference in deep generative models", ICML; Lucas, Tucker, Grosse & Norouzi 2019, "Don't blame
    the ELBO!", NeurIPS (the linear one); Sohn, Lee & Yan 2015, "Learning structured output representation using deep conditional
    generative models", NeurIPS (covariates).

    Limits:
        - The weights of its networks are a point: nothing tells how sure they are, and few rows are soon known by heart. Hold some out
          with `validation=`.
        - Codes may be turned, and the decoder with them: those of two fits cannot be compared one by one, and no symmetry is undone.
        - Of shades `bernoulli` gives a cross entropy and no density: hold such scores against each other only, or take
          `continuous_bernoulli`.
        - The log density of a row is estimated by draws of the encoder, and too low where these miss its codes: on `digits` some rows had
          too high a k-hat.
        - All columns are of one family: numbers and categories do not go together.

    Arguments:
        latents: Q, how many numbers a code has.
        dim: D, how many columns (pixels). Read off the data.
        hidden: sizes of the decoder's hidden layers, from the code to the row; none is a linear map. Of convolutions, their channels.
        network: "dense", or "convolution", whose hidden layers each double the height and width of an image, and halve them backwards.
        image: height and width of the image that a row is, and its channels if it has several; by default a square of one.
        activation: between layers, "silu" or "tanh".
        likelihood: "bernoulli", "continuous_bernoulli" (both between 0 and 1), "gaussian" or "categorical".
        prior: of the codes, "normal", or learnt: "mixture", "vampprior" (a mixture of what the guide makes of rows that are learnt)
            or "flow".
        components: K, of a mixture.
        covariance: of the guide, "diag", "full", for codes that are not independent given the row, or "flow", for any law.
        noise: standard deviation of "gaussian", learnt if it is not given.
        categories: V, of "categorical". Read off the data: one more than the largest.
        mask: whether the encoder is told which values are missing; else they look like the column's mean. Read off the data.
        center: what networks take for zero, one number or one a column, covariates too. Read off the data: the columns' means.
        spread: scale of the data, one number or one a column, covariates too. Read off the data: the columns' standard deviations.
        covariates: C, how many of the last columns are given, or their names.
        binarise: whether a shade is the chance of a pixel to be 1, drawn anew whenever a fit reads the row; of "bernoulli". Score and
            encode rows that are drawn.
    """

    objective = "mean_field"
    recipe = {"lr": 0.01, "particles": 1}
    unsuited = {"mcmc": "the weights of its networks are learnt as a point, and have no prior to draw them by; use svi"}
    laws: ClassVar[dict[str, type[nn.Module]]] = LAWS
    labels = 0  # that rows may have in a column more: those of the pair `cvae`

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
        prior: Literal["normal", "mixture", "vampprior", "flow"] = "normal",
        components: PositiveInt = 10,
        covariance: Literal["diag", "full", "flow"] = "diag",
        noise: PositiveFloat | None = None,
        categories: PositiveInt = 2,
        mask: bool = False,
        center: float | list[float] = 0.5,
        spread: PositiveFloat | Annotated[list[PositiveFloat], Field(min_length=1)] = 1.0,
        covariates: Covariates = 0,
        binarise: bool = False,
    ) -> None:
        if binarise and likelihood != "bernoulli":
            raise ValueError(f"binarise=True draws pixels that are 0 or 1, which likelihood={likelihood!r} is not for; take 'bernoulli'")
        if latents > dim:
            raise ValueError(f"latents={latents} must be at most the {dim} columns; a code as long as its row tells nothing in short")
        self.latents, self.dim, self.mask, self.covariates, self.binarise = latents, dim, mask, how_many(covariates), binarise
        columns = dim + self.covariates
        center, spread = by_column("center", center, columns), by_column("spread", spread, columns)
        for name, values in {"means": center, "scales": spread}.items():
            self.register_buffer(name, values[dim:] if self.covariates else None)
        center, spread = center[:dim], spread[:dim]
        self.likelihood = {
            "bernoulli": lambda: Bernoulli(center),
            "continuous_bernoulli": lambda: ContinuousBernoulli(center),
            "gaussian": lambda: Gaussian(center, spread, noise),
            "categorical": lambda: Categorical(categories),
        }[likelihood]()
        law = self.laws[covariance](latents)
        encoder, self.decoder = self.networks(latents + self.beside, law.outputs * latents)
        self.prior = self._prior(prior, components)
        for name, net in zip(self.names, (encoder, law), strict=True):
            setattr(self, name, net)

    @property
    def names(self) -> tuple[str, str]:
        """Of encoder and law. A VampPrior makes of the guide a part of the model, and names with q_ are of what is the guide's alone."""
        return ("encoder", "law") if self.hyperparameters.get("prior") == "vampprior" else ("q_encoder", "q_law")

    @property
    def beside(self) -> int:
        """How many numbers encoder and decoder are told beside the row or its code: of its label, or covariates."""
        return self.labels + self.covariates

    def _prior(self, name: str, components: int) -> nn.Module:
        """The prior of codes."""
        return {
            "normal": lambda: StandardNormal(self.latents),
            "mixture": lambda: Mixture(self.latents, components),
            "vampprior": lambda: Vamp(self.dim * (self.likelihood.inputs + self.mask) + self.beside, components),
            "flow": lambda: Bent(self.latents),
        }[name]()

    def networks(self, inputs: int, outputs: int) -> tuple[nn.Module, nn.Module]:
        """An encoder that gives `outputs` numbers of what it sees of a row, and a decoder that takes `inputs`."""
        given, blocks = self.hyperparameters, [self.likelihood.inputs, *[1] * self.mask]
        hidden, between = given["hidden"], ACTIVATIONS[given["activation"]]
        shape = image_shape(given["network"], given["image"], self.dim, len(hidden))
        if shape:
            encoder = Encoder(shape, blocks, hidden[::-1], outputs, self.beside, between)
            return encoder, Decoder(inputs, hidden, shape, self.likelihood.outputs, between)
        encoder = mlp([self.dim * sum(blocks) + self.beside, *hidden[::-1], outputs], between)
        return encoder, mlp([inputs, *hidden, self.dim * self.likelihood.outputs], between)

    def model(self, x: Tensor, size: int | None = None) -> None:
        with self.rows(x, size):
            z = pyro.sample("z", self.prior.codes(x, self.law_of_codes))
            _, given = split(self, x)
            made = self.decoder(torch.cat([z, self.told(given)], -1) if self.covariates else z)
            pyro.sample("x", with_given(self.likelihood.rows(made), given), obs=x)

    def guide(self, x: Tensor, size: int | None = None) -> None:
        with self.rows(x, size):
            pyro.sample("z", self.law_of_codes(self.seen(x)))

    def seen(self, x: Tensor) -> Tensor:
        """(rows, numbers) what the encoder sees of rows."""
        own, given = split(self, x)
        seen = self.likelihood.features(own)
        seen = torch.cat([seen, own.isnan().to(x.dtype)], -1) if self.mask else seen
        return torch.cat([seen, self.told(given)], -1) if self.covariates else seen

    def told(self, given: Tensor) -> Tensor:
        """(rows, C) covariates in units of their spread."""
        return (given - self.means) / self.scales

    def law_of_codes(self, seen: Tensor) -> dist.TorchDistribution:
        """The guide's, of rows of which the encoder sees so much."""
        encoder, law = (getattr(self, name) for name in self.names)
        return law(encoder(seen))

    def augment(self, x: Tensor) -> Tensor:
        """With `binarise`, pixels that are 1 with the probability of their shade."""
        if not self.binarise:
            return x
        own, given = split(self, x)
        return torch.cat([torch.where(own.isnan(), own, (torch.rand_like(own) < own).to(own)), given], -1)

    def start(self, x: Tensor) -> None:
        """Weights drawn anew; in torch's way, uniform within one over the root of a layer's inputs."""
        encoder, law = (getattr(self, name) for name in self.names)
        restart(self.decoder)
        restart(encoder)
        law.start()
        self.prior.start(self.seen(x))

    @property
    def has_shades(self) -> bool:
        """Whether more of a column means something, as it does of a pixel and not of a category."""
        return self.hyperparameters["likelihood"] != "categorical"

    @classmethod
    def read(cls, table: Table, covariates: int = 0) -> dict[str, Any]:
        if not covariates:
            return cls.read_columns(table.x.flatten(1))
        own, given = (part.x.flatten(1) for part in table.parted(covariates))
        return {**cls.read_columns(own), **center_and_spread(torch.cat([own, given], 1))}

    @staticmethod
    def read_columns(x: Tensor) -> dict[str, Any]:
        """What the columns of `x` (rows, D) decide."""
        # What `check` refuses must not stop us here.
        most = x.nan_to_num().max().clamp(0, 1e6).long() if x.numel() else 0
        return {"dim": x.shape[1], "categories": int(most) + 1, "mask": bool(x.isnan().any()), **center_and_spread(x)}

    def check(self, table: Table, fitting: bool) -> None:
        checks.two_dimensional(table, self.dim + self.covariates, "covariates" if self.covariates else "")
        own, given = table.parted(self.covariates)
        checks.nothing_missing(given)
        checks.columns_alike(own, self.dim, *self.likelihood.wrong(own.x), fitting)

    @property
    def dims(self) -> dict[str, tuple[str, ...]]:
        return {"z": ("code",)}

    def coords(self, columns: list[str]) -> dict[str, list[Any]]:
        return {"column": columns, "code": list(range(self.latents))}

    picture = staticmethod(pictures.codes)
