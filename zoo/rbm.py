"""Restricted Boltzmann machine."""

from typing import Annotated, Any, Literal

import pyro
import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.nn.functional import softplus

from inference import Pair, Table, checks
from inference.missing import any_missing

from .by_column import by_column, center_and_spread
from .codes.filter_pictures import filters
from .codes.units import Binary, Bits, Gaussian

# Steps of mean field by which the guide sees rows with holes.
SETTLING = 5


class RestrictedBoltzmannMachine(Pair):
    """Visible and hidden units lean on each other, and none on its own kind: an undirected (Markov) network of two layers.

    | symbol       | distribution                                           | shape  | meaning                                     |
    |--------------|--------------------------------------------------------|--------|---------------------------------------------|
    | weights      | learnt, as a point                                     | (D, H) | how visible and hidden units lean           |
    | visible_bias | learnt, as a point                                     | (D,)   | a, of the visible units                     |
    | hidden_bias  | learnt, as a point                                     | (H,)   | b, of the hidden units                      |
    | h            | Bernoulli(logits b), were there no rows                | (N, H) | hidden units of each row                    |
    | x            | `units`(field a + weights (h - sigmoid(b)))            | (N, D) | the rows; `NaN` is integrated out           |
    | mass         | factor: log mass of x at that field - log Z            | (N,)   | makes p(x, h) = exp(-E(x, h)) / Z of the two |

    Of binary units E(x, h) = -a'x - b'h - (x - center)' weights (h - sigmoid(b)). Both layers are centred, so that biases do not have to
    follow the weights as they grow. The guide is exact, the hidden units being independent given a row: Bernoulli(logits b + weights'
    (x - center)); given a row with holes, by a few steps of mean field. The families of `x` are in `zoo/codes/units.py`.

    Reference: Smolensky 1986, "Information processing in dynamical systems: foundations of harmony theory", MIT Press; Hinton 2012, "A
    practical guide to training restricted Boltzmann machines", and Montavon & Mueller 2012, "Deep Boltzmann machines and the centering
    trick", both in Neural Networks: Tricks of the Trade, Springer.

    Limits:
        - With more than 20 binary units on the smaller side log Z is an estimate, and every density is as far off as it is.
        - Where modes are far apart its chains may be left behind by the weights, and contrastive divergence diverges; the report tells.
        - The weights are a point, and hidden units may stand in any order: those of two fits cannot be compared one by one.
        - Columns are all binary or all numbers: no shades, counts or categories.

    Arguments:
        hidden: H, how many hidden units.
        dim: D, how many columns (pixels). Read off the data.
        units: what visible units show: "binary", or "gaussian" for numbers, with a noise that is learnt.
        weight_decay: half of it, times the sum of the squared weights, is taken off the log density of each row.
        center: what hidden units take for zero, one number or one a column. Read off the data: the columns' means.
        spread: scale of the data, for "gaussian", one number or one a column. Read off the data: the columns' standard deviations.
    """

    objective = "contrastive"
    undirected = True
    recipe = {"lr": 0.01, "particles": 100, "schedule": "cosine"}
    unsuited = {
        "mcmc": "its weights are learnt as a point, as Z would have to be known wherever a chain of weights goes; "
        "use svi, after which generate draws rows by block Gibbs"
    }

    def __init__(
        self,
        hidden: PositiveInt = 16,
        dim: PositiveInt = 4,
        *,
        units: Literal["binary", "gaussian"] = "binary",
        weight_decay: NonNegativeFloat = 2e-4,
        center: float | list[float] = 0.5,
        spread: PositiveFloat | Annotated[list[PositiveFloat], Field(min_length=1)] = 1.0,
    ) -> None:
        self.dim, self.weight_decay = dim, weight_decay
        center, spread = by_column("center", center, dim), by_column("spread", spread, dim)
        self.units = Binary(center) if units == "binary" else Gaussian(center, spread)
        self.weights = nn.Parameter(0.1 * torch.randn(dim, hidden))
        self.visible_bias = nn.Parameter(self.units.bias(center))
        self.hidden_bias = nn.Parameter(torch.zeros(hidden))
        self.register_buffer("log_z", torch.zeros(()))
        self.register_buffer("coupling", torch.ones(()))

    def model(self, x: Tensor, size: int | None = None) -> None:
        pyro.factor("decay", -0.5 * self.weight_decay * (size or len(x)) * self.weights.square().sum())
        with self.rows(x, size):
            h = pyro.sample("h", Bits(logits=self.hidden_bias.expand(len(x), -1)).to_event(1))
            field = self.field(h)
            pyro.sample("x", self.units.rows(field), obs=x)
            mass = self.units.log_mass(field, self.visible_bias).sum(-1) + softplus(self.hidden_bias).sum()
            pyro.factor("mass", mass - self.log_z)

    def guide(self, x: Tensor, size: int | None = None) -> None:
        logits = self.logits(x)
        if any_missing(x):
            for _ in range(SETTLING):
                logits = self.logits(torch.where(x.isnan(), self.units.expected(self.field(logits.sigmoid())), x))
        with self.rows(x, size):
            pyro.sample("h", Bits(logits=logits).to_event(1))

    def field(self, h: Tensor) -> Tensor:
        """(N, D) what moves the visible units, of hidden units (N, H) or their probabilities."""
        return self.visible_bias + self.coupling * ((h - self.hidden_bias.sigmoid()) @ self.weights.mT)

    def logits(self, x: Tensor) -> Tensor:
        """(N, H) of the hidden units given rows, in which a hole has no say."""
        return self.hidden_bias + self.coupling * (self.units.pull(x).nan_to_num() @ self.weights)

    def start(self, x: Tensor) -> None:
        """Columns by themselves, and weights near zero, drawn anew."""
        with torch.no_grad():
            self.weights.normal_(0.0, 0.01)
            self.visible_bias.copy_(self.units.bias(x.nanmean(0)))
            self.hidden_bias.zero_()

    @classmethod
    def read(cls, table: Table) -> dict[str, Any]:
        # What `check` refuses must not stop us here.
        x = table.x.flatten(1)
        return {"dim": x.shape[1], **center_and_spread(x)}

    def check(self, table: Table, fitting: bool) -> None:
        checks.columns_alike(table, self.dim, *self.units.wrong(table.x), fitting)
        if fitting:
            checks.rows_differ(table)

    @property
    def dims(self) -> dict[str, tuple[str, ...]]:
        return {"h": ("unit",)}

    def coords(self, columns: list[str]) -> dict[str, list[Any]]:
        return {"column": columns, "unit": list(range(len(self.hidden_bias)))}

    picture = staticmethod(filters)
