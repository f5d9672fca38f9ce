"""Angles in radians around a direction, as numbers are around a mean; and vectors in the plane."""

import math

import numpy as np
import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints
from torch.library import custom_op

from ..batched import batched


class VonMises(TorchDistribution):
    """Angles of density exp(concentration cos(x - loc)) / (2 pi I0(concentration)), the same a whole turn further on.

    torch's own takes I0 by polynomials that are good to seven digits, and draws until all draws are accepted, which cannot be batched.

    Arguments: loc: radians. concentration: not negative; about the inverse of the variance where it is large. turn: where a turn begins,
        from which draws are told.

    Reference: Mardia & Jupp 2000, "Directional statistics", Wiley, section 3.5.4.
    """

    arg_constraints = {"loc": constraints.real, "concentration": constraints.nonnegative}
    support = constraints.real

    def __init__(self, loc: Tensor, concentration: Tensor, turn: float = -math.pi) -> None:
        self.turn, (self.loc, self.concentration) = turn, torch.broadcast_tensors(loc, concentration)
        super().__init__(self.loc.shape, validate_args=False)

    def expand(self, batch_shape: torch.Size, _instance: object = None) -> "VonMises":
        return VonMises(self.loc.expand(batch_shape), self.concentration.expand(batch_shape), self.turn)

    def log_prob(self, value: Tensor) -> Tensor:
        # cos(x) - 1 = -2 sin(x / 2)^2 loses no digits where angles are close.
        off = (0.5 * (value - self.loc)).sin().square()
        # torch knows the derivatives of i0e, which is I0 less its exponential growth.
        return -2 * self.concentration * off - torch.special.i0e(self.concentration).log() - math.log(2 * math.pi)

    def sample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:
        """Within a turn from where it begins."""
        with torch.no_grad():
            shape = self._extended_shape(sample_shape)
            off = _around_zero(torch.randint(2**62, (), device=self.loc.device), self.concentration.expand(shape))
            return torch.remainder(self.loc + off - self.turn, 2 * math.pi) + self.turn


@custom_op("zoo::von_mises_sample", mutates_args=())
def _around_zero(seed: Tensor, concentration: Tensor) -> Tensor:
    found = np.random.default_rng(seed.flatten().tolist()).vonmises(0.0, concentration.cpu().double().numpy())
    return torch.as_tensor(found).reshape(concentration.shape).to(concentration)


@_around_zero.register_fake
def _(seed: Tensor, concentration: Tensor) -> Tensor:
    return torch.empty_like(concentration, memory_format=torch.contiguous_format)


batched(_around_zero)


class PlanarCauchy(TorchDistribution):
    """Vectors in the plane of density (1 + |v|^2 / scale^2)^(-3/2) / (2 pi scale^2): as likely in every direction, of any length.

    Arguments: scale: (*batch,). Reference: Kotz & Nadarajah 2004, "Multivariate t distributions and their applications", Cambridge.
    """

    arg_constraints = {"scale": constraints.positive}
    support = constraints.real_vector

    def __init__(self, scale: Tensor) -> None:
        self.scale = scale
        super().__init__(scale.shape, torch.Size([2]), validate_args=False)

    def expand(self, batch_shape: torch.Size, _instance: object = None) -> "PlanarCauchy":
        return PlanarCauchy(self.scale.expand(batch_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        far = (value / self.scale[..., None]).square().sum(-1)
        return -1.5 * far.log1p() - 2 * self.scale.log() - math.log(2 * math.pi)

    def sample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:
        noise = torch.randn(*self._extended_shape(sample_shape)[:-1], 3, dtype=self.scale.dtype, device=self.scale.device)
        return self.scale[..., None] * noise[..., :2] / noise[..., 2:].abs()
