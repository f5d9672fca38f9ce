"""Variational autoencoder."""

from typing import Annotated, Any, Literal

import pyro
import pyro.distributions as dist
import torch
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor
from torch.distributions.transforms import LowerCholeskyTransform

from inference import Pair, Table, checks

from .by_column import by_column, center_and_spread
from .codes import pictures
from .codes.likelihoods import Bernoulli, Categorical, ContinuousBernoulli, Gaussian
from .codes.nets import mlp, restart
from .codes.priors import Mixture, StandardNormal

# A lower triangle as it is, the diagonal in logarithms.
CHOLESKY = LowerCholeskyTransform()


class VariationalAutoencoder(Pair):
    """A network makes rows of a few normal numbers; another, the guide's, finds the numbers that made a row.

    | symbol  | distribution                          | shape  | meaning                                              |
    |---------|---------------------------------------|--------|------------------------------------------------------|
    | decoder | its weights are learnt, as a point    |        | network from codes to rows, with layers `hidden`     |
    | z       | Normal(0, 1), or another `prior`      | (N, Q) | code of each row                                     |
    | x       | `likelihood`(decoder(z)), each column | (N, D) | the rows; `NaN` is integrated out                    |

    The guide is Normal for each code, with the mean and scales that an encoder with the same layers, backwards, gives for the row;
    or, with `covariance` "full", the mean and a Cholesky factor. Priors are in `zoo/codes/priors.py`, the families of `x` in
    `zoo/codes/likelihoods.py`. With no hidden layer and likelihood "gaussian" this is probabilistic principal component analysis: at the
    best weights the columns of the decoder are the principal directions, which suits the guide.

    Reference: Kingma & Welling 2014, "Auto-encoding variational Bayes", ICLR; Rezende, Mohamed & Wierstra 2014, "Stochastic
    backpropagation and approximate inference in deep generative models", ICML; Lucas, Tucker, Grosse & Norouzi 2019, "Don't blame
    the ELBO!", NeurIPS (the linear one).

    Arguments:
        latents: Q, how many numbers a code has.
        dim: D, how many columns (pixels). Read off the data.
        hidden: sizes of the decoder's hidden layers, from the code to the row; none is a linear map.
        likelihood: "bernoulli", "continuous_bernoulli" (both between 0 and 1), "gaussian" or "categorical".
        prior: of the codes, "normal" or "mixture", whose parameters are learnt.
        components: K, of the mixture.
        covariance: of the guide, "diag" or "full", for codes that are not independent given the row.
        noise: standard deviation of "gaussian", learnt if it is not given.
        categories: V, of "categorical". Read off the data: one more than the largest.
        mask: whether the encoder is told which values are missing; else they look like the column's mean. Read off the data.
        center: what the encoder takes for zero, one number or one a column. Read off the data: the columns' means.
        spread: scale of the data, one number or one a column. Read off the data: the columns' standard deviations.
    """

    objective = "mean_field"
    recipe = {"lr": 0.01, "particles": 1}
    unsuited = {"mcmc": "the weights of its networks are learnt as a point, and have no prior to draw them by; use svi"}

    def __init__(
        self,
        latents: PositiveInt = 2,
        dim: PositiveInt = 4,
        *,
        hidden: list[PositiveInt] = [64],  # noqa: B006
        likelihood: Literal["bernoulli", "continuous_bernoulli", "gaussian", "categorical"] = "bernoulli",
        prior: Literal["normal", "mixture"] = "normal",
        components: PositiveInt = 10,
        covariance: Literal["diag", "full"] = "diag",
        noise: PositiveFloat | None = None,
        categories: PositiveInt = 2,
        mask: bool = False,
        center: float | list[float] = 0.5,
        spread: PositiveFloat | Annotated[list[PositiveFloat], Field(min_length=1)] = 1.0,
    ) -> None:
        if latents > dim:
            raise ValueError(f"latents={latents} must be at most the {dim} columns; a code as long as its row tells nothing in short")
        self.latents, self.dim, self.mask = latents, dim, mask
        center, spread = by_column("center", center, dim), by_column("spread", spread, dim)
        self.likelihood = {
            "bernoulli": lambda: Bernoulli(center),
            "continuous_bernoulli": lambda: ContinuousBernoulli(center),
            "gaussian": lambda: Gaussian(center, spread, noise),
            "categorical": lambda: Categorical(categories),
        }[likelihood]()
        self.prior = Mixture(latents, components) if prior == "mixture" else StandardNormal(latents)
        self.full = covariance == "full"
        self.decoder = mlp([latents, *hidden, dim * self.likelihood.outputs])
        self.q_encoder = mlp([dim * (self.likelihood.inputs + mask), *reversed(hidden), self.told * latents])

    @property
    def told(self) -> int:
        """How many numbers the encoder gives for each latent: its mean, and its log scale or row of a matrix."""
        return 1 + self.latents if self.full else 2

    def model(self, x: Tensor, size: int | None = None) -> None:
        with self.rows(x, size):
            z = pyro.sample("z", self.prior.codes(x))
            pyro.sample("x", self.likelihood.rows(self.decoder(z)), obs=x)

    def guide(self, x: Tensor, size: int | None = None) -> None:
        loc, rest = self.encoded(x).tensor_split([self.latents], -1)
        with self.rows(x, size):
            if self.full:
                factor = CHOLESKY(rest.unflatten(-1, (self.latents, self.latents)))
                pyro.sample("z", dist.MultivariateNormal(loc, scale_tril=factor))
            else:
                pyro.sample("z", dist.Normal(loc, rest.exp()).to_event(1))

    def encoded(self, x: Tensor) -> Tensor:
        """(rows, told * latents) what the encoder makes of rows."""
        seen = self.likelihood.features(x)
        return self.q_encoder(torch.cat([seen, x.isnan().to(x.dtype)], -1) if self.mask else seen)

    def start(self, x: Tensor) -> None:
        """Weights drawn anew; in torch's way, uniform within one over the root of a layer's inputs."""
        restart(self.decoder)
        restart(self.q_encoder)
        self.prior.start()

    @property
    def has_shades(self) -> bool:
        """Whether more of a column means something, as it does of a pixel and not of a category."""
        return self.hyperparameters["likelihood"] != "categorical"

    @classmethod
    def read(cls, table: Table) -> dict[str, Any]:
        # What `check` refuses must not stop us here.
        x = table.x.flatten(1)
        most = x.nan_to_num().max().clamp(0, 1e6).long()
        return {"dim": x.shape[1], "categories": int(most) + 1, "mask": bool(x.isnan().any()), **center_and_spread(x)}

    def check(self, table: Table, fitting: bool) -> None:
        checks.columns_alike(table, self.dim, *self.likelihood.wrong(table.x), fitting)

    @property
    def dims(self) -> dict[str, tuple[str, ...]]:
        return {"z": ("code",)}

    def coords(self, columns: list[str]) -> dict[str, list[Any]]:
        return {"column": columns, "code": list(range(self.latents))}

    picture = staticmethod(pictures.codes)
