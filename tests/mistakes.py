"""A sound pair, one with codes for its rows, and the same with a typical mistake each, on the line that says "wrong"."""

import pyro
import pyro.distributions as dist
import torch
from pyro.nn import PyroParam
from torch import Tensor, nn
from torch.distributions import constraints

from inference import Pair, Permutation
from zoo.distributions.gaussian import DiagonalGaussian


class Sound(Pair):
    """Two clumps of numbers.

    Arguments:
        width: prior standard deviation of the locations.
        known: how many rows there are, for the mistake that needs to know.
    """

    symmetries = (Permutation({"locs": 0}, order="locs"),)

    def __init__(self, width: float = 2.0, known: int = 10) -> None:
        self.known = known
        self.register_buffer("width", torch.tensor(width))
        self.q_locs = PyroParam(torch.tensor([-1.0, 1.0]), constraints.real)
        self.q_width = PyroParam(torch.tensor(0.3), constraints.positive)
        self.q_scale = PyroParam(torch.tensor(0.1), constraints.real)

    def prior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        locs = pyro.sample("locs", dist.Normal(x.new_zeros(2), self.width).to_event(1))
        return locs, pyro.sample("scale", dist.LogNormal(x.new_zeros(()), 0.5))

    def model(self, x: Tensor, size: int | None = None) -> None:
        locs, scale = self.prior(x)
        with self.rows(x, size):
            z = pyro.sample("z", dist.Categorical(x.new_ones(2)))
            pyro.sample("x", DiagonalGaussian(locs[z][..., None], scale), obs=x)

    def guide(self, x: Tensor, size: int | None = None) -> None:
        pyro.sample("locs", dist.Normal(self.q_locs, self.q_width).to_event(1))
        pyro.sample("scale", dist.LogNormal(self.q_scale, self.q_width))


class Coded(Pair):
    """Rows of three numbers made of one, which an encoder finds.

    Arguments:
        known: how many rows there are, for the mistake that needs to know.
    """

    recipe = {"lr": 0.01, "particles": 2}

    def __init__(self, known: int = 10) -> None:
        self.known = known
        self.decoder, self.q_encoder = nn.Linear(1, 3), nn.Linear(3, 2)

    def model(self, x: Tensor, size: int | None = None) -> None:
        with self.rows(x, size):
            z = pyro.sample("z", dist.Normal(x.new_zeros(len(x), 1), 1.0).to_event(1))
            pyro.sample("x", DiagonalGaussian(self.decoder(z), x.new_ones(3)), obs=x)

    def guide(self, x: Tensor, size: int | None = None) -> None:
        loc, log_scale = self.q_encoder(x.nan_to_num()).chunk(2, -1)
        with self.rows(x, size):
            pyro.sample("z", dist.Normal(loc, log_scale.exp()).to_event(1))


class ForgotRows(Sound):
    def model(self, x: Tensor, size: int | None = None) -> None:
        locs, scale = self.prior(x)
        pyro.sample("x", dist.Normal(locs.sum(), scale).expand([len(x)]).to_event(1), obs=x[:, 0])  # wrong


class RowLatentOutside(Coded):
    def model(self, x: Tensor, size: int | None = None) -> None:
        z = pyro.sample("z", dist.Normal(x.new_zeros(len(x), 1), 1.0).to_event(2))  # wrong
        with self.rows(x, size):
            pyro.sample("x", DiagonalGaussian(self.decoder(z), x.new_ones(3)), obs=x)

    def guide(self, x: Tensor, size: int | None = None) -> None:
        loc, log_scale = self.q_encoder(x.nan_to_num()).chunk(2, -1)
        pyro.sample("z", dist.Normal(loc, log_scale.exp()).to_event(2))


class GuideLacksASite(Sound):
    def guide(self, x: Tensor, size: int | None = None) -> None:
        pyro.sample("locs", dist.Normal(self.q_locs, self.q_width).to_event(1))


class GuideHasOneMore(Sound):
    def guide(self, x: Tensor, size: int | None = None) -> None:
        super().guide(x, size)
        pyro.sample("rate", dist.Normal(self.q_scale, 1.0))  # wrong


class ShapesDiffer(Sound):
    def guide(self, x: Tensor, size: int | None = None) -> None:
        pyro.sample("locs", dist.Normal(self.q_locs[0], self.q_width))  # wrong
        pyro.sample("scale", dist.LogNormal(self.q_scale, self.q_width))


class WrongSupport(Sound):
    def guide(self, x: Tensor, size: int | None = None) -> None:
        pyro.sample("locs", dist.Normal(self.q_locs, self.q_width).to_event(1))
        pyro.sample("scale", dist.Normal(self.q_scale, self.q_width))  # wrong


class NarrowSupport(Sound):
    def guide(self, x: Tensor, size: int | None = None) -> None:
        pyro.sample("locs", dist.Normal(self.q_locs, self.q_width).to_event(1))
        pyro.sample("scale", dist.Uniform(0.0 * self.q_scale, self.q_width))  # wrong


class TableByRow(Coded):
    def __init__(self, known: int = 10) -> None:
        self.known = known
        self.decoder = nn.Linear(1, 3)
        self.q_loc = PyroParam(torch.zeros(known, 1), constraints.real)  # wrong
        self.q_width = PyroParam(torch.ones(known, 1), constraints.positive)

    def guide(self, x: Tensor, size: int | None = None) -> None:
        with self.rows(x, size):
            pyro.sample("z", dist.Normal(self.q_loc, self.q_width).to_event(1))


class TableByPlace(TableByRow):
    def guide(self, x: Tensor, size: int | None = None) -> None:  # wrong
        with self.rows(x, size):
            pyro.sample("z", dist.Normal(self.q_loc[: len(x)].sin(), self.q_width[: len(x)] + x[:, :1] ** 2).to_event(1))


class AveragesOverRows(Coded):
    def model(self, x: Tensor, size: int | None = None) -> None:  # wrong
        with self.rows(x, size):
            z = pyro.sample("z", dist.Normal(x.new_zeros(len(x), 1), 1.0).to_event(1))
            pyro.sample("x", DiagonalGaussian(self.decoder(z - z.mean(0)), x.new_ones(3)), obs=x)


class BranchesOnALatent(Sound):
    def model(self, x: Tensor, size: int | None = None) -> None:
        locs, scale = self.prior(x)
        if scale > 1:  # wrong
            scale = scale.sqrt()
        with self.rows(x, size):
            z = pyro.sample("z", dist.Categorical(x.new_ones(2)))
            pyro.sample("x", DiagonalGaussian(locs[z][..., None], scale), obs=x)


class NoSymmetry(Sound):
    symmetries = (Permutation({"locs": 0}, order="locs"),)  # wrong

    def model(self, x: Tensor, size: int | None = None) -> None:
        locs, scale = self.prior(x)
        with self.rows(x, size):
            z = pyro.sample("z", dist.Categorical(x.new_tensor([0.3, 0.7])))
            pyro.sample("x", DiagonalGaussian(locs[z][..., None], scale), obs=x)


class OwnScale(Sound):
    def model(self, x: Tensor, size: int | None = None) -> None:
        locs, scale = self.prior(x)
        with self.rows(x, size), pyro.poutine.scale(scale=(size or len(x)) / len(x)):  # wrong
            z = pyro.sample("z", dist.Categorical(x.new_ones(2)))
            pyro.sample("x", DiagonalGaussian(locs[z][..., None], scale), obs=x)


class ForgotSize(Sound):
    def model(self, x: Tensor, size: int | None = None) -> None:
        locs, scale = self.prior(x)
        with self.rows(x):  # wrong
            z = pyro.sample("z", dist.Categorical(x.new_ones(2)))
            pyro.sample("x", DiagonalGaussian(locs[z][..., None], scale), obs=x)


class GuideForgotSize(Coded):
    def guide(self, x: Tensor, size: int | None = None) -> None:
        loc, log_scale = self.q_encoder(x.nan_to_num()).chunk(2, -1)
        with self.rows(x):  # wrong
            pyro.sample("z", dist.Normal(loc, log_scale.exp()).to_event(1))


class PlainTensor(Sound):
    def __init__(self, width: float = 2.0, known: int = 10) -> None:
        super().__init__(width, known)
        del self.q_scale
        self.q_scale = torch.tensor(0.1, requires_grad=True)  # wrong


class Detached(Sound):
    def guide(self, x: Tensor, size: int | None = None) -> None:
        pyro.sample("locs", dist.Normal(self.q_locs, self.q_width).to_event(1))
        pyro.sample("scale", dist.LogNormal(self.q_scale.detach(), self.q_width))


class MadeWhileItRuns(Sound):
    def guide(self, x: Tensor, size: int | None = None) -> None:  # wrong
        scale = pyro.param("scale_loc", torch.tensor(0.0))
        pyro.sample("locs", dist.Normal(self.q_locs, self.q_width).to_event(1))
        pyro.sample("scale", dist.LogNormal(self.q_scale + scale, self.q_width))


class NotNamedAsTheGuides(Sound):
    def __init__(self, width: float = 2.0, known: int = 10) -> None:
        super().__init__(width, known)
        self.offset = PyroParam(torch.tensor(0.0), constraints.real)  # wrong

    def guide(self, x: Tensor, size: int | None = None) -> None:
        pyro.sample("locs", dist.Normal(self.q_locs + self.offset, self.q_width).to_event(1))
        pyro.sample("scale", dist.LogNormal(self.q_scale, self.q_width))


class BranchesOnNoRows(Sound):
    def model(self, x: Tensor | None = None, size: int | None = None) -> None:
        locs, scale = self.prior(x)
        rows = x.new_zeros(10, 1) if x is None else x  # wrong
        with self.rows(rows, size):
            z = pyro.sample("z", dist.Categorical(x.new_ones(2)))
            pyro.sample("x", DiagonalGaussian(locs[z][..., None], scale), obs=x)


class NamesADevice(Sound):
    def model(self, x: Tensor, size: int | None = None) -> None:
        locs, scale = self.prior(x)
        with self.rows(x, size):
            z = pyro.sample("z", dist.Categorical(torch.ones(2, device="cpu")))  # wrong
            pyro.sample("x", DiagonalGaussian(locs[z][..., None], scale), obs=x)


class NamesADtype(Sound):
    def prior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        locs = pyro.sample("locs", dist.Normal(torch.zeros(2, dtype=torch.float64), 2.0).to_event(1))  # wrong
        return locs, pyro.sample("scale", dist.LogNormal(x.new_zeros(()), 0.5))


class LosesItsGradient(Sound):
    def model(self, x: Tensor, size: int | None = None) -> None:
        locs, scale = self.prior(x)
        with self.rows(x, size):
            z = pyro.sample("z", dist.Categorical(x.new_ones(2)))
            pyro.sample("x", DiagonalGaussian(locs[z][..., None], scale.detach()), obs=x)


class MissesTheTruth(Sound):
    def guide(self, x: Tensor, size: int | None = None) -> None:  # wrong
        pyro.sample("locs", dist.Normal(20 + self.q_locs.tanh(), self.q_width).to_event(1))
        pyro.sample("scale", dist.LogNormal(self.q_scale.tanh(), self.q_width))
